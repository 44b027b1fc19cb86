"""Loading a session, and bringing an open one up to date with its store."""

from __future__ import annotations

from dataclasses import replace

from lash_host.contracts.store import PersistedSession, ReadScope
from lash_host.domain.catalog import ToolState
from lash_host.domain.plugin_state import PluginSnapshot
from lash_host.domain.session import Residency, RuntimeSessionState
from lash_host.runtime.lease_keeper import HeldLease
from lash_host.runtime.resident import ResidentSession

__all__ = ["adopt", "load_scope", "refresh_under_lease", "reload_session", "state_of"]


def load_scope(residency: Residency) -> ReadScope:
    """Say how much of a graph to load."""
    return ReadScope.FULL_GRAPH if residency is Residency.KEEP_ALL else ReadScope.CURRENT_FRAME


def state_of(persisted: PersistedSession) -> RuntimeSessionState:
    """Make the resident state of a loaded session. Its bodies are those that were stored."""
    checkpoint = persisted.checkpoint
    tools = None if persisted.tool_state is None else ToolState.model_validate_json(persisted.tool_state)
    plugins = (
        None if persisted.plugin_snapshot is None else PluginSnapshot.model_validate_json(persisted.plugin_snapshot)
    )
    return RuntimeSessionState(
        session_id=persisted.session_id,
        policy=persisted.policy,
        agent_frames=persisted.agent_frames,
        current_agent_frame_id=persisted.current_agent_frame_id,
        session_graph=persisted.graph.healed(),
        turn_index=checkpoint.turn_index,
        token_usage=checkpoint.token_usage,
        last_prompt_usage=checkpoint.last_prompt_usage,
        protocol_turn_options=checkpoint.protocol_turn_options,
        tool_state_ref=checkpoint.tool_state_ref,
        tool_state_generation=None if tools is None else tools.generation,
        tool_state=tools,
        plugin_snapshot_ref=checkpoint.plugin_snapshot_ref,
        plugin_snapshot_revision=checkpoint.plugin_snapshot_revision,
        plugin_snapshot=plugins,
        execution_state_ref=checkpoint.execution_state_ref,
        token_ledger=persisted.token_ledger,
        checkpoint_ref=persisted.checkpoint_ref,
        head_revision=persisted.head_revision,
    )


async def refresh_under_lease(session: ResidentSession, lease: HeldLease) -> None:
    """Load the session again if anybody else may have written it since this object last held its lease.

    Every commit needs a lease, and every new holder gets the next fencing token. So the token after one's own proves
    that nobody was there in between, without asking the store.
    """
    token = lease.fence.fencing_token
    undisturbed = session.fencing_token is not None and token in {session.fencing_token, session.fencing_token + 1}
    session.fencing_token = token
    if session.needs_reload or not undisturbed:
        await reload_session(session)


async def reload_session(session: ResidentSession) -> None:
    """Make the resident state what the store holds, tools and plugins included, where the two differ.

    A session that was never committed, and one that shall replace what is stored, stay as they are.
    """
    if session.state.head_revision is None and session.state.graph_replace_required:
        return
    store = session.services.store
    if not session.needs_reload:
        info = await store.call(store.store.session_info, session.session_id)
        if info is None or info.head_revision == session.state.head_revision:
            return
    persisted = await store.call(store.store.load_session, session.session_id, scope=load_scope(session.residency))
    if persisted is not None:
        state = state_of(persisted)
        adopt(session, state if session.overlay is None else session.overlay(state))
    elif session.needs_reload:
        session.plugins.restore_snapshot(PluginSnapshot())
    session.needs_reload = False


def adopt(session: ResidentSession, state: RuntimeSessionState) -> None:
    """Take over a loaded state: plugins first, so that a plugin that refuses leaves everything as it was."""
    if state.plugin_snapshot is not None:
        session.plugins.restore_snapshot(state.plugin_snapshot)
        session.stored_snapshot = state.plugin_snapshot
    if state.tool_state is not None:
        session.registry.restore_state(state.tool_state)
    revision = session.plugins.revision_fingerprint()
    session.state = replace(state, tool_state=None, plugin_snapshot=None)
    if state.plugin_snapshot_revision is not None and state.plugin_snapshot_revision != revision:
        # other versions, other plugins or another order: the next commit stores the state under what is there now
        session.state = replace(session.state, plugin_snapshot_revision=None)
