"""Finding plugins: those that are installed, or those that are given."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from lash_host.errors import DuplicatePluginId, UnknownPlugin
from lash_host.plugin.entry_points import Claim, read_claims
from lash_host.plugin.findings import FindingCode, PluginFinding, describe_exception, did_you_mean, place_of
from lash_host.plugin.inspection import HookInspector
from lash_host.plugin.session_plugin import SessionPlugin
from lash_host.settings import PluginSettings

__all__ = ["Discovery", "InstalledPlugin", "PluginFinding", "discover", "explicit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPlugin:
    """A plugin that was found.

    Attributes:
        plugin_id: Its id: the name of its entry point.
        version: The version of its distribution.
        distribution: The name of its distribution; empty where it was given as an object.
        location: What its entry point points at, such as ``lash_notes:plugin``.
        host_plugin: The module or object with its host hooks; None where it is disabled, and so was not imported.
        hooks: The host hooks it implements.
        enabled: Whether it takes part.
    """

    plugin_id: str
    version: str
    distribution: str
    location: str
    host_plugin: object | None
    hooks: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What was found.

    Attributes:
        plugins: The sound plugins and the disabled ones, in plugin order.
        findings: What is wrong with the others.
    """

    plugins: tuple[InstalledPlugin, ...]
    findings: tuple[PluginFinding, ...]


def discover(settings: PluginSettings) -> Discovery:
    """Find the installed plugins by their entry points, in group ``lash_host.plugins``.

    What an entry point loads may be a module, an object, or a class that is made without arguments. A plugin with
    anything wrong is left out whole, and a finding says why; two distributions that claim one id are both left out.
    A disabled plugin is not even imported. Raises nothing.

    Args:
        settings: Which plugins take part, and their order.
    """
    claims, findings = read_claims()
    by_id: dict[str, list[Claim]] = {}
    for claim in claims:
        by_id.setdefault(claim.plugin_id, []).append(claim)
    plugins: list[InstalledPlugin] = []
    inspector = HookInspector()
    for plugin_id in sorted(by_id):
        claim, *others = by_id[plugin_id]
        if others:
            findings.append(_duplicate(by_id[plugin_id]))
        elif not _is_enabled(plugin_id, settings):
            plugins.append(replace(_installed(claim), enabled=False))
        else:
            plugins.extend(_load(claim, inspector, findings))
    findings.extend(_unknown_in_settings(settings, known=sorted(by_id)))
    return Discovery(plugins=_in_order(plugins, settings), findings=tuple(findings))


def explicit(plugins: Sequence[object], settings: PluginSettings) -> Discovery:
    """Take exactly the plugins that are given, in the order given but for what the setting ``order`` puts first.

    The settings ``enabled`` and ``disabled`` say nothing here. As in `discover`, a plugin with anything wrong is left
    out whole.

    Args:
        plugins: Modules, objects or classes with host hooks, and ids of installed plugins. The id of an object is its
            ``plugin_id``, else its ``__name__``, else the name of its class; its version is its ``version``, else
            ``"0"``.
        settings: The plugin settings; ``order`` is used.

    Raises:
        UnknownPlugin: No installed plugin has a given id.
        DuplicatePluginId: Two have one id.
    """
    findings: list[PluginFinding] = []
    found: list[InstalledPlugin] = []
    inspector = HookInspector()
    names: set[str] = set()
    claims = read_claims()[0] if any(isinstance(item, str) for item in plugins) else []
    for item in plugins:
        loaded = _load_by_id(item, claims, inspector, findings) if isinstance(item, str) else _given(item)
        for plugin in loaded:
            if plugin.plugin_id in names:
                raise DuplicatePluginId(plugin.plugin_id, distributions=_origins(plugin.plugin_id, plugins))
            names.add(plugin.plugin_id)
            found.extend([plugin] if isinstance(item, str) else _check(plugin, item, inspector, findings))
    return Discovery(plugins=_in_order(found, settings), findings=tuple(findings))


def _is_enabled(plugin_id: str, settings: PluginSettings) -> bool:
    return plugin_id not in settings.disabled and (settings.enabled is None or plugin_id in settings.enabled)


def _installed(claim: Claim) -> InstalledPlugin:
    return InstalledPlugin(
        plugin_id=claim.plugin_id,
        version=claim.version,
        distribution=claim.distribution,
        location=claim.value,
        host_plugin=None,
    )


def _load(claim: Claim, inspector: HookInspector, findings: list[PluginFinding]) -> list[InstalledPlugin]:
    plugin = _installed(claim)
    try:
        loaded = claim.entry_point.load()
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - importing runs a stranger's code
        place = place_of(exc) or claim.value
        findings.append(_error("import_error", plugin, f"cannot be imported: {describe_exception(exc)}", place))
        return []
    return _check(plugin, loaded, inspector, findings)


