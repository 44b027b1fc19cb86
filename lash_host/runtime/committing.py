"""Making commits of a session, and taking over what a landed commit made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lash_host.domain.commit import (
    CheckpointDraft,
    CommitResult,
    CommitStamp,
    HookCallFact,
    ModelCallFact,
    RuntimeCommit,
    TurnFact,
    turn_commit_hash,
)
from lash_host.domain.graph import AppendNodes, GraphDelta, ReplaceGraph, SessionNode, UnchangedGraph
from lash_host.domain.session import RuntimeSessionState
from lash_host.domain.tool import ToolCallRecord
from lash_host.domain.turn import TurnIssue
from lash_host.domain.usage import TokenLedgerEntry, merge_ledger
from lash_host.errors import InvalidCommit, PluginSnapshotError
from lash_host.runtime.lease_keeper import HeldLease
from lash_host.runtime.resident import ResidentSession

__all__ = ["CommitDraft", "capture_plugin_state", "commit_session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitDraft:
    """What a commit shall make of a session.

    Attributes:
        state: The state it leads to, the new nodes not yet in its graph.
        nodes: The new nodes.
        turn: The turn it ends, if any.
        tool_calls: The turn's tool calls.
        blobs: Bytes of images the nodes refer to.
        title: The session's title, used when it has none.
        release_lease: Whether the lease ends with it.
    """

    state: RuntimeSessionState
    nodes: tuple[SessionNode, ...] = ()
    turn: TurnFact | None = None
    tool_calls: tuple[ToolCallRecord, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    title: str | None = None
    release_lease: bool = True


def capture_plugin_state(
    session: ResidentSession, state: RuntimeSessionState
) -> tuple[RuntimeSessionState, TurnIssue | None]:
    """Put changed tool and plugin state into ``state``, unchanged state stays what is stored.

    A failed capture keeps what was stored before, and its old revision, so that the next commit tries again.
    """
    tools = session.registry.state
    if state.tool_state_ref is None or state.tool_state_generation != tools.generation:
        state = replace(state, tool_state=tools, tool_state_generation=tools.generation)
    fingerprint = session.plugins.revision_fingerprint()
    if state.plugin_snapshot_ref is not None and state.plugin_snapshot_revision == fingerprint:
        return state, None
    try:
        snapshot = session.plugins.capture_snapshot(session.stored_snapshot)
    except PluginSnapshotError as exc:
        issue = TurnIssue(kind="plugin", code=exc.code, message=str(exc), plugin_id=exc.plugin_id)
        return state, issue
    return replace(state, plugin_snapshot=snapshot, plugin_snapshot_revision=fingerprint), None


async def commit_session(session: ResidentSession, draft: CommitDraft, lease: HeldLease) -> CommitResult:
    """Commit, and make the outcome the session's resident state.

    What was staged counts as committed only when the commit landed.

    Raises:
        SessionLeaseLost: The lease was lost; nothing was written.
        StoreError: The store refused and wrote nothing; the resident state will be loaded again.
        asyncio.CancelledError: The caller was cancelled meanwhile; what landed is taken over all the same.
    """
    lease.ensure_held()
    calls, hooks, amendments = tuple(session.staged_calls), session.plugins.hook_calls(), session.amendments
    commit = _runtime_commit(session, draft, lease, calls, hooks)
    store = session.services.store
    try:
        result, cancelled = await store.settle(store.store.commit, commit)
    except BaseException:
        session.needs_reload = True
        raise
    if draft.release_lease:
        lease.mark_released()
    del session.staged_calls[: len(calls)]
    session.plugins.forget_hook_calls(hooks)
    session.unseen_plugins = False
    session.amendments = session.amendments[len(amendments) :]
    if draft.state.plugin_snapshot is not None:
        session.stored_snapshot = draft.state.plugin_snapshot
    session.state = session.amended(_landed(draft, result, calls))
    if cancelled:
        raise asyncio.CancelledError
    return result


def _runtime_commit(
    session: ResidentSession,
    draft: CommitDraft,
    lease: HeldLease,
    calls: tuple[ModelCallFact, ...],
    hooks: tuple[HookCallFact, ...],
) -> RuntimeCommit:
    state = draft.state
    commit = RuntimeCommit(
        session_id=state.session_id,
        expected_head_revision=state.head_revision,
        fence=lease.fence,
        release_lease=draft.release_lease,
        policy=state.policy,
        agent_frames=state.agent_frames,
        current_agent_frame_id=state.current_agent_frame_id,
        graph=_delta(draft),
        checkpoint=_checkpoint(state),
        blobs=draft.blobs,
        turn=draft.turn,
        model_calls=calls,
        tool_calls=draft.tool_calls,
        hook_calls=hooks,
        plugins=session.plugins.seen if session.unseen_plugins else (),
        parent_session_id=session.parent_session_id,
        title=draft.title,
    )
    if draft.turn is None:
        return commit
    stamp = CommitStamp(turn_id=draft.turn.turn_id, commit_hash=turn_commit_hash(commit))
    return replace(commit, stamp=stamp)


def _delta(draft: CommitDraft) -> GraphDelta:
    leaf = draft.nodes[-1].node_id if draft.nodes else draft.state.session_graph.leaf_node_id
    if draft.state.graph_replace_required:
        if draft.state.session_graph.is_trimmed:
            problem = "a graph that is trimmed to its active path cannot replace the whole one"
            raise InvalidCommit(session_id=draft.state.session_id, problem=problem)
        return ReplaceGraph(nodes=(*draft.state.session_graph.nodes, *draft.nodes), leaf_node_id=leaf)
    if draft.nodes:
        return AppendNodes(nodes=draft.nodes, leaf_node_id=leaf)
    return UnchangedGraph(leaf_node_id=leaf)


def _checkpoint(state: RuntimeSessionState) -> CheckpointDraft:
    tools, plugins = state.tool_state, state.plugin_snapshot
    return CheckpointDraft(
        turn_index=state.turn_index,
        token_usage=state.token_usage,
        last_prompt_usage=state.last_prompt_usage,
        protocol_turn_options=state.protocol_turn_options,
        tool_state=None if tools is None else tools.model_dump_json().encode(),
        tool_state_ref=state.tool_state_ref,
        plugin_snapshot=None if plugins is None else plugins.model_dump_json().encode(),
        plugin_snapshot_ref=state.plugin_snapshot_ref,
        plugin_snapshot_revision=state.plugin_snapshot_revision,
        execution_state_ref=state.execution_state_ref,
    )


def _landed(draft: CommitDraft, result: CommitResult, calls: tuple[ModelCallFact, ...]) -> RuntimeSessionState:
    spent = (TokenLedgerEntry(source=c.source, model=c.model, usage=c.usage) for c in calls)
    state = draft.state
    return replace(
        state,
        session_graph=state.session_graph.append(draft.nodes),
        head_revision=result.head_revision,
        checkpoint_ref=result.checkpoint_ref,
        tool_state_ref=result.tool_state_ref,
        plugin_snapshot_ref=result.plugin_snapshot_ref,
        plugin_snapshot_revision=result.plugin_snapshot_revision,
        execution_state_ref=result.execution_state_ref,
        tool_state=None,
        plugin_snapshot=None,
        token_ledger=merge_ledger((*state.token_ledger, *spent)),
        graph_replace_required=False,
    )
