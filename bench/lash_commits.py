"""Committing turns straight into our store, as the runtime does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lash_host.contracts.store import ReadScope, SessionStore
from lash_host.domain.commit import (
    CheckpointDraft,
    CommitStamp,
    ModelCallFact,
    RuntimeCommit,
    TurnFact,
    turn_commit_hash,
)
from lash_host.domain.frame import AgentFrame, AgentFrameAssignment, decide_open_frame, initial_frame
from lash_host.domain.graph import AppendNodes, SessionNode, message_node
from lash_host.domain.lease import LeaseAcquired, LeaseFence, LeaseOwner
from lash_host.domain.message import Message, Role, TextPart
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import ProtocolTurnOptions, SessionPolicy
from lash_host.domain.queue import QueuedWorkClaim
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.domain.usage import TokenUsage

__all__ = ["EVENTS", "OWNER", "Session", "frames"]

EVENTS = 4
"""Of a turn: what the user said, the call of a tool, its result, the answer."""

OWNER = LeaseOwner(owner_id="bench", incarnation_id="1")
POLICY = SessionPolicy(model=ModelSpec(provider_id="bench", model_id="m"))
USAGE = TokenUsage(input_tokens=1000, output_tokens=100)
ROLES = (Role.USER, Role.ASSISTANT, Role.USER, Role.ASSISTANT)
_TTL_MS = 60_000


def frames(count: int) -> tuple[AgentFrame, ...]:
    """Give a session's frames after so many of them, the last one active."""
    made: tuple[AgentFrame, ...] = (
        initial_frame("s", assignment=AgentFrameAssignment(policy=POLICY), created_at_us=0),
    )
    for _ in range(count - 1):
        made = _with_another(made)
    return made


class Session:
    """One session of a store."""

    def __init__(self, store: SessionStore, session_id: str = "s", *, owner: LeaseOwner = OWNER) -> None:
        self.store, self.session_id, self.owner = store, session_id, owner
        self.frames = frames(1)
        self.revision = 0
        self.nodes = 0
        self.leaf: str | None = None

    def resume(self) -> Session:
        """Go on where the store has the session, if it has it."""
        loaded = self.store.load_session(self.session_id, scope=ReadScope.CURRENT_FRAME)
        if loaded is None:
            return self
        self.frames, self.revision, self.leaf = loaded.agent_frames, loaded.head_revision, loaded.graph.leaf_node_id
        self.nodes = 0 if self.leaf is None else int(self.leaf[1:]) + 1
        return self

    def prefill(self, events: int, texts: Sequence[str]) -> None:
        """Bring the session to a size."""
        while self.nodes < events:
            self.commit(self.new_nodes(min(events - self.nodes, 2_000), texts))

    def open_frame(self) -> None:
        """Begin another frame with the next commit, as a compaction does."""
        self.frames = _with_another(self.frames)

    def new_nodes(self, count: int, texts: Sequence[str]) -> tuple[SessionNode, ...]:
        """Make the session's next nodes."""
        made = []
        for _ in range(count):
            node_id = f"n{self.nodes}"
            parts = (TextPart(text=texts[self.nodes % len(texts)]),)
            message = Message(message_id=node_id, role=ROLES[self.nodes % EVENTS], parts=parts)
            made.append(
                message_node(
                    message,
                    node_id=node_id,
                    parent_node_id=self.leaf,
                    frame_id=self.frames[-1].frame_id,
                    created_at_us=self.nodes,
                )
            )
            self.nodes, self.leaf = self.nodes + 1, node_id
        return tuple(made)

    def commit(self, nodes: tuple[SessionNode, ...]) -> None:
        """Claim the lease, commit a turn under it, release it with the commit."""
        answer = self.store.claim_lease(self.session_id, self.owner, ttl_ms=_TTL_MS)
        assert isinstance(answer, LeaseAcquired)
        self.commit_under(answer.lease.fence, nodes)

    def commit_under(
        self, fence: LeaseFence, nodes: tuple[SessionNode, ...], *, completes: tuple[QueuedWorkClaim, ...] = ()
    ) -> None:
        """Commit a turn under a lease that is held, and release it with the commit."""
        turn_id, frame_id = f"t{self.revision}", self.frames[-1].frame_id
        commit = RuntimeCommit(
            session_id=self.session_id,
            expected_head_revision=self.revision or None,
            fence=fence,
            release_lease=True,
            policy=POLICY,
            agent_frames=self.frames,
            current_agent_frame_id=frame_id,
            graph=AppendNodes(nodes=nodes, leaf_node_id=nodes[-1].node_id),
            checkpoint=_checkpoint(self.revision + 1),
            turn=_turn(turn_id, self.revision + 1, frame_id),
            model_calls=tuple(_model_call(turn_id, number, frame_id) for number in (1, 2)),
            tool_calls=(_tool_call(turn_id),),
            completed_queue_claims=completes,
        )
        stamp = CommitStamp(turn_id=turn_id, commit_hash=turn_commit_hash(commit))
        self.revision = self.store.commit(replace(commit, stamp=stamp)).head_revision


def _with_another(made: tuple[AgentFrame, ...]) -> tuple[AgentFrame, ...]:
    opened = decide_open_frame(
        made, made[-1].frame_id, frame_id=f"s:frame:{len(made)}", reason="compaction", created_at_us=len(made)
    )
    result: tuple[AgentFrame, ...] = opened.frames  # type: ignore[union-attr]
    return result


def _checkpoint(turn_index: int) -> CheckpointDraft:
    return CheckpointDraft(
        turn_index=turn_index,
        token_usage=USAGE,
        last_prompt_usage=USAGE,
        protocol_turn_options=ProtocolTurnOptions(),
    )


def _turn(turn_id: str, turn_index: int, frame_id: str) -> TurnFact:
    return TurnFact(
        turn_id=turn_id,
        turn_index=turn_index,
        frame_id=frame_id,
        started_at_us=0,
        duration_ms=1.0,
        outcome="assistant_message",
        iterations=2,
        usage=USAGE,
    )


def _model_call(turn_id: str, number: int, frame_id: str) -> ModelCallFact:
    return ModelCallFact(
        call_id=f"{turn_id}:{number}",
        turn_id=turn_id,
        frame_id=frame_id,
        iteration=number,
        source="turn",
        provider_id="bench",
        model="m",
        started_at_us=0,
        duration_ms=1.0,
        terminal_reason="stop",
        usage=USAGE,
    )


def _tool_call(turn_id: str) -> ToolCallRecord:
    return ToolCallRecord(
        call_id=f"{turn_id}:c",
        tool_id="bench.search",
        tool_name="search",
        plugin_id="bench",
        arguments={"q": "x"},
        output=ToolOutput.success("y"),
        attempts=1,
        started_at_us=0,
        duration_ms=1.0,
    )
