"""What plugins bring to a host, gathered once; a plugin that fails in it is left out whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from lash_host.contracts.effect_host import EffectHost
from lash_host.contracts.process import ProcessEngine
from lash_host.contracts.provider import ModelProvider
from lash_host.contracts.store import UsageView
from lash_host.domain.directive import Owned
from lash_host.domain.model import ModelPrice
from lash_host.domain.value import JsonValue
from lash_host.errors import LashError, PluginHookError, SettingsError
from lash_host.hookspecs.host import ProcessEngineContext
from lash_host.plugin.dispatch import Dispatcher, OnFailure
from lash_host.plugin.findings import FindingCode, describe_exception
from lash_host.settings import Settings

__all__ = ["Registrations", "Report", "register_commands", "register_plugins"]

T = TypeVar("T")

Report = Callable[[FindingCode, str, str], None]
"""Is told of a code, a plugin id and a message."""

_VIEW_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrations:
    """What the plugins of a host brought.

    Attributes:
        providers: By provider id.
        effect_hosts: By name.
        process_engines: By kind.
        usage_views: With the names they are installed under.
        model_prices: In plugin order; the first of a model counts.
        extensions: Payloads by extension id, in plugin order.
        left_out: Plugins that failed so that nothing of them is used.
    """

    providers: dict[str, ModelProvider] = field(default_factory=dict)
    effect_hosts: dict[str, EffectHost] = field(default_factory=dict)
    process_engines: dict[str, ProcessEngine] = field(default_factory=dict)
    usage_views: tuple[UsageView, ...] = ()
    model_prices: tuple[ModelPrice, ...] = ()
    extensions: Mapping[str, Sequence[JsonValue]] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()


def register_plugins(
    dispatcher: Dispatcher, settings: Settings, *, report: Report, on_failure: OnFailure
) -> Registrations:
    """Call the registering hooks of all plugins, once.

    A plugin that fails in bringing providers, effect hosts or process engines is left out, with all that it brought;
    one that fails in anything else goes without that.

    Raises:
        SettingsError: A provider's settings are wrong.
    """
    gathering = _Gathering(dispatcher, report, on_failure)
    extensions = gathering.collect("lash_contribute_extensions")
    context = ProcessEngineContext(extensions=_grouped(extensions))
    providers = gathering.collect("lash_register_providers", settings, fatal=True, passes=(SettingsError,))
    effect_hosts = gathering.collect("lash_register_effect_hosts", settings, fatal=True)
    engines = gathering.collect("lash_register_process_engines", context, fatal=True)
    views = gathering.collect("lash_register_usage_views")
    prices = gathering.collect("lash_register_model_prices")
    return Registrations(
        providers=gathering.unique(providers, "model provider", lambda provider: provider.provider_id),
        effect_hosts=gathering.unique(effect_hosts, "effect host", lambda host: host.name),
        process_engines=gathering.unique(engines, "process engine kind", lambda engine: engine.kind),
        usage_views=_views(gathering.kept(views), report),
        model_prices=tuple(owned.value for owned in gathering.kept(prices)),
        extensions=_grouped(gathering.kept(extensions)),
        left_out=frozenset(gathering.left_out),
    )


def register_commands(
    dispatcher: Dispatcher, app: Any, *, reserved: Iterable[str], report: Report, on_failure: OnFailure
) -> None:
    """Let plugins add commands to a `click.Group`. Commands that are there already cannot be replaced.

    Args:
        dispatcher: Calls the plugins.
        app: The group.
        reserved: Names of commands that the group knows without listing them in ``commands``.
        report: Is told which commands were left out.
        on_failure: Is told which plugin failed.
    """
    commands: dict[str, object] = app.commands
    taken = dict.fromkeys([*commands, *reserved], "lash")
    for found in dispatcher.implementations("lash_register_commands"):
        before = dict(commands)
        try:
            dispatcher.call(found, app)
        except PluginHookError as exc:
            on_failure(exc)
            commands.clear()
            commands.update(before)
            continue
        for name in [name for name in commands if commands[name] is not before.get(name)]:
            if name in taken:
                report("duplicate_registration", found.plugin_id, f"command {name!r} is {taken[name]}'s already")
                commands.pop(name)
            else:
                taken[name] = found.plugin_id
        commands.update(before)


class _Gathering:
    def __init__(self, dispatcher: Dispatcher, report: Report, on_failure: OnFailure) -> None:
        self._dispatcher = dispatcher
        self._on_failure = on_failure
        self._report = report
        self.left_out: set[str] = set()

    def collect(
        self, hook: str, *arguments: object, fatal: bool = False, passes: tuple[type[LashError], ...] = ()
    ) -> list[Owned[Any]]:
        """Gather what each plugin gives; a ``fatal`` failure leaves the plugin out whole."""
        gathered: list[Owned[Any]] = []
        for found in self._dispatcher.implementations(hook):
            try:
                answer = self._dispatcher.call(found, *arguments, passes=passes)
            except PluginHookError as exc:
                self._on_failure(exc)
                if fatal:
                    self.left_out.add(found.plugin_id)
                continue
            gathered.extend(Owned(found.plugin_id, item) for item in answer)
        return gathered

    def kept(self, gathered: Iterable[Owned[T]]) -> list[Owned[T]]:
        """Drop what plugins brought that are left out."""
        return [owned for owned in gathered if owned.plugin_id not in self.left_out]

    def unique(self, gathered: Iterable[Owned[T]], what: str, key_of: Callable[[T], str]) -> dict[str, T]:
        """Index by key. Of two with one key the first stays, and a finding names both plugins."""
        found: dict[str, Owned[T]] = {}
        for owned in self.kept(gathered):
            try:
                key = key_of(owned.value)
            except Exception as exc:  # noqa: BLE001 - a property of a stranger's object
                self._report(
                    "hook_failed", owned.plugin_id, f"its {what} cannot say its name: {describe_exception(exc)}"
                )
                continue
            if key in found:
                message = f"{what} {key!r} is left out: {found[key].plugin_id!r} brings one of that name already"
                self._report("duplicate_registration", owned.plugin_id, message)
            else:
                found[key] = owned
        return {key: owned.value for key, owned in found.items()}


def _grouped(extensions: Iterable[Owned[tuple[str, JsonValue]]]) -> dict[str, Sequence[JsonValue]]:
    grouped: dict[str, list[JsonValue]] = {}
    for owned in extensions:
        extension_id, payload = owned.value
        grouped.setdefault(extension_id, []).append(payload)
    return {extension_id: tuple(payloads) for extension_id, payloads in grouped.items()}


def _views(gathered: Iterable[Owned[UsageView]], report: Report) -> tuple[UsageView, ...]:
    found: dict[str, UsageView] = {}
    for owned in gathered:
        view = owned.value
        name = f"{re.sub('[^A-Za-z0-9_]', '_', owned.plugin_id)}_{view.name}"
        if not _VIEW_NAME.fullmatch(view.name):
            message = f"view {view.name!r} is left out: its name must be letters, digits and '_'"
            report("hook_failed", owned.plugin_id, message)
        elif name in found:
            report("duplicate_registration", owned.plugin_id, f"view {name!r} is there already")
        else:
            found[name] = view.model_copy(update={"name": name})
    return tuple(found.values())
