"""Changing an open session outside turns: its policy, its tools, its nodes, its frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from lash_host.domain.frame import FrameOpened, FrameRefused, decide_open_frame, with_active_frame
from lash_host.domain.message import Message
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.session import RuntimeSessionState
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import StaleBranch, UsageFault
from lash_host.hookspecs.config import SessionConfigChange
from lash_host.hookspecs.operation import OperationContext
from lash_host.hookspecs.turn import SessionConfigChanged
from lash_host.runtime.committing import CommitDraft, capture_plugin_state, commit_session
from lash_host.runtime.interruption import unless_cancelled
from lash_host.runtime.lease_keeper import HeldLease, hold_lease
from lash_host.runtime.refreshing import refresh_under_lease, taken_back_on_failure
from lash_host.runtime.resident import ResidentSession, chain_nodes
from lash_host.tools.registry import ToolRegistry

__all__ = [
    "OperationCall",
    "append_messages",
    "branch_session",
    "change_policy",
    "edit_tools",
    "invoke_operation",
    "open_frame",
    "run_operation",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCall:
    """A plugin's operation that is to be called."""

    name: str
    kind: Literal["query", "command", "task"]
    arguments: JsonObject


async def change_policy(
    session: ResidentSession, change: Callable[[SessionPolicy], SessionPolicy], *, cancelled: asyncio.Event
) -> SessionPolicy:
    """Change the policy, let plugins rewrite the change, store it, and tell plugins.

    Returns:
        The policy that is in force now.

    Raises:
        TurnInterrupted: It was cancelled before it was stored.
    """
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        await refresh_under_lease(session, lease)
        previous = session.state.effective_policy
        asked = change(previous)
        if asked == previous:
            return previous
        event = SessionConfigChange(session_id=session.session_id, previous=previous, current=asked, state=session.view)
        async with taken_back_on_failure(session):
            current = await unless_cancelled(session.plugins.mutate_session_config(event, asked), cancelled)
        if current == previous:
            return previous
        if session.state.head_revision is None:
            session.amend(lambda state: state.with_policy(current))
        else:
            await _commit(session, session.state.with_policy(current), lease)
    await session.plugins.emit(SessionConfigChanged(session_id=session.session_id, previous=previous, current=current))
    return current


async def edit_tools(session: ResidentSession, edit: Callable[[ToolRegistry], T]) -> T:
    """Edit the session's tools, and store what changed. What cannot be stored is taken back.

    Returns:
        What the edit gives.

    Raises:
        Anything: What the edit raises; nothing changed.
    """
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        await refresh_under_lease(session, lease)
        before = session.registry.state
        result = edit(session.registry)
        if session.registry.state is not before:
            try:
                await _commit(session, session.state, lease)
            except Exception:
                session.registry.restore_state(before)
                raise
        return result


async def append_messages(
    session: ResidentSession, messages: Sequence[Message], *, requires_ancestor_node_id: str | None
) -> tuple[str, ...]:
    """Append messages to the active path and store them; see `LashRuntime.append_session_nodes`."""
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        await refresh_under_lease(session, lease)
        graph = session.state.session_graph
        if requires_ancestor_node_id is not None and not graph.active_path_contains(requires_ancestor_node_id):
            raise StaleBranch(required_node_id=requires_ancestor_node_id, current_leaf_node_id=graph.leaf_node_id)
        nodes = session.message_nodes(messages)
        state, _ = capture_plugin_state(session, session.state)
        await commit_session(session, CommitDraft(state=state, nodes=nodes), lease)
        return tuple(node.node_id for node in nodes)


async def branch_session(session: ResidentSession, node_id: str) -> None:
    """Move the leaf to a node, and back to its frame; see `LashRuntime.branch_to_node`."""
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        await refresh_under_lease(session, lease)
        state = session.state
        node = state.session_graph.node(node_id)
        if node is None:
            raise UsageFault(f"session {session.session_id!r} has no node {node_id!r} in memory")
        if node.kind == "message" and node.message.tool_calls:
            raise UsageFault(f"node {node_id!r} calls tools; branch to the node of their results, or to one before it")
        branched = replace(
            state,
            session_graph=state.session_graph.branch_to(node_id),
            agent_frames=with_active_frame(state.agent_frames, node.frame_id),
            current_agent_frame_id=node.frame_id,
            last_prompt_usage=None,
        )
        await _commit(session, branched, lease)


async def open_frame(
    session: ResidentSession, frame_id: str, *, reason: str, initial_messages: Sequence[Message]
) -> tuple[str, bool]:
    """Open an agent frame and store it; see `LashRuntime.open_agent_frame`."""
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        await refresh_under_lease(session, lease)
        state, now_us = session.state, session.services.clock.now_us()
        decision = decide_open_frame(
            state.agent_frames, state.current_agent_frame_id, frame_id=frame_id, reason=reason, created_at_us=now_us
        )
        if isinstance(decision, FrameRefused):
            raise UsageFault(f"session {session.session_id!r} had a frame {frame_id!r} before; frames open once")
        if not isinstance(decision, FrameOpened):
            return decision.frame_id, False
        opened = decision.frame.frame_id
        nodes = chain_nodes(state, initial_messages, frame_id=opened, now_us=now_us)
        state = replace(state, agent_frames=decision.frames, current_agent_frame_id=opened, last_prompt_usage=None)
        state, _ = capture_plugin_state(session, state)
        await commit_session(session, CommitDraft(state=state, nodes=nodes), lease)
        return opened, True


async def run_operation(session: ResidentSession, operation: OperationCall, *, cancelled: asyncio.Event) -> JsonValue:
    """Run a command or a task of a plugin, and store what it changed of its state.

    Raises:
        TurnInterrupted: It was cancelled; what it changed is taken back.
        Anything: What `PluginSession.invoke_operation` raises; what it changed is taken back.
    """
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        await refresh_under_lease(session, lease)
        async with taken_back_on_failure(session):
            value = await unless_cancelled(invoke_operation(session, operation), cancelled)
        if session.plugins.revision_fingerprint() != session.state.plugin_snapshot_revision:
            await _commit(session, session.state, lease)
        return value


async def invoke_operation(session: ResidentSession, operation: OperationCall) -> JsonValue:
    """Call an operation of a plugin, as the session stands."""
    context = OperationContext(session_id=session.session_id, state=session.view)
    answer = await session.plugins.invoke_operation(
        operation.name, operation.arguments, kind=operation.kind, context=context
    )
    return answer.value


async def _commit(session: ResidentSession, state: RuntimeSessionState, lease: HeldLease) -> None:
    """Store a changed state. One that was never committed stays in memory until its first turn."""
    captured, _ = capture_plugin_state(session, state)
    if state.head_revision is None:
        session.state = state
        session.stored_snapshot = captured.plugin_snapshot or session.stored_snapshot
        return
    await commit_session(session, CommitDraft(state=captured), lease)
