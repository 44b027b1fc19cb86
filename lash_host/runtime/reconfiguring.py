"""Changing an open session outside turns: its policy, its tools, its nodes, its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lash_host.domain.frame import FrameOpened, FrameRefused, decide_open_frame
from lash_host.domain.message import Message
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.session import RuntimeSessionState
from lash_host.errors import StaleBranch, UsageFault
from lash_host.hookspecs.config import SessionConfigChange
from lash_host.hookspecs.turn import SessionConfigChanged
from lash_host.runtime.committing import CommitDraft, capture_plugin_state, commit_session
from lash_host.runtime.lease_keeper import HeldLease, hold_lease
from lash_host.runtime.refreshing import refresh_under_lease
from lash_host.runtime.resident import ResidentSession, chain_nodes

__all__ = ["append_messages", "branch_session", "change_policy", "commit_tools", "open_frame"]


async def change_policy(session: ResidentSession, change: Callable[[SessionPolicy], SessionPolicy]) -> SessionPolicy:
    """Change the policy, let plugins rewrite the change, store it, and tell plugins.

    Returns:
        The policy that is in force now.
    """
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        await refresh_under_lease(session, lease)
        previous = session.state.effective_policy
        asked = change(previous)
        if asked == previous:
            return previous
        event = SessionConfigChange(session_id=session.session_id, previous=previous, current=asked, state=session.view)
        current = await session.plugins.mutate_session_config(event, asked)
        if current == previous:
            return previous
        await _commit(session, session.state.with_policy(current), lease)
    await session.plugins.emit(SessionConfigChanged(session_id=session.session_id, previous=previous, current=current))
    return current


async def commit_tools(session: ResidentSession) -> None:
    """Store the tool state after it was edited."""
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        session.fencing_token = lease.fence.fencing_token
        await _commit(session, session.state, lease)


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
    """Move the leaf to a node; see `LashRuntime.branch_to_node`."""
    async with hold_lease(session.services, session.session_id, session.owner) as lease:
        await refresh_under_lease(session, lease)
        try:
            graph = session.state.session_graph.branch_to(node_id)
        except KeyError:
            raise UsageFault(f"session {session.session_id!r} has no node {node_id!r} in memory") from None
        await _commit(session, replace(session.state, session_graph=graph), lease)


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


async def _commit(session: ResidentSession, state: RuntimeSessionState, lease: HeldLease) -> None:
    """Store a changed state. One that was never committed stays in memory until its first turn."""
    if state.head_revision is None:
        session.state = state
        return
    state, _ = capture_plugin_state(session, state)
    await commit_session(session, CommitDraft(state=state), lease)
