"""The tool catalog: the tools a model may call now."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lash_host.contracts.tool import ToolCallContext, ToolProvider
from lash_host.domain.catalog import ToolState
from lash_host.domain.directive import Owned
from lash_host.domain.policy import ToolAccess
from lash_host.domain.tool import ToolContract, ToolManifest, ToolOutput, ToolSpec
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import ToolStateError
from lash_host.hookspecs.catalog import ToolCatalogContext
from lash_host.tools.hooks import ToolHooks
from lash_host.tools.registry import ToolRegistry
from lash_host.tools.source import ToolSource

__all__ = ["CatalogCache", "CatalogTool", "Extensions", "ToolCatalog", "build_catalog", "overlay_catalog"]

_log = logging.getLogger(__name__)

Extensions = Mapping[str, Sequence[JsonValue]]
"""What plugins contributed for others to read, by extension id."""

_NO_EXTENSIONS: Extensions = MappingProxyType({})
_OVERLAY = "turn context"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTool:
    """A tool and where it comes from. `plugin_id` is None for tools that a turn's context brought."""

    manifest: ToolManifest
    source: ToolSource
    plugin_id: str | None

    def contract(self) -> ToolContract:
        """Give its schemas.

        Raises:
            ToolStateError: They cannot be had.
        """
        return self.source.contract(self.manifest.tool_id)

    def problem(self, arguments: JsonObject) -> str | None:
        """Say what is wrong with arguments, or None.

        Raises:
            ToolStateError: The contract cannot be had or used.
        """
        return self.source.problem(self.manifest.tool_id, arguments)

    async def execute(self, arguments: JsonObject, context: ToolCallContext) -> ToolOutput:
        """Run it, wherever it comes from.

        Raises:
            Anything: The provider's own.
        """
        return await self.source.execute(self.manifest.tool_id, arguments, context)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """What a catalog is made from besides its tools."""

    plugins: ToolHooks
    tool_access: ToolAccess
    extensions: Extensions

    def make(self, tools: Iterable[CatalogTool]) -> ToolCatalog:
        offered = tuple(sorted(tools, key=lambda tool: tool.manifest.tool_id))
        context = ToolCatalogContext(
            session_id=self.plugins.session_id,
            tools=tuple(tool.manifest for tool in offered),
            tool_access=self.tool_access,
            extensions=self.extensions,
        )
        only = frozenset(self.tool_access.only)
        removed = frozenset(self.tool_access.hidden) | frozenset(self.plugins.filter_tool_catalog(context))
        kept = tuple(
            tool for tool in offered if (not only or tool.manifest.name in only) and tool.manifest.name not in removed
        )
        return ToolCatalog(kept, offered=offered, recipe=self)


class ToolCatalog:
    """The tools a session may call, by tool id. Immutable: a change makes another catalog.

    Being in it is what lets a tool be called; there is nothing in between. It keeps calling the providers it was made
    from, whatever happens to the registry meanwhile.
    """

    def __init__(self, tools: Sequence[CatalogTool], *, offered: Sequence[CatalogTool], recipe: _Recipe) -> None:
        self.manifests: tuple[ToolManifest, ...] = tuple(tool.manifest for tool in tools)
        self.names: frozenset[str] = frozenset(manifest.name for manifest in self.manifests)
        self._tools = {tool.manifest.name: tool for tool in tools}
        self._offered = tuple(offered)
        self._recipe = recipe
        self._specs: tuple[ToolSpec, ...] | None = None
        self._overlay: _Overlay | None = None

    def get(self, name: str) -> ToolManifest | None:
        """Give the tool of a name, or None."""
        tool = self._tools.get(name)
        return None if tool is None else tool.manifest

    def tool(self, name: str) -> CatalogTool | None:
        """Give the tool of a name with its source, or None."""
        return self._tools.get(name)

    def specs(self) -> tuple[ToolSpec, ...]:
        """Give what the model is told: the same object every time.

        Internal tools are left out, and so are tools whose contract cannot be had; that is logged.
        """
        if self._specs is None:
            self._specs = tuple(spec for tool in self._tools.values() if (spec := _spec(tool)) is not None)
        return self._specs

    def export(self) -> list[JsonObject]:
        """Give the catalog as JSON, a copy: id, name, description, bindings and activation of each tool."""
        return [
            {
                "id": manifest.tool_id,
                "name": manifest.name,
                "description": manifest.description,
                "bindings": copy.deepcopy(manifest.bindings),
                "activation": manifest.activation,
            }
            for manifest in self.manifests
        ]

    def overlaid(self, providers: Sequence[ToolProvider], *, include_base: bool) -> ToolCatalog:
        """See `overlay_catalog`. The last overlay is kept."""
        known = self._overlay
        if known is None or not known.is_of(providers, include_base=include_base):
            overlay = ToolSource([Owned(_OVERLAY, provider) for provider in providers])
            names = {manifest.name for manifest in overlay.manifests.values()}
            base = self._offered if include_base else ()
            kept = (t for t in base if t.manifest.tool_id not in overlay.manifests and t.manifest.name not in names)
            added = (CatalogTool(manifest=m, source=overlay, plugin_id=None) for m in overlay.manifests.values())
            catalog = self._recipe.make((*kept, *added))
            known = self._overlay = _Overlay(tuple(providers), include_base, catalog)
        return known.catalog


