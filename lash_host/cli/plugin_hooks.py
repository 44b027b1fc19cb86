"""What a plugin does in a session and on the command line, found out by letting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click

from lash_host.errors import LashError
from lash_host.hookspecs.host import PluginSessionContext
from lash_host.hookspecs.table import HOOKS
from lash_host.plugin.counters import HookCounters
from lash_host.plugin.discovery import InstalledPlugin
from lash_host.plugin.host import PluginHost, SessionRequest
from lash_host.plugin.inspection import HookInspector
from lash_host.plugin.registry import HookRegistry
from lash_host.settings import Settings
from lash_host.tools.source import ToolSource

__all__ = ["ToolLine", "plugin_commands", "session_faults", "session_hooks", "session_tools"]

_PROBE = "lash-plugins"


@dataclass(frozen=True, slots=True)
class ToolLine:
    """A tool's name, and what it says of itself."""

    name: str
    description: str


def session_hooks(host: PluginHost, settings: Settings, plugin: InstalledPlugin) -> tuple[str, ...] | None:
    """Name the session hooks of a plugin, by making its part of a session that is thrown away.

    Returns:
        The hooks, in the order of the public table; None where the plugin cannot make its part just so.
    """
    context = PluginSessionContext(
        plugin_id=plugin.plugin_id,
        plugin_version=plugin.version,
        session_id=_PROBE,
        plugin_options=settings.plugins.options.get(plugin.plugin_id, {}),
        extensions=host.extensions(),
    )
    found: tuple[str, ...] = ()
    for call in _implementations(plugin, "lash_create_session_plugin"):
        try:
            made = call(context)
        except (Exception, SystemExit):  # noqa: BLE001  a stranger's code; `lash plugins check` says what is wrong
            return None
        if made is not None:
            found = HookInspector().inspect(made, scope="session").hooks
    return tuple(name for name in HOOKS if name in found)


def plugin_commands(plugin: InstalledPlugin) -> tuple[str, ...] | None:
    """Name the commands that a plugin adds to the command line; None where it fails to say them."""
    app = click.Group("lash")
    for call in _implementations(plugin, "lash_register_commands"):
        try:
            call(app)
        except (Exception, SystemExit):  # noqa: BLE001  a stranger's code; `lash plugins check` says what is wrong
            return None
    return tuple(app.commands)


def _implementations(plugin: InstalledPlugin, hook: str) -> list[Callable[..., object]]:
    if plugin.host_plugin is None or hook not in plugin.hooks:
        return []
    registry = HookRegistry("host")
    inspection = HookInspector().inspect(plugin.host_plugin, scope="host")
    registry.add(plugin.host_plugin, plugin_id=plugin.plugin_id, inspection=inspection)
    found = registry.implementations(plugin_order=[plugin.plugin_id], counters=HookCounters())
    return [implementation.call for implementation in found[hook]]


def session_tools(host: PluginHost) -> dict[str, list[ToolLine]]:
    """List the tools of a session by the plugin that brings them.

    Raises:
        LashError: No session can be built of these plugins, or a plugin cannot say its tools.
    """
    session = host.build_session(SessionRequest(session_id=_PROBE))
    source = ToolSource(session.export_tools())
    tools: dict[str, list[ToolLine]] = {}
    for tool_id, manifest in source.manifests.items():
        tools.setdefault(source.owner(tool_id), []).append(ToolLine(manifest.name, manifest.description))
    return tools


def session_faults(host: PluginHost) -> list[LashError]:
    """Build a session of all plugins together, and give what is wrong with it: with the whole, or with a tool."""
    try:
        source = ToolSource(host.build_session(SessionRequest(session_id=_PROBE)).export_tools())
    except LashError as exc:
        return [exc]
    faults: list[LashError] = []
    for tool_id in source.manifests:
        try:
            source.problem(tool_id, {})
        except LashError as exc:
            faults.append(exc)
    return faults
