"""Opening a session, fresh or resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from lash_host.domain.frame import AgentFrameAssignment, initial_frame
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import PluginOptions, SessionPolicy
from lash_host.domain.session import Residency, RuntimeSessionState
from lash_host.domain.value import JsonObject
from lash_host.errors import UsageFault
from lash_host.hookspecs.turn import SessionReadyContext, SessionRestored
from lash_host.plugin.host import SessionRequest
from lash_host.runtime.materializing import materialize_protocol, protocol_failures
from lash_host.runtime.refreshing import adopt, load_scope, state_of
from lash_host.runtime.resident import ResidentSession
from lash_host.runtime.services import HostServices
from lash_host.tools.registry import ToolRegistry

__all__ = ["OpenRequest", "open_resident_session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """A session that shall be opened; see `LashHost.session`."""

    session_id: str | None = None
    model: str | ModelSpec | None = None
    provider: str | None = None
    policy: SessionPolicy | None = None
    plugin_options: Mapping[str, JsonObject] | None = None
    parent: str | None = None
    fresh: bool = False
    residency: Residency = Residency.ACTIVE_PATH


async def open_resident_session(services: HostServices, request: OpenRequest) -> ResidentSession:
    """Open a session.

    Raises:
        UsageFault: The id is blank.
        UnknownProvider, UnknownModel: The model asked for does not exist.
        UnknownPlugin, InvalidPluginOptions: The options do not fit the plugins.
        PluginError: A plugin failed.
        StoreError: The stored session cannot be read.
    """
    session_id = services.ids("session") if request.session_id is None else request.session_id
    if not session_id.strip():
        raise UsageFault("a session id must not be blank")
    store = services.store
    persisted = None
    if not request.fresh:
        scope = load_scope(request.residency)
        persisted = await store.call(store.store.load_session, session_id, scope=scope)
    if persisted is None:
        state = _fresh_state(services, request, session_id)
    else:
        state = _resumed_state(services, request, state_of(persisted))
    options = state.current_frame.assignment.plugin_options
    plugins = services.plugins.build_session(
        SessionRequest(
            session_id=session_id,
            parent_session_id=request.parent,
            plugin_options=options,
            tool_access=state.current_frame.assignment.tool_access,
            strict_options=persisted is None,
        )
    )
    session = ResidentSession(
        services=services,
        state=replace(state, tool_state=None, plugin_snapshot=None),
        plugins=plugins,
        registry=ToolRegistry(plugins.export_tools()),
        owner=services.new_owner(),
        parent_session_id=request.parent,
        plugin_options=options,
        residency=request.residency,
    )
    session.amendments = (partial(_resumed_state, services, request),)
    with protocol_failures(session, "initialize_session"):
        await plugins.protocol.initialize_session(session_id)
    await plugins.session_ready(SessionReadyContext(session_id=session_id, plugin_ids=plugins.plugin_ids))
    if persisted is not None:
        adopt(session, state)
    given = {plugin_id: options[plugin_id] for plugin_id in request.plugin_options or {}}
    materialize_protocol(session, given, is_root_session=request.parent is None)
    with protocol_failures(session, "restore_session"):
        await plugins.protocol.restore_session(session.view)
    await plugins.emit(SessionRestored(session_id=session_id, state=session.view, is_resumed=persisted is not None))
    return session


def _fresh_state(services: HostServices, request: OpenRequest, session_id: str) -> RuntimeSessionState:
    if request.policy is not None and request.model is None:
        policy = request.policy
    else:
        asked = request.model if request.model is not None else services.settings.model
        model = services.resolve_model(asked, provider_id=request.provider)
        policy = (
            SessionPolicy(model=model, max_turns=services.settings.max_turns)
            if request.policy is None
            else request.policy.model_copy(update={"model": model})
        )
    options: PluginOptions = {key: dict(value) for key, value in (request.plugin_options or {}).items()}
    frame = initial_frame(
        session_id,
        assignment=AgentFrameAssignment(policy=policy, plugin_options=options),
        created_at_us=services.clock.now_us(),
    )
    return RuntimeSessionState(
        session_id=session_id,
        policy=policy,
        agent_frames=(frame,),
        current_agent_frame_id=frame.frame_id,
        graph_replace_required=request.fresh,
    )


def _resumed_state(services: HostServices, request: OpenRequest, state: RuntimeSessionState) -> RuntimeSessionState:
    """Lay what was asked for at this opening over what is recorded. Nothing is written until the next commit."""
    policy = state.effective_policy if request.policy is None else request.policy
    if request.model is not None or request.provider is not None:
        asked = policy.model.model_id if request.model is None else request.model
        model = services.resolve_model(asked, provider_id=request.provider)
        policy = policy.model_copy(update={"model": model})
    if policy != state.effective_policy:
        state = state.with_policy(policy)
    if request.plugin_options:
        frame = state.current_frame
        merged = dict(frame.assignment.plugin_options)
        for plugin_id, options in request.plugin_options.items():
            merged[plugin_id] = {**merged.get(plugin_id, {}), **options}
        state = state.with_plugin_options(merged)
    return state
