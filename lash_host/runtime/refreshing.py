"""Loading a session, and bringing an open one up to date with its store."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

from lash_host.contracts.store import PersistedSession, ReadScope
from lash_host.domain.catalog import ToolState
from lash_host.domain.plugin_state import PluginSnapshot
from lash_host.domain.session import Residency, RuntimeSessionState
from lash_host.errors import LashError, PluginSnapshotError, SessionBindingMismatch, UnknownSession, UsageFault
from lash_host.runtime.lease_keeper import HeldLease
from lash_host.runtime.resident import ResidentSession

__all__ = [
    "adopt",
    "load_scope",
    "refresh_under_lease",
    "reload_session",
    "replace_state",
    "state_of",
    "taken_back_on_failure",
]

_log = logging.getLogger("lash_host")


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
    that nobody was there in between, without asking the store. Deleting a session ends that count: the host tells its
    open sessions of it, and to others the first commit after it is refused, since its parent node is gone.

    Raises:
        UnknownSession: The session was deleted.
        StoreError: It could not be loaded; the next use tries again.
        PluginSnapshotError, ToolStateError: What is stored cannot be restored.
    """
    token = lease.fence.fencing_token
    undisturbed = session.fencing_token is not None and token in {session.fencing_token, session.fencing_token + 1}
    if session.needs_reload or not undisturbed:
        await reload_session(session)
    session.fencing_token = token


async def reload_session(session: ResidentSession) -> None:
    """Make the resident state what the store holds, tools and plugins included, where the two differ.

    A session that was never committed, and one that shall replace what is stored, stay as they are, but for their
    plugins, which go back to where they were before what failed.

    Raises:
        UnknownSession: It was deleted.
    """
    state, store = session.state, session.services.store
    persisted = None
    if state.head_revision is not None or not state.graph_replace_required:
        if not session.needs_reload:
            info = await store.call(store.store.session_info, session.session_id)
            if (None if info is None else info.head_revision) == state.head_revision:
                return
        persisted = await store.call(store.store.load_session, session.session_id, scope=load_scope(session.residency))
    if persisted is not None:
        adopt(session, session.amended(state_of(persisted)))
    elif state.head_revision is not None:
        raise UnknownSession(session.session_id)
    elif session.needs_reload:
        session.plugins.restore_snapshot(session.stored_snapshot or PluginSnapshot())
    session.needs_reload = False


@contextlib.asynccontextmanager
async def taken_back_on_failure(session: ResidentSession) -> AsyncIterator[None]:
    """Put memory back to what is stored if the body fails. If that fails too, the next use tries again.

    What was spent stays spent: the next commit books it.
    """
    try:
        yield
    except BaseException as exc:
        session.needs_reload = True
        session.disown_calls()
        if isinstance(exc, Exception):
            try:
                await reload_session(session)
            except LashError as failure:
                _log.warning("session %s could not be loaded again: %s", session.session_id, failure)
        raise


def adopt(session: ResidentSession, state: RuntimeSessionState) -> None:
    """Take over a loaded state: all of it, or, if the tools or a plugin refuse theirs, nothing.

    Raises:
        PluginSnapshotError, ToolStateError: They did.
    """
    _restore(session, state)
    revision = session.plugins.revision_fingerprint()
    session.state = replace(state, tool_state=None, plugin_snapshot=None)
    if state.plugin_snapshot_revision is not None and state.plugin_snapshot_revision != revision:
        # other versions, other plugins or another order: the next commit stores the state under what is there now
        session.state = replace(session.state, plugin_snapshot_revision=None)


def replace_state(session: ResidentSession, state: RuntimeSessionState) -> None:
    """Take over a state that the application brings; see `LashRuntime.apply_persistence_state`.

    It goes on from where the session stands in the store, whatever it was exported at. What was spent stays spent.
    """
    current, graph = session.state, state.session_graph.healed()
    if state.session_id != session.session_id:
        raise SessionBindingMismatch(bound_session_id=session.session_id, attempted_session_id=state.session_id)
    nothing_stored = current.head_revision is None and len(graph) > 0
    must_replace = state.graph_replace_required or nothing_stored or graph is not state.session_graph
    if must_replace and graph.is_trimmed:
        raise UsageFault("the state has not the whole graph in it; export it of a session opened with KEEP_ALL")
    _restore(session, state)
    session.state = replace(
        state,
        session_graph=graph,
        graph_replace_required=must_replace,
        head_revision=current.head_revision,
        token_ledger=current.token_ledger,
        plugin_snapshot_revision=None,
        tool_state_generation=None,
    )
    session.amendments = ()
    session.needs_reload = False


def _restore(session: ResidentSession, state: RuntimeSessionState) -> None:
    """Give tools and plugins the state that is stored of them; plugins of which nothing is stored begin anew."""
    tools_before = session.registry.state
    if state.tool_state is not None:
        session.registry.restore_state(state.tool_state)
    try:
        session.plugins.restore_snapshot(state.plugin_snapshot or PluginSnapshot())
    except PluginSnapshotError:
        session.registry.restore_state(tools_before)
        raise
    session.stored_snapshot = state.plugin_snapshot
