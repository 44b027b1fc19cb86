"""Building the plugins of one session: makes each session plugin, checks it, and fills the singletons."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lash_host.contracts.protocol import TurnProtocol
from lash_host.domain.commit import PluginSeen
from lash_host.domain.directive import Owned
from lash_host.domain.policy import PluginOptions, ToolAccess
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import (
    InvalidPluginOptions,
    MissingProtocol,
    PluginLoadError,
    SingletonConflict,
    UnknownPlugin,
)
from lash_host.hookspecs.host import PluginSessionContext
from lash_host.hookspecs.protocol import CodeExecutor
from lash_host.plugin.counters import HookCounters
from lash_host.plugin.discovery import InstalledPlugin
from lash_host.plugin.dispatch import Dispatcher, OnFailure
from lash_host.plugin.inspection import HookInspector, HookProblem
from lash_host.plugin.operations import by_name
from lash_host.plugin.registry import HookRegistry, Implementation
from lash_host.plugin.session import PluginSession, SessionParts
from lash_host.plugin.snapshots import SnapshotPart, Snapshots

__all__ = ["BuildEnvironment", "SessionRequest", "build_session", "check_session_plugin", "make_session_plugin"]

_PROTOCOL = "lash_protocol"
_EXECUTOR = "lash_code_executor"
_PROJECTOR = "lash_project_tool_result"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """A session that is to be built.

    Attributes:
        session_id: The session.
        parent_session_id: The session that created it; None for a root.
        plugin_options: Options by plugin id, laid over those of the settings key by key.
        tool_access: Which tools it may see.
        strict_options: Whether options of a plugin that is not here are an error. A resumed session whose plugin was
            uninstalled is opened without.
    """

    session_id: str
    parent_session_id: str | None = None
    plugin_options: PluginOptions = field(default_factory=dict)
    tool_access: ToolAccess = ToolAccess()
    strict_options: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEnvironment:
    """What a host has that every session is built from.

    Attributes:
        plugins: The plugins that take part, in plugin order.
        makers: Their implementations of `lash_create_session_plugin`, in the order they are called in.
        settings_options: Options by plugin id, from the settings.
        protocol: The plugin id of the protocol to use; None where the settings choose none.
        extensions: What plugins contributed for others to read.
        inspector: Knows what classes implement.
        timer: Gives seconds that never go back.
        on_failure: Is told of failures that are not raised.
        on_problem: Is told of what looks wrong with a session plugin but leaves nothing out.
    """

    plugins: tuple[InstalledPlugin, ...]
    makers: tuple[Implementation, ...]
    settings_options: Mapping[str, JsonObject]
    protocol: str | None
    extensions: Mapping[str, Sequence[JsonValue]]
    inspector: HookInspector
    timer: Callable[[], float]
    on_failure: OnFailure
    on_problem: Callable[[str, HookProblem], None]


def build_session(environment: BuildEnvironment, request: SessionRequest) -> PluginSession:
    """Build the plugins of a session; see `PluginHost.build_session` for what it raises."""
    _check_option_ids(environment, request)
    counters = HookCounters()
    registry = HookRegistry("session")
    versions: dict[str, str] = {}
    for maker in environment.makers:
        counted = replace(maker, counter=counters.of(maker.plugin_id, maker.hook))
        plugin = make_session_plugin(environment, request, counted)
        if plugin is not None:
            installed = _installed(environment, maker.plugin_id)
            _register(environment, registry, installed, plugin)
            versions[maker.plugin_id] = installed.version
    plugin_ids = tuple(plugin.plugin_id for plugin in environment.plugins if plugin.plugin_id in versions)
    implementations = registry.implementations(plugin_order=plugin_ids, counters=counters)
    dispatcher = Dispatcher(implementations, timer=environment.timer, on_failure=environment.on_failure)
    for hook, what in ((_PROJECTOR, "tool result projector"), (_EXECUTOR, "code executor")):
        _require_single(dispatcher.implementations(hook), what)
    parts = [SnapshotPart(plugin_id=plugin_id, version=versions[plugin_id]) for plugin_id in plugin_ids]
    return PluginSession(
        SessionParts(
            session_id=request.session_id,
            plugin_ids=plugin_ids,
            seen=tuple(PluginSeen(plugin_id=found.plugin_id, version=found.version) for found in environment.plugins),
            protocol=_protocol(dispatcher, environment.protocol),
            code_executor=_code_executor(dispatcher),
            operations=by_name(
                Owned(plugin_id, operation)
                for plugin_id, operations in dispatcher.collect("lash_register_operations")
                for operation in operations
            ),
            dispatcher=dispatcher,
            snapshots=Snapshots(parts, dispatcher=dispatcher, on_failure=environment.on_failure),
            counters=counters,
        )
    )


def make_session_plugin(environment: BuildEnvironment, request: SessionRequest, maker: Implementation) -> object | None:
    """Have one plugin make its part of a session.

    Raises:
        InvalidPluginOptions: It does not accept its options.
        PluginHookError: It failed.
    """
    plugin_id = maker.plugin_id
    options = {
        **environment.settings_options.get(plugin_id, {}),
        **request.plugin_options.get(plugin_id, {}),
    }
    context = PluginSessionContext(
        plugin_id=plugin_id,
        plugin_version=_installed(environment, plugin_id).version,
        session_id=request.session_id,
        parent_session_id=request.parent_session_id,
        plugin_options=copy.deepcopy(options),
        tool_access=request.tool_access,
        extensions=environment.extensions,
    )
    dispatcher = Dispatcher({}, timer=environment.timer, on_failure=environment.on_failure)
    made: object | None = dispatcher.call(maker, context, passes=(InvalidPluginOptions,))
    return made


def check_session_plugin(environment: BuildEnvironment, maker: Implementation) -> None:
    """Make one plugin's part of a session and check it, without a session.

    Raises:
        LashError: Something is wrong with it.
    """
    plugin = make_session_plugin(environment, SessionRequest(session_id="check"), maker)
    if plugin is not None:
        _register(environment, HookRegistry("session"), _installed(environment, maker.plugin_id), plugin)


def _installed(environment: BuildEnvironment, plugin_id: str) -> InstalledPlugin:
    return next(plugin for plugin in environment.plugins if plugin.plugin_id == plugin_id)


def _check_option_ids(environment: BuildEnvironment, request: SessionRequest) -> None:
    known = tuple(plugin.plugin_id for plugin in environment.plugins)
    for plugin_id, options in request.plugin_options.items():
        if plugin_id not in known and request.strict_options:
            raise UnknownPlugin(plugin_id, known=known)
        if not isinstance(options, Mapping):
            raise InvalidPluginOptions(plugin_id, f"they are a {type(options).__name__}, not a table")


def _register(
    environment: BuildEnvironment, registry: HookRegistry, installed: InstalledPlugin, plugin: object
) -> None:
    def refuse(problem: str) -> PluginLoadError:
        return PluginLoadError(installed.plugin_id, problem, distribution=installed.distribution or None)

    if inspect.isclass(plugin):
        raise refuse(f"lash_create_session_plugin returned the class {plugin.__name__}; return one of it")
    inspection = environment.inspector.inspect(plugin, scope="session")
    errors = inspection.errors
    if errors:
        raise refuse(
            "; ".join(f"{error.message} ({error.place})" if error.place else error.message for error in errors)
        )
    if not inspection.hooks:
        raise refuse(
            f"lash_create_session_plugin returned a {type(plugin).__name__}, which has no function marked with "
            "@hookimpl; return None where a session needs nothing"
        )
    for problem in inspection.problems:
        environment.on_problem(installed.plugin_id, problem)
    try:
        registry.add(plugin, plugin_id=installed.plugin_id, inspection=inspection)
    except ValueError as exc:
        raise refuse("it shares its session plugin with another plugin") from exc


def _require_single(found: Sequence[Implementation], what: str) -> None:
    if len(found) > 1:
        raise SingletonConflict(
            found[1].hook, plugin_id=found[1].plugin_id, existing_plugin_id=found[0].plugin_id, what=what
        )


def _protocol(dispatcher: Dispatcher, chosen: str | None) -> Owned[TurnProtocol]:
    found = dispatcher.implementations(_PROTOCOL)
    if chosen is not None:
        known = tuple(implementation.plugin_id for implementation in found)
        found = tuple(implementation for implementation in found if implementation.plugin_id == chosen)
        if not found:
            raise UnknownPlugin(chosen, known=known)
    if not found:
        raise MissingProtocol
    _require_single(found, "protocol (the setting `protocol` chooses one)")
    return Owned(found[0].plugin_id, dispatcher.call(found[0]))


def _code_executor(dispatcher: Dispatcher) -> CodeExecutor | None:
    found = dispatcher.single(_EXECUTOR)
    executor: CodeExecutor | None = None if found is None else dispatcher.call(found)
    return executor
