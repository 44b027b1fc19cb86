"""A runtime commit: everything a turn changed, and the decision whether it lands."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lash_host.domain.frame import AgentFrame
from lash_host.domain.graph import GraphDelta, SessionNode, UnchangedGraph
from lash_host.domain.lease import LeaseFence, LeaseRow, holds
from lash_host.domain.policy import ProtocolTurnOptions, SessionPolicy
from lash_host.domain.queue import QueuedWorkClaim
from lash_host.domain.tool import ToolCallRecord
from lash_host.domain.turn_input import TurnInputClaim
from lash_host.domain.usage import TokenUsage
from lash_host.domain.value import JsonValue, Value

__all__ = [
    "CheckpointDraft",
    "CommitAccepted",
    "CommitDecision",
    "CommitReplayed",
    "CommitResult",
    "CommitStamp",
    "HeadConflict",
    "HeadRow",
    "HookCallFact",
    "LeaseExpired",
    "ModelCallFact",
    "PluginSeen",
    "RuntimeCommit",
    "StampConflict",
    "StoredStamp",
    "TurnFact",
    "content_ref",
    "decide_commit",
    "turn_commit_hash",
]


def content_ref(body: bytes) -> str:
    """Name bytes by their content: SHA-256, hex."""
    return hashlib.sha256(body).hexdigest()


class ModelCallFact(Value):
    """One model call, as `usage.model_calls` shows it.

    Attributes:
        call_id: Unique within the session.
        turn_id: The turn it belongs to; None outside one.
        frame_id: The agent frame.
        iteration: Which model call of the turn, from 1; 0 outside the turn's own loop.
        source: What it was for; see `TokenLedgerEntry.source`.
        plugin_id: The plugin that made it, where one did.
        duration_ms: All attempts and waits.
        time_to_first_token_ms: From the start of the last attempt; None where nothing was streamed.
        attempts: How often it was sent.
        cost_usd: What it cost; None where no price is known.
    """

    call_id: str
    turn_id: str | None
    frame_id: str
    iteration: int = 0
    source: str
    plugin_id: str | None = None
    provider_id: str
    model: str
    started_at_us: int
    duration_ms: float
    time_to_first_token_ms: float | None = None
    attempts: int = 1
    terminal_reason: str
    error_kind: str | None = None
    usage: TokenUsage = TokenUsage()
    cost_usd: float | None = None


class HookCallFact(Value):
    """What one plugin's implementations of one hook did in one turn."""

    plugin_id: str
    hook: str
    calls: int
    total_ms: float
    max_ms: float
    errors: int


class PluginSeen(Value):
    """A plugin that was there when the commit was made."""

    plugin_id: str
    version: str


class TurnFact(Value):
    """One turn, as `usage.turns` shows it."""

    turn_id: str
    turn_index: int
    frame_id: str
    started_at_us: int
    duration_ms: float
    outcome: str
    stop_reason: str | None = None
    error_code: str | None = None
    iterations: int
    usage: TokenUsage = TokenUsage()


class CommitStamp(Value):
    """What makes a repeated commit of the same turn recognizable."""

    turn_id: str
    commit_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointDraft:
    """The checkpoint of a commit.

    A body that is given becomes a blob. A body that is not given while its ref is keeps the stored one: that is how
    an unchanged snapshot costs nothing. Neither: the component is gone.
    """

    turn_index: int
    token_usage: TokenUsage
    last_prompt_usage: TokenUsage | None
    protocol_turn_options: ProtocolTurnOptions
    tool_state: bytes | None = None
    tool_state_ref: str | None = None
    plugin_snapshot: bytes | None = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot_revision: int | None = None
    execution_state: bytes | None = None
    execution_state_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeCommit:
    """Everything that lands in one transaction or not at all.

    Attributes:
        session_id: The session it is for.
        expected_head_revision: The revision it was made from; None means: do not check.
        fence: Proof of the session execution lease. Needed even by a session's first commit.
        release_lease: Whether the lease ends with the commit.
        policy: The session's policy.
        agent_frames: All frames, the active one among them.
        current_agent_frame_id: The active one.
        graph: What changes in the graph.
        checkpoint: What else is stored.
        blobs: Further content-addressed bytes, such as images, by `content_ref`.
        turn: The turn, where the commit ends one.
        model_calls: Model calls since the last commit. They are also the usage ledger.
        tool_calls: Tool calls since the last commit.
        hook_calls: Hook calls since the last commit.
        plugins: The session's plugins.
        stamp: Makes the commit repeatable.
        parent_session_id: Recorded when the session is created.
        title: Recorded when the session has none.
        completed_queue_claims: Claims of queued work that the commit settles: their batches go.
        completed_turn_input_claims: Claims of turn input that the commit settles: their inputs are completed.
        interrupted_turn_id: The turn that was interrupted: input that waited for it and was not accepted becomes
            next-turn input. Done after the completions.
        attachment_ids: Attachments that the commit names; from now on they are kept with the session.
    """

    session_id: str
    expected_head_revision: int | None
    fence: LeaseFence | None
    release_lease: bool
    policy: SessionPolicy
    agent_frames: tuple[AgentFrame, ...]
    current_agent_frame_id: str
    graph: GraphDelta
    checkpoint: CheckpointDraft
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    turn: TurnFact | None = None
    model_calls: tuple[ModelCallFact, ...] = ()
    tool_calls: tuple[ToolCallRecord, ...] = ()
    hook_calls: tuple[HookCallFact, ...] = ()
    plugins: tuple[PluginSeen, ...] = ()
    stamp: CommitStamp | None = None
    parent_session_id: str | None = None
    title: str | None = None
    completed_queue_claims: tuple[QueuedWorkClaim, ...] = ()
    completed_turn_input_claims: tuple[TurnInputClaim, ...] = ()
    interrupted_turn_id: str | None = None
    attachment_ids: tuple[str, ...] = ()


