"""Committing turns straight into our store, as the runtime does it."""

from __future__ import annotations

import time

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import (
    CheckpointDraft,
    CommitStamp,
    ModelCallFact,
    RuntimeCommit,
    TurnFact,
    turn_commit_hash,
)
from lash_host.domain.frame import AgentFrameAssignment, initial_frame
from lash_host.domain.graph import AppendNodes, SessionNode, message_node
from lash_host.domain.lease import LeaseAcquired, LeaseOwner
from lash_host.domain.message import Message, Role, TextPart
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import ProtocolTurnOptions, SessionPolicy
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.domain.usage import TokenUsage

__all__ = ["Session"]

POLICY = SessionPolicy(model=ModelSpec(provider_id="bench", model_id="m"))
FRAME = initial_frame("s", assignment=AgentFrameAssignment(policy=POLICY), created_at_us=0)
USAGE = TokenUsage(input_tokens=1000, output_tokens=100)
ROLES = (Role.USER, Role.ASSISTANT, Role.USER, Role.ASSISTANT)


class Session:
    """One session of a store."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self.owner = LeaseOwner(owner_id="bench", incarnation_id="1")
        self.revision = 0
        self.nodes = 0
        self.leaf: str | None = None

    def prefill(self, events: int, text: str) -> None:
        """Bring the session to a size."""
        while self.nodes < events:
            self._commit(self._new_nodes(min(events - self.nodes, 2_000), text))

    def timed_turn(self, text: str) -> float:
        """Commit a turn of four events; give seconds."""
        nodes = self._new_nodes(4, text)
        started = time.perf_counter()
        self._commit(nodes)
        return time.perf_counter() - started

    def _new_nodes(self, count: int, text: str) -> tuple[SessionNode, ...]:
        made = []
        for _ in range(count):
            node_id = f"n{self.nodes}"
            parts = (TextPart(text=text),)
            message = Message(message_id=node_id, role=ROLES[self.nodes % 4], parts=parts)
            made.append(
                message_node(
                    message,
                    node_id=node_id,
                    parent_node_id=self.leaf,
                    frame_id=FRAME.frame_id,
                    created_at_us=self.nodes,
                )
            )
            self.nodes, self.leaf = self.nodes + 1, node_id
        return tuple(made)

    def _commit(self, nodes: tuple[SessionNode, ...]) -> None:
        answer = self.store.claim_lease("s", self.owner, ttl_ms=30_000)
        assert isinstance(answer, LeaseAcquired)
        turn_id = f"t{self.revision}"
        commit = RuntimeCommit(
            session_id="s",
            expected_head_revision=self.revision or None,
            fence=answer.lease.fence,
            release_lease=True,
            policy=POLICY,
            agent_frames=(FRAME,),
            current_agent_frame_id=FRAME.frame_id,
            graph=AppendNodes(nodes=nodes, leaf_node_id=nodes[-1].node_id),
            checkpoint=CheckpointDraft(
                turn_index=self.revision + 1,
                token_usage=USAGE,
                last_prompt_usage=USAGE,
                protocol_turn_options=ProtocolTurnOptions(),
            ),
            turn=TurnFact(
                turn_id=turn_id,
                turn_index=self.revision + 1,
                frame_id=FRAME.frame_id,
                started_at_us=0,
                duration_ms=1.0,
                outcome="assistant_message",
                iterations=2,
                usage=USAGE,
            ),
            model_calls=tuple(self._model_call(turn_id, number) for number in (1, 2)),
            tool_calls=(self._tool_call(turn_id),),
        )
        stamp = CommitStamp(turn_id=turn_id, commit_hash=turn_commit_hash(commit))
        self.revision = self.store.commit(_stamped(commit, stamp)).head_revision

    def _model_call(self, turn_id: str, number: int) -> ModelCallFact:
        return ModelCallFact(
            call_id=f"{turn_id}:{number}",
            turn_id=turn_id,
            frame_id=FRAME.frame_id,
            iteration=number,
            source="turn",
            provider_id="bench",
            model="m",
            started_at_us=0,
            duration_ms=1.0,
            terminal_reason="stop",
            usage=USAGE,
        )

    def _tool_call(self, turn_id: str) -> ToolCallRecord:
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


def _stamped(commit: RuntimeCommit, stamp: CommitStamp) -> RuntimeCommit:
    from dataclasses import replace

    return replace(commit, stamp=stamp)
