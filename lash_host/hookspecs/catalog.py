"""Hooks of the tool catalog: what tools there are, and which a session does not get."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lash_host.contracts.tool import ToolProvider
from lash_host.domain.policy import ToolAccess
from lash_host.domain.tool import ToolManifest
from lash_host.domain.value import JsonValue
from lash_host.markers import hookspec

__all__ = ["ToolCatalogContext", "lash_export_tools", "lash_filter_tool_catalog"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCatalogContext:
    """A catalog that is being made.

    Attributes:
        session_id: The session.
        tools: All tools the session may have, before anybody removed one.
        tool_access: Which tools the session may see.
        extensions: What plugins contributed for others to read.
    """

    session_id: str
    tools: tuple[ToolManifest, ...]
    tool_access: ToolAccess
    extensions: Mapping[str, Sequence[JsonValue]]


@hookspec
def lash_export_tools() -> Sequence[ToolProvider]:
    """Bring this plugin's tools.

    Called when a session opens and when its catalog is refreshed.

    Returns:
        Tool providers. Two tools of one name or one id in a session are an error that names both plugins.

    Raises:
        Anything: The session is not opened; the error names the plugin.
    """
    raise AssertionError


@hookspec
def lash_filter_tool_catalog(context: ToolCatalogContext) -> Collection[str]:
    """Take tools out of a session's catalog.

    Called whenever the catalog is made: when tools, or the state of any plugin, have changed. Every plugin sees the
    same unfiltered list, so nobody can add to it and order does not matter.

    Args:
        context: The session and its tools.

    Returns:
        Names of tools to remove; unknown names are ignored.

    Raises:
        Anything: The catalog cannot be made; the turn or opening that needed it fails.
    """
    raise AssertionError
