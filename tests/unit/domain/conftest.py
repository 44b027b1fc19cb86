"""Values that several domain tests start from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lash_host.domain.graph import SessionNode, message_node
from lash_host.domain.lease import LeaseFence, LeaseOwner, LeaseRow
from lash_host.domain.message import Message, MessageOrigin, Role, TextPart
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import SessionPolicy


@pytest.fixture
def policy() -> SessionPolicy:
    return SessionPolicy(model=ModelSpec(provider_id="offline", model_id="echo"))


@pytest.fixture
def say() -> Callable[..., Message]:
    """Make a message of one text."""

    def make(text: str, *, role: Role = Role.USER, message_id: str = "", transient: bool = False) -> Message:
        origin = MessageOrigin(kind="plugin", transient=True) if transient else None
        return Message(message_id=message_id or text, role=role, parts=(TextPart(text=text),), origin=origin)

    return make


@pytest.fixture
def node(say) -> Callable[..., SessionNode]:
    """Make a node; a message node unless told otherwise."""

    def make(
        node_id: str, parent: str | None = None, *, frame: str = "f", kind: str = "message", **more: object
    ) -> SessionNode:
        if kind == "message":
            return message_node(
                say(node_id, **more), node_id=node_id, parent_node_id=parent, frame_id=frame, created_at_us=0
            )
        return SessionNode(
            node_id=node_id,
            parent_node_id=parent,
            frame_id=frame,
            created_at_us=0,
            kind=kind,
            label="plugin",
            payload_json="{}",
        )

    return make


@pytest.fixture
def owner() -> LeaseOwner:
    return LeaseOwner(owner_id="host", incarnation_id="1")


@pytest.fixture
def fence(owner) -> LeaseFence:
    return LeaseFence(session_id="s", owner=owner, lease_token="token", fencing_token=7)


@pytest.fixture
def held(owner) -> LeaseRow:
    """The lease row that `fence` is the proof of; it lives until 1,000 ms."""
    return LeaseRow(fencing_token=7, owner=owner, lease_token="token", claimed_at_ms=100, expires_at_ms=1_000)
