"""The rows that a commit writes, made of the commit alone: pure, so that they can be written anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lash_host.domain.commit import CommitResult, ModelCallFact, RuntimeCommit, TurnFact, content_ref
from lash_host.domain.graph import UnchangedGraph
from lash_host.domain.session import CheckpointManifest
from lash_host.domain.tool import ToolCallRecord, ToolFailure
from lash_host.domain.usage import TokenUsage
from lash_host.store.keys import KeySequence
from lash_host.store.records import dump_frames, dump_json

__all__ = ["CheckpointParts", "CommitRows", "build_rows", "checkpoint_parts"]

Row = tuple[Any, ...]

_NO_TURN: Row = (None,) * 13
"""The facts of a turn, for the stamp of a commit that ended none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointParts:
    """A checkpoint taken apart: the manifest as stored, its name, and the bodies that come with it."""

    text: str
    ref: str
    manifest: CheckpointManifest
    bodies: Mapping[str, bytes]

    @property
    def refs(self) -> frozenset[str]:
        """The blobs that the manifest names."""
        named = (self.manifest.tool_state_ref, self.manifest.plugin_snapshot_ref, self.manifest.execution_state_ref)
        return frozenset(ref for ref in named if ref is not None)

    def result(self, head_revision: int) -> CommitResult:
        """Say what the commit made of the session."""
        return CommitResult(
            head_revision=head_revision,
            checkpoint_ref=self.ref,
            tool_state_ref=self.manifest.tool_state_ref,
            plugin_snapshot_ref=self.manifest.plugin_snapshot_ref,
            plugin_snapshot_revision=self.manifest.plugin_snapshot_revision,
            execution_state_ref=self.manifest.execution_state_ref,
        )


def checkpoint_parts(commit: RuntimeCommit) -> CheckpointParts:
    """Take a commit's checkpoint apart: a body names its blob, an absent one keeps the name it had."""
    draft = commit.checkpoint
    bodies: dict[str, bytes] = {}

    def stored(body: bytes | None, ref: str | None) -> str | None:
        if body is None:
            return ref
        bodies[name := content_ref(body)] = body
        return name

    snapshot_ref = stored(draft.plugin_snapshot, draft.plugin_snapshot_ref)
    manifest = CheckpointManifest(
        turn_index=draft.turn_index,
        token_usage=draft.token_usage,
        last_prompt_usage=draft.last_prompt_usage,
        protocol_turn_options=draft.protocol_turn_options,
        tool_state_ref=stored(draft.tool_state, draft.tool_state_ref),
        plugin_snapshot_ref=snapshot_ref,
        plugin_snapshot_revision=draft.plugin_snapshot_revision if snapshot_ref is not None else None,
        execution_state_ref=stored(draft.execution_state, draft.execution_state_ref),
    )
    text = manifest.model_dump_json()
    return CheckpointParts(text=text, ref=content_ref(text.encode()), manifest=manifest, bodies=bodies)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRows:
    """The rows of a commit by table, each in its table's own order of columns.

    `session` holds the columns of the session's row that a commit decides by itself; the head's and the lease's own
    are the store's business.
    """

    session: Mapping[str, Any]
    nodes: list[Row] = field(default_factory=list)
    turns: list[Row] = field(default_factory=list)
    model_calls: list[Row] = field(default_factory=list)
    tool_calls: list[Row] = field(default_factory=list)
    hook_calls: list[Row] = field(default_factory=list)
    blobs: list[Row] = field(default_factory=list)


def build_rows(
    commit: RuntimeCommit,
    *,
    session_key: int,
    keys: KeySequence,
    checkpoint: CheckpointParts,
    result: CommitResult,
    now_us: int,
) -> CommitRows:
    """Make the rows of a commit that was accepted."""
    turn_id = commit.turn.turn_id if commit.turn is not None else None
    model_keys = keys.take(len(commit.model_calls), now_us=now_us)
    tool_keys = keys.take(len(commit.tool_calls), now_us=now_us)
    return CommitRows(
        session={
            "current_frame_id": commit.current_agent_frame_id,
            "provider_id": commit.policy.provider_id,
            "model": commit.policy.model.model_id,
            "frames": dump_frames(commit.agent_frames),
            "policy": commit.policy.model_dump_json(),
            "checkpoint": checkpoint.text,
            "checkpoint_ref": checkpoint.ref,
        },
        nodes=_nodes(commit, session_key, keys, now_us),
        turns=_turns(commit, session_key, result),
        model_calls=[
            _model_call(call, session_key, key) for key, call in zip(model_keys, commit.model_calls, strict=True)
        ],
        tool_calls=[
            _tool_call(call, session_key, key, turn_id) for key, call in zip(tool_keys, commit.tool_calls, strict=True)
        ],
        hook_calls=[
            (session_key, turn_id, c.plugin_id, c.hook, c.calls, c.total_ms, c.max_ms, c.errors)
            for c in commit.hook_calls
        ],
        blobs=[(ref, body, len(body), now_us) for ref, body in {**checkpoint.bodies, **commit.blobs}.items()],
    )


def _nodes(commit: RuntimeCommit, session_key: int, keys: KeySequence, now_us: int) -> list[Row]:
    if isinstance(commit.graph, UnchangedGraph):
        return []
    new = commit.graph.nodes
    return [
        (
            session_key, key, node.node_id, node.parent_node_id, node.frame_id, node.created_at_us, node.kind,
            node.label, node.payload_json, False,
        )
        for key, node in zip(keys.take(len(new), now_us=now_us), new, strict=True)
    ]  # fmt: skip


def _turns(commit: RuntimeCommit, session_key: int, result: CommitResult) -> list[Row]:
    if commit.turn is None and commit.stamp is None:
        return []
    turn_id = commit.turn.turn_id if commit.turn is not None else commit.stamp.turn_id if commit.stamp else None
    facts = _NO_TURN if commit.turn is None else _turn_facts(commit.turn)
    if commit.stamp is None:
        return [(session_key, turn_id, *facts, None, None)]
    return [(session_key, turn_id, *facts, commit.stamp.commit_hash, result.model_dump_json())]


def _turn_facts(turn: TurnFact) -> Row:
    return (
        turn.turn_index, turn.frame_id, turn.started_at_us, turn.duration_ms, turn.outcome, turn.stop_reason,
        turn.error_code, turn.iterations, *_counters(turn.usage),
    )  # fmt: skip


def _model_call(call: ModelCallFact, session_key: int, key: int) -> Row:
    return (
        session_key, key, call.call_id, call.turn_id, call.frame_id, call.iteration, call.source, call.plugin_id,
        call.provider_id, call.model, call.started_at_us, call.duration_ms, call.time_to_first_token_ms, call.attempts,
        call.terminal_reason, call.error_kind, *_counters(call.usage), call.cost_usd,
    )  # fmt: skip


def _tool_call(call: ToolCallRecord, session_key: int, key: int, turn_id: str | None) -> Row:
    arguments, output = dump_json(call.arguments), dump_json(call.output.model_dump(mode="json"))
    outcome = call.output.outcome
    return (
        session_key, key, call.call_id, turn_id, call.tool_id, call.tool_name, call.plugin_id, call.started_at_us,
        call.duration_ms, outcome.status, call.attempts, outcome.code if isinstance(outcome, ToolFailure) else None,
        len(arguments.encode()), len(output.encode()), arguments, output,
    )  # fmt: skip


def _counters(usage: TokenUsage) -> Row:
    return (
        usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens, usage.cache_write_input_tokens,
        usage.reasoning_output_tokens,
    )  # fmt: skip
