"""Sessions that commit as a runtime does, with what a test gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lash_host.contracts.store import PersistedSession, ReadScope, SessionStore
from lash_host.domain.commit import (
    CheckpointDraft,
    CommitResult,
    CommitStamp,
    ModelCallFact,
    RuntimeCommit,
    TurnFact,
    turn_commit_hash,
)
from lash_host.domain.frame import AgentFrameAssignment, initial_frame
from lash_host.domain.graph import AppendNodes, SessionNode, UnchangedGraph, message_node
from lash_host.domain.lease import LeaseAcquired, LeaseFence, LeaseOwner
from lash_host.domain.message import Message, Role, TextPart
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import ProtocolTurnOptions, SessionPolicy
from lash_host.domain.usage import TokenUsage

__all__ = ["TTL_MS", "SampleSession", "draft", "message_nodes", "model_call", "owner"]

TTL_MS = 60_000

_POLICY = SessionPolicy(model=ModelSpec(provider_id="acme", model_id="large"))


def owner(name: str, *, incarnation: str | None = None) -> LeaseOwner:
    """Name a lease owner."""
    return LeaseOwner(owner_id=name, incarnation_id=incarnation or f"{name}:incarnation")


def message_nodes(
    *ids: str, after: str | None = None, frame_id: str = "alpha:frame:initial"
) -> tuple[SessionNode, ...]:
    """Make a chain of message nodes; the first follows ``after``."""
    chain: list[SessionNode] = []
    for node_id in ids:
        message = Message(message_id=node_id, role=Role.USER, parts=(TextPart(text=f"text of {node_id}"),))
        parent = chain[-1].node_id if chain else after
        chain.append(
            message_node(message, node_id=node_id, parent_node_id=parent, frame_id=frame_id, created_at_us=1_000)
        )
    return tuple(chain)


def draft(**parts: Any) -> CheckpointDraft:
    """Make a checkpoint draft that has nothing but what is given."""
    base = CheckpointDraft(
        turn_index=0,
        token_usage=TokenUsage(),
        last_prompt_usage=None,
        protocol_turn_options=ProtocolTurnOptions(),
    )
    return replace(base, **parts)


def model_call(call_id: str, *, source: str = "turn", model: str = "large", **usage: int) -> ModelCallFact:
    """Make the fact of a model call."""
    return ModelCallFact(
        call_id=call_id,
        turn_id=None,
        frame_id="alpha:frame:initial",
        source=source,
        provider_id="acme",
        model=model,
        started_at_us=1_000,
        duration_ms=12.5,
        terminal_reason="stop",
        usage=TokenUsage(**usage),
    )


class SampleSession:
    """A session on a store. It makes commits that fit; a test changes them with `dataclasses.replace`."""

    def __init__(self, store: SessionStore, session_id: str) -> None:
        self.store, self.session_id = store, session_id
        assignment = AgentFrameAssignment(policy=_POLICY)
        self.frame = initial_frame(session_id, assignment=assignment, created_at_us=1_000)
        self.policy = _POLICY
        self.owner = owner(session_id)

    def claim(self) -> LeaseFence:
        """Take the session's lease."""
        claimed = self.store.claim_lease(self.session_id, self.owner, ttl_ms=TTL_MS)
        assert isinstance(claimed, LeaseAcquired), claimed
        return claimed.lease.fence

    def draft(self, *ids: str, after: str | None = None, **changes: Any) -> RuntimeCommit:
        """Make a commit under a fresh lease, which it releases. It appends nodes ``ids`` after node ``after``."""
        new = message_nodes(*ids, after=after, frame_id=self.frame.frame_id)
        graph = AppendNodes(nodes=new, leaf_node_id=ids[-1]) if new else UnchangedGraph(leaf_node_id=after)
        base = RuntimeCommit(
            session_id=self.session_id,
            expected_head_revision=None,
            fence=self.claim() if "fence" not in changes else None,
            release_lease=True,
            policy=self.policy,
            agent_frames=(self.frame,),
            current_agent_frame_id=self.frame.frame_id,
            graph=graph,
            checkpoint=draft(),
        )
        return replace(base, **changes)

    def commit(self, *ids: str, after: str | None = None, **changes: Any) -> CommitResult:
        """Commit what `draft` makes."""
        return self.store.commit(self.draft(*ids, after=after, **changes))

    def turn(self, turn_id: str, *ids: str, after: str | None = None, **changes: Any) -> RuntimeCommit:
        """Make the stamped commit of a turn."""
        fact = TurnFact(
            turn_id=turn_id,
            turn_index=1,
            frame_id=self.frame.frame_id,
            started_at_us=1_000,
            duration_ms=250.5,
            outcome="finished",
            iterations=1,
        )
        commit = self.draft(*ids, after=after, turn=fact, **changes)
        return replace(commit, stamp=CommitStamp(turn_id=turn_id, commit_hash=turn_commit_hash(commit)))

    def load(self, scope: ReadScope = ReadScope.FULL_GRAPH, *, leaf_node_id: str | None = None) -> PersistedSession:
        """Load the session, which must be there."""
        loaded = self.store.load_session(self.session_id, scope=scope, leaf_node_id=leaf_node_id)
        assert loaded is not None
        return loaded

    def node_ids(self, scope: ReadScope = ReadScope.FULL_GRAPH, *, leaf_node_id: str | None = None) -> list[str]:
        """Give the ids of the nodes that a load gives, in its order."""
        return [node.node_id for node in self.load(scope, leaf_node_id=leaf_node_id).graph.nodes]