def _check(
    plugin: InstalledPlugin, loaded: object, inspector: HookInspector, findings: list[PluginFinding]
) -> list[InstalledPlugin]:
    """Give the plugin if all of it is sound, else nothing but findings."""
    host_plugin = loaded
    if inspect.isclass(loaded):
        try:
            host_plugin = loaded()
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a stranger's code
            findings.append(_error("import_error", plugin, _unmakeable(loaded, exc), place_of(exc) or plugin.location))
            return []
    inspection = inspector.inspect(host_plugin, scope="host")
    findings.extend(
        PluginFinding(
            code=problem.code,
            severity=problem.severity,
            plugin_id=plugin.plugin_id,
            distribution=plugin.distribution or None,
            place=problem.place or plugin.location,
            message=problem.message,
        )
        for problem in inspection.problems
    )
    if inspection.errors:
        return []
    if not inspection.hooks:
        kind = "module" if isinstance(host_plugin, ModuleType) else type(host_plugin).__name__
        message = f"implements no hook: the {kind} has no function marked with @hookimpl"
        findings.append(_error("no_hooks", plugin, message, plugin.location))
        return []
    return [replace(plugin, host_plugin=host_plugin, hooks=inspection.hooks)]


def _unmakeable(cls: type, exc: BaseException) -> str:
    if issubclass(cls, SessionPlugin):
        return (
            f"{cls.__name__} is a session plugin: point the entry point at the module, and return one from "
            "lash_create_session_plugin"
        )
    return f"{cls.__name__} cannot be made without arguments: {describe_exception(exc)}"


def _load_by_id(
    plugin_id: str, claims: Iterable[Claim], inspector: HookInspector, findings: list[PluginFinding]
) -> list[InstalledPlugin]:
    matching = [claim for claim in claims if claim.plugin_id == plugin_id]
    if not matching:
        raise UnknownPlugin(plugin_id, known=tuple(sorted({claim.plugin_id for claim in claims})))
    if len(matching) > 1:
        raise DuplicatePluginId(plugin_id, distributions=tuple(_origin(claim) for claim in matching))
    return _load(matching[0], inspector, findings)


def _given(item: object) -> list[InstalledPlugin]:
    return [
        InstalledPlugin(
            plugin_id=_id_of(item),
            version=_text(item, "version") or "0",
            distribution="",
            location=_location(item),
            host_plugin=None,
        )
    ]


def _id_of(item: object) -> str:
    if isinstance(item, str):
        return item
    return _text(item, "plugin_id") or _text(item, "__name__") or type(item).__name__


def _text(item: object, attribute: str) -> str | None:
    value: Any = getattr(item, attribute, None)
    return value if isinstance(value, str) and value else None


def _location(item: object) -> str:
    if isinstance(item, ModuleType):
        return item.__name__
    cls = item if inspect.isclass(item) else type(item)
    return f"{cls.__module__}:{cls.__qualname__}"


def _origins(plugin_id: str, plugins: Sequence[object]) -> tuple[str, ...]:
    return tuple(
        f"the installed plugin {item!r}" if isinstance(item, str) else _location(item)
        for item in plugins
        if _id_of(item) == plugin_id
    )


def _origin(claim: Claim) -> str:
    return f"{claim.distribution} {claim.version} ({claim.value})"


def _duplicate(claims: Sequence[Claim]) -> PluginFinding:
    error = DuplicatePluginId(claims[0].plugin_id, distributions=tuple(_origin(claim) for claim in claims))
    return PluginFinding(
        code="duplicate_plugin_id",
        severity="error",
        plugin_id=claims[0].plugin_id,
        distribution=", ".join(dict.fromkeys(claim.distribution for claim in claims)),
        place="",
        message=f"{error}; none of them is used",
    )


def _error(code: FindingCode, plugin: InstalledPlugin, message: str, place: str) -> PluginFinding:
    return PluginFinding(
        code=code,
        severity="error",
        plugin_id=plugin.plugin_id,
        distribution=plugin.distribution or None,
        place=place,
        message=message,
    )


def _unknown_in_settings(settings: PluginSettings, *, known: Sequence[str]) -> Iterable[PluginFinding]:
    named = {"enabled": settings.enabled or (), "options": settings.options, "disabled": settings.disabled}
    for key, ids in {**named, "order": settings.order}.items():
        for plugin_id in ids:
            if plugin_id not in known:
                yield PluginFinding(
                    code="unknown_plugin_in_settings",
                    severity="error" if key in {"enabled", "options"} else "warning",
                    plugin_id=plugin_id,
                    distribution=None,
                    place=f"plugins.{key}",
                    message=f"the settings name it, but it is not installed{did_you_mean(plugin_id, known)}",
                )


def _in_order(plugins: Iterable[InstalledPlugin], settings: PluginSettings) -> tuple[InstalledPlugin, ...]:
    """Put first what the setting ``order`` names; the rest keeps its order."""
    position = {plugin_id: index for index, plugin_id in reversed([*enumerate(settings.order)])}
    return tuple(sorted(plugins, key=lambda plugin: position.get(plugin.plugin_id, len(settings.order))))
