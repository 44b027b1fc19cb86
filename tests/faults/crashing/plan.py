"""What the commit of any revision of any session holds, decided by its name alone.

So whoever knows a session's revision knows every row that it must have, and none needs to be written down elsewhere.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from lash_host.domain.commit import ModelCallFact, content_ref
from lash_host.domain.graph import ReplaceGraph
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.testing.conformance.samples import draft, message_nodes, model_call

__all__ = ["Planned", "attachment_of", "commit_parts", "leaf_at", "live_nodes_at", "planned"]

_TOOL_STATE_EVERY = 4
INPUT_TOKENS = 3


@dataclass(frozen=True, slots=True)
class Planned:
    """The content of one commit."""

    session_id: str
    revision: int
    replaces: bool
    node_ids: tuple[str, ...]
    call_ids: tuple[str, ...]
    tool_call_ids: tuple[str, ...]
    blob: bytes | None
    tool_state: bytes | None
    has_attachment: bool

    @property
    def turn_id(self) -> str:
        """The turn that the commit ends."""
        return f"{self.session_id}.t{self.revision}"


@cache
def planned(session_id: str, revision: int) -> Planned:
    """Decide a commit."""
    chance = random.Random(f"{session_id}/{revision}")  # noqa: S311 - what must be repeatable is no secret
    name = f"{session_id}.{revision}"
    replaces = revision > 1 and chance.random() < 0.06
    nodes = chance.randint(1 if replaces or revision == 1 else 0, 4)
    return Planned(
        session_id=session_id,
        revision=revision,
        replaces=replaces,
        node_ids=tuple(f"{name}.n{n}" for n in range(nodes)),
        call_ids=tuple(f"{name}.c{n}" for n in range(chance.randint(0, 2))),
        tool_call_ids=tuple(f"{name}.x{n}" for n in range(chance.randint(0, 1))),
        blob=chance.randbytes(chance.choice((100, 2_000, 60_000))) if chance.random() < 0.15 else None,
        tool_state=_tool_state(session_id, revision) if revision % _TOOL_STATE_EVERY == 0 else None,
        has_attachment=chance.random() < 0.05,
    )


def attachment_of(plan: Planned) -> bytes:
    """Give the bytes of the attachment that a commit names."""
    return f"attached to {plan.turn_id}".encode()


def leaf_at(session_id: str, revision: int) -> str | None:
    """Give a session's leaf at a revision."""
    for earlier in range(revision, 0, -1):
        if ids := planned(session_id, earlier).node_ids:
            return ids[-1]
    return None


def live_nodes_at(session_id: str, revision: int) -> list[str]:
    """Give the nodes that a session shows at a revision, in order: those since its graph was last replaced."""
    first = revision
    while first > 1 and not planned(session_id, first).replaces:
        first -= 1
    return [
        node_id for number in range(max(first, 1), revision + 1) for node_id in planned(session_id, number).node_ids
    ]


def commit_parts(plan: Planned, *, frame_id: str) -> dict[str, Any]:
    """Give the parts of the runtime commit besides the nodes that it appends."""
    last_state = plan.revision - plan.revision % _TOOL_STATE_EVERY
    checkpoint = draft(
        turn_index=plan.revision,
        tool_state=plan.tool_state,
        tool_state_ref=content_ref(_tool_state(plan.session_id, last_state)) if last_state else None,
    )
    parts: dict[str, Any] = {
        "expected_head_revision": plan.revision - 1,
        "checkpoint": checkpoint,
        "blobs": {} if plan.blob is None else {content_ref(plan.blob): plan.blob},
        "model_calls": tuple(_model_call(plan, call_id) for call_id in plan.call_ids),
        "tool_calls": tuple(_tool_call(plan, call_id) for call_id in plan.tool_call_ids),
        "attachment_ids": (content_ref(attachment_of(plan)),) if plan.has_attachment else (),
    }
    if plan.replaces:
        nodes = message_nodes(*plan.node_ids, frame_id=frame_id)
        parts["graph"] = ReplaceGraph(nodes=nodes, leaf_node_id=plan.node_ids[-1])
    return parts


def _tool_state(session_id: str, revision: int) -> bytes:
    return f"tools of {session_id} at {revision}".encode()


def _model_call(plan: Planned, call_id: str) -> ModelCallFact:
    return model_call(call_id, input_tokens=INPUT_TOKENS).model_copy(update={"turn_id": plan.turn_id})


def _tool_call(plan: Planned, call_id: str) -> ToolCallRecord:
    return ToolCallRecord(
        call_id=call_id,
        tool_id="search",
        tool_name="search",
        plugin_id=None,
        arguments={"of": plan.turn_id},
        output=ToolOutput.success("found"),
        attempts=1,
        started_at_us=1_000,
        duration_ms=1.5,
    )