class CommitResult(Value):
    """What a landed commit made of the session; what a repeated one is answered with."""

    head_revision: int
    checkpoint_ref: str
    tool_state_ref: str | None
    plugin_snapshot_ref: str | None
    plugin_snapshot_revision: int | None
    execution_state_ref: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """What a store has of a session's head: revision 0 when nothing was ever committed."""

    session_id: str
    head_revision: int
    lease: LeaseRow


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStamp:
    """The stamp stored for the commit's turn, if any."""

    commit_hash: str
    result: CommitResult


@dataclass(frozen=True, slots=True)
class CommitAccepted:
    """It lands as this revision."""

    head_revision: int


@dataclass(frozen=True, slots=True)
class CommitReplayed:
    """It landed before. Nothing is written but, where asked for and still held, the lease's release."""

    result: CommitResult


@dataclass(frozen=True, slots=True)
class StampConflict:
    """The turn was committed before with other content."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class LeaseExpired:
    """The fence is missing, or not that of the live lease."""


@dataclass(frozen=True, slots=True)
class HeadConflict:
    """Another writer was first."""

    expected: int
    actual: int


CommitDecision = CommitAccepted | CommitReplayed | StampConflict | LeaseExpired | HeadConflict


def decide_commit(head: HeadRow, stamp: StoredStamp | None, commit: RuntimeCommit, *, now_ms: int) -> CommitDecision:
    """Say what must happen to ``commit`` at ``head``.

    A replay is recognized first: a writer that lost its lease *after* its commit landed must learn that it landed.
    The stored hash is compared with the one given, never computed again. Then the fence, then the revision.
    """
    if commit.stamp is not None and stamp is not None:
        if stamp.commit_hash == commit.stamp.commit_hash:
            return CommitReplayed(stamp.result)
        return StampConflict(commit.stamp.turn_id)
    if commit.fence is None or commit.fence.session_id != commit.session_id:
        return LeaseExpired()
    if not holds(head.lease, commit.fence, now_ms=now_ms):
        return LeaseExpired()
    expected = commit.expected_head_revision
    if expected is not None and expected != head.head_revision:
        return HeadConflict(expected=expected, actual=head.head_revision)
    return CommitAccepted(head.head_revision + 1)


_VOLATILE = frozenset({"message_id", "node_id", "parent_node_id", "started_at_us", "created_at_us", "duration_ms"})


def turn_commit_hash(commit: RuntimeCommit) -> str:
    """Identify a turn's content: SHA-256 over what was said, called and spent.

    Ids of nodes and messages, times, the expected revision and the lease do not count, so that a repeated commit is
    recognized after they have changed.
    """
    nodes: tuple[SessionNode, ...] = () if isinstance(commit.graph, UnchangedGraph) else commit.graph.nodes
    bodies = [_stable_payload(node) for node in nodes]
    claims = [
        *(settled.claim.claim_token for settled in commit.completed_queue_claims),
        *(settled.claim.claim_token for settled in commit.completed_turn_input_claims),
    ]
    content: dict[str, JsonValue] = {
        "session": commit.session_id,
        "turn": None if commit.turn is None else _stable(commit.turn.model_dump(mode="json")),
        "frame": commit.current_agent_frame_id,
        "policy": commit.policy.model_dump(mode="json"),
        "nodes": [[node.kind, node.label, len(body)] for node, body in zip(nodes, bodies, strict=True)],
        "calls": [
            _stable(call.model_dump(mode="json", include={"source", "model", "usage"})) for call in commit.model_calls
        ],
        "tools": [_stable(call.model_dump(mode="json")) for call in commit.tool_calls],
        "blobs": [*sorted(commit.blobs)],
        "settled": [*sorted(claims)],
        "interrupted": commit.interrupted_turn_id,
        "attachments": [*sorted(commit.attachment_ids)],
    }
    return content_ref(b"".join((_encode(content).encode(), *bodies)))


_OWN_ID = re.compile(r'\{"message_id":"(?:[^"\\]|\\.)*",')


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def _stable_payload(node: SessionNode) -> bytes:
    """Leave out a payload's own ids and times; a message's is its first member, and need not be parsed for it."""
    found = _OWN_ID.match(node.payload_json) if node.kind == "message" else None
    text = _encode(_stable(json.loads(node.payload_json))) if found is None else node.payload_json[found.end() :]
    return text.encode("utf-8", "surrogatepass")


def _stable(record: JsonValue) -> JsonValue:
    """Leave out a record's own ids and times. What lies deeper is content, whatever its keys are called."""
    if not isinstance(record, dict):
        return record
    return {key: item for key, item in record.items() if key not in _VOLATILE}