@dataclass(frozen=True, slots=True)
class _Overlay:
    providers: tuple[ToolProvider, ...]
    include_base: bool
    catalog: ToolCatalog

    def is_of(self, providers: Sequence[ToolProvider], *, include_base: bool) -> bool:
        return (
            self.include_base == include_base
            and len(self.providers) == len(providers)
            and all(one is other for one, other in zip(self.providers, providers, strict=True))
        )


def build_catalog(
    registry: ToolRegistry, plugins: ToolHooks, *, tool_access: ToolAccess, extensions: Extensions = _NO_EXTENSIONS
) -> ToolCatalog:
    """Make the catalog of a session.

    It holds the callable tools of the registry; of these only those in ``tool_access.only``, where that is given,
    without the hidden ones, and without those that plugins remove. Nobody can add to it.

    Raises:
        PluginHookError: A plugin failed in `lash_filter_tool_catalog`.
    """
    source = registry.source
    recipe = _Recipe(plugins=plugins, tool_access=tool_access, extensions=extensions)
    return recipe.make(
        CatalogTool(manifest=manifest, source=source, plugin_id=source.owner(manifest.tool_id))
        for manifest in registry.state.callable_manifests
    )


def overlay_catalog(base: ToolCatalog, providers: Sequence[ToolProvider], *, include_base: bool = True) -> ToolCatalog:
    """Lay the tools of one turn over a catalog.

    They take the place of session tools of the same id or name, and what restricts the catalog restricts them too:
    tool access and the plugins' filter, which sees them all. The session's own state is not touched.

    Args:
        base: The session's catalog.
        providers: What the turn's context brings. The same ones give the same catalog again.
        include_base: Whether the session's own tools are there at all.

    Raises:
        PluginHookError: A provider could not list its tools, or a plugin failed in `lash_filter_tool_catalog`.
        ToolStateError: Two of the turn's tools have one id or one name.
    """
    return base.overlaid(providers, include_base=include_base)


@dataclass(frozen=True, slots=True)
class _Cached:
    state: ToolState
    source: ToolSource
    plugins: ToolHooks
    fingerprint: int
    tool_access: ToolAccess
    extensions: Extensions
    catalog: ToolCatalog


class CatalogCache:
    """Keeps the last catalog, which is made again only when something it depends on changed.

    That is: the registry's state or its providers, the state of any plugin, tool access, or extensions. Until then
    every call gives the same object, so that an unchanged catalog costs the same however many turns there were.
    """

    def __init__(self) -> None:
        self._cached: _Cached | None = None

    def get(
        self,
        registry: ToolRegistry,
        plugins: ToolHooks,
        *,
        tool_access: ToolAccess,
        extensions: Extensions = _NO_EXTENSIONS,
    ) -> ToolCatalog:
        """Give the catalog of now. See `build_catalog`.

        Raises:
            PluginHookError: A plugin failed in `lash_filter_tool_catalog`.
        """
        fingerprint = plugins.revision_fingerprint()
        known = self._cached
        if (
            known is not None
            and known.state is registry.state
            and known.source is registry.source
            and known.plugins is plugins
            and known.fingerprint == fingerprint
            and known.tool_access == tool_access
            and known.extensions == extensions
        ):
            return known.catalog
        catalog = build_catalog(registry, plugins, tool_access=tool_access, extensions=extensions)
        self._cached = _Cached(registry.state, registry.source, plugins, fingerprint, tool_access, extensions, catalog)
        return catalog

    def clear(self) -> None:
        """Forget the catalog, so that the next one is made anew."""
        self._cached = None


def _spec(tool: CatalogTool) -> ToolSpec | None:
    manifest = tool.manifest
    if manifest.activation == "internal":
        return None
    try:
        contract = tool.contract()
    except ToolStateError as exc:
        _log.warning("the model is not shown tool %r: %s", manifest.name, exc)
        return None
    return ToolSpec(name=manifest.name, description=manifest.description, input_schema=contract.input_schema)
