"""Host-scope hooks: what a plugin brings to a host, once, whatever sessions there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lash_host.contracts.effect_host import EffectHost
from lash_host.contracts.process import ProcessEngine
from lash_host.contracts.provider import ModelProvider
from lash_host.contracts.store import UsageView
from lash_host.domain.model import ModelPrice
from lash_host.domain.policy import ToolAccess
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.markers import hookspec
from lash_host.settings import Settings

__all__ = [
    "CommandGroup",
    "PluginSessionContext",
    "ProcessEngineContext",
    "lash_contribute_extensions",
    "lash_create_session_plugin",
    "lash_register_commands",
    "lash_register_effect_hosts",
    "lash_register_model_prices",
    "lash_register_process_engines",
    "lash_register_providers",
    "lash_register_usage_views",
]

Extensions = Mapping[str, Sequence[JsonValue]]
"""Payloads by extension id, in plugin order."""

CommandGroup = object
"""A `click.Group`. Named loosely so that hook declarations do not import the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSessionContext:
    """The session that a session plugin is made for.

    Attributes:
        plugin_id: The plugin's id, as its entry point names it.
        plugin_version: The version of its distribution.
        session_id: The session.
        parent_session_id: The session that created it; None for a root.
        plugin_options: This plugin's own options: those of the settings, with those of the opening laid over them.
        tool_access: Which tools the session may see.
        extensions: What plugins contributed for others to read.
    """

    plugin_id: str
    plugin_version: str
    session_id: str
    parent_session_id: str | None = None
    plugin_options: JsonObject = field(default_factory=dict)
    tool_access: ToolAccess = ToolAccess()
    extensions: Extensions = field(default_factory=dict)

    @property
    def is_root_session(self) -> bool:
        """Whether the session has no parent."""
        return self.parent_session_id is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEngineContext:
    """What a process engine is made with.

    Attributes:
        extensions: What plugins contributed for others to read.
    """

    extensions: Extensions


@hookspec
def lash_create_session_plugin(context: PluginSessionContext) -> object | None:
    """Make this plugin's part of a session.

    Called once for every session that is opened, root or child, in plugin order. Must be cheap: no I/O.

    Args:
        context: The session, and this plugin's options.

    Returns:
        An object with session hooks, often a `SessionPlugin`; None when this session needs nothing of the plugin.

    Raises:
        InvalidPluginOptions: The options are not acceptable; the session is not opened.
        Anything: The session is not opened; the error names the plugin.
    """
    raise AssertionError


@hookspec
def lash_register_providers(settings: Settings) -> Sequence[ModelProvider]:
    """Bring model providers.

    Called once, when the host opens. Must not do I/O and must not need a key yet.

    Args:
        settings: The host's settings; a provider's own table is ``settings.providers[provider_id]``.

    Returns:
        Providers. Two of one id are an error that names both plugins.

    Raises:
        SettingsError: The provider's settings are wrong; the host does not open.
        Anything: The plugin is left out, and a finding says so.
    """
    raise AssertionError


@hookspec
def lash_register_effect_hosts(settings: Settings) -> Sequence[EffectHost]:
    """Bring effect hosts, which run what turns do to the world and may record it.

    Called once, when the host opens. ``inline`` is built in.

    Args:
        settings: The host's settings.

    Returns:
        Effect hosts, chosen by name. Two of one name are an error.

    Raises:
        Anything: The plugin is left out, and a finding says so.
    """
    raise AssertionError


@hookspec
def lash_register_process_engines(context: ProcessEngineContext) -> Sequence[ProcessEngine]:
    """Bring process engines.

    Called once, when the host opens.

    Args:
        context: What other plugins contributed.

    Returns:
        Engines. Two of one kind are an error that names the kind.

    Raises:
        Anything: The plugin is left out, and a finding says so.
    """
    raise AssertionError


@hookspec
def lash_register_commands(app: CommandGroup) -> None:
    """Add commands to the ``lash`` command.

    Called when the command line needs to know a command that is not built in, or lists all of them.

    Args:
        app: The `click.Group` of the command line. Names of built-in commands cannot be replaced.

    Raises:
        Anything: The plugin's commands are left out; the rest of the command line works.
    """


@hookspec
def lash_register_usage_views() -> Sequence[UsageView]:
    """Bring views for analysts.

    Called once, when the host opens. A view ``name`` is installed as ``usage.<plugin id>_<name>``.

    Returns:
        Views; their SQL may read the views of schema ``usage`` only.

    Raises:
        Anything: The plugin's views are left out, and a finding says so.
    """
    raise AssertionError


@hookspec
def lash_register_model_prices() -> Sequence[ModelPrice]:
    """Bring prices of models.

    Called once, when the host opens. Prices in the settings win over them; the first plugin wins over later ones.

    Returns:
        Prices, each with its source and date.

    Raises:
        Anything: The plugin's prices are left out, and a finding says so.
    """
    raise AssertionError


@hookspec
def lash_contribute_extensions() -> Sequence[tuple[str, JsonValue]]:
    """Contribute data for other plugins to read.

    Called once, when the host opens, before any session plugin is made.

    Returns:
        Pairs of extension id and payload; payloads of one id are kept in plugin order.

    Raises:
        Anything: The plugin's contributions are left out, and a finding says so.
    """
    raise AssertionError
