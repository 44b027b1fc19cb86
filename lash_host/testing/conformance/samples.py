"""Sessions that commit as a runtime does, with what a test gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

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
from lash_host.domain.queue import QueueBoundary, QueuedWorkBatch, QueuedWorkClaim
from lash_host.domain.turn_input import CheckpointBoundary, PendingTurnInput, TurnInputClaim
from lash_host.domain.usage import TokenUsage
from lash_host.testing.conformance.drafts import command_draft, input_draft, wake_draft

__all__ = ["TTL_MS", "SampleSession", "draft", "got", "message_nodes", "model_call", "owner", "settling"]

T = TypeVar("T")

TTL_MS = 60_000

_POLICY = SessionPolicy(model=ModelSpec(provider_id="acme", model_id="large"))


def got(value: T | None) -> T:
    """Give what must be there."""
    assert value is not None
    return value


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

    def on(self, store: SessionStore, *, owner: LeaseOwner | None = None) -> SampleSession:
        """Give the same session through another handle, or as another owner has it."""
        other = SampleSession(store, self.session_id)
        other.owner = self.owner if owner is None else owner
        return other

    def claim(self) -> LeaseFence:
        """Take the session's lease, or have it again."""
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

    def say(self, text: str = "hello", **changes: Any) -> PendingTurnInput:
        """Enqueue an input for the next turn, or what the changes of its draft say."""
        return self.store.enqueue_turn_input(input_draft(self.session_id, text, **changes))

    def wake(self, number: int = 1, **changes: Any) -> QueuedWorkBatch:
        """Enqueue a process wake."""
        return self.store.enqueue_queued_work(wake_draft(self.session_id, number, **changes))

    def command(self, key: str = "key", **changes: Any) -> QueuedWorkBatch:
        """Enqueue a session command under an idempotency key."""
        return self.store.enqueue_queued_work(command_draft(self.session_id, key, **changes))

    def claim_inputs(self, *, limit: int = 64, ttl_ms: int = TTL_MS) -> TurnInputClaim | None:
        """Claim next-turn inputs under the session's lease."""
        return self.store.claim_next_turn_inputs(self.session_id, self.claim(), self.owner, ttl_ms=ttl_ms, limit=limit)

    def accept_inputs(
        self,
        turn_id: str,
        *,
        boundary: CheckpointBoundary = CheckpointBoundary.BEFORE_COMPLETION,
        limit: int = 64,
        ttl_ms: int = TTL_MS,
    ) -> TurnInputClaim | None:
        """Claim inputs for a running turn under the session's lease."""
        return self.store.claim_active_turn_inputs(
            self.session_id, self.claim(), self.owner, turn_id=turn_id, boundary=boundary, ttl_ms=ttl_ms, limit=limit
        )

    def claim_work(
        self,
        *batch_ids: str,
        boundary: QueueBoundary = QueueBoundary.IDLE,
        limit: int = 64,
        ttl_ms: int = TTL_MS,
    ) -> QueuedWorkClaim | None:
        """Claim turn work under the session's lease: exactly ``batch_ids`` where some are given."""
        return self.store.claim_queued_work(
            self.session_id,
            self.claim(),
            self.owner,
            boundary=boundary,
            ttl_ms=ttl_ms,
            limit=limit,
            batch_ids=batch_ids or None,
        )

    def claim_command(self, *, ttl_ms: int = TTL_MS) -> QueuedWorkClaim | None:
        """Claim the command at the head of the queue under the session's lease."""
        return self.store.claim_session_command(self.session_id, self.claim(), self.owner, ttl_ms=ttl_ms)

    def settle(self, *claims: QueuedWorkClaim | TurnInputClaim, **changes: Any) -> CommitResult:
        """Commit nothing but that claims are completed. It releases the lease."""
        return self.commit(**settling(claims), **changes)

    def pending(self) -> list[str]:
        """Give the ids of the inputs that wait, in their order."""
        return [pending.input_id for pending in self.store.list_pending_turn_inputs(self.session_id)]

    def queued(self, *, include_claimed: bool = True) -> list[str]:
        """Give the ids of the batches that are queued, in their order."""
        queued = self.store.list_queued_work(self.session_id, include_claimed=include_claimed)
        return [batch.batch_id for batch in queued]


def settling(claims: Sequence[QueuedWorkClaim | TurnInputClaim]) -> dict[str, Any]:
    """Give the parts of a commit that completes claims."""
    return {
        "completed_queue_claims": tuple(claim for claim in claims if isinstance(claim, QueuedWorkClaim)),
        "completed_turn_input_claims": tuple(claim for claim in claims if isinstance(claim, TurnInputClaim)),
    }
