"""The plugins of a host: what they bring to it, what is wrong with them, and the plugins of each session."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from lash_host.contracts.clock import Clock, SystemClock
from lash_host.contracts.effect_host import EffectHost
from lash_host.contracts.process import ProcessEngine
from lash_host.contracts.provider import ModelProvider
from lash_host.contracts.store import UsageView
from lash_host.domain.commit import HookCallFact
from lash_host.domain.model import ModelPrice
from lash_host.domain.value import JsonValue
from lash_host.errors import InvalidPluginOptions, PluginHookError, PluginLoadError
from lash_host.hookspecs.host import CommandGroup
from lash_host.plugin.building import BuildEnvironment, SessionRequest, build_session, check_session_plugin
from lash_host.plugin.counters import HookCounters
from lash_host.plugin.discovery import Discovery, InstalledPlugin
from lash_host.plugin.dispatch import Dispatcher
from lash_host.plugin.findings import FindingCode, PluginFinding, place_of
from lash_host.plugin.inspection import HookInspector, HookProblem
from lash_host.plugin.registration import Registrations, register_commands, register_plugins
from lash_host.plugin.registry import HookRegistry
from lash_host.plugin.session import PluginSession
from lash_host.settings import Settings

__all__ = ["PluginHost", "SessionRequest"]

_log = logging.getLogger("lash_host")


class PluginHost:
    """The plugins of a host.

    What plugins bring is gathered once, when it is first asked for. A plugin that fails there is left out and a
    finding says so; the host goes on.

    Args:
        discovery: The plugins.
        settings: The host's settings.
        clock: Times the calls of hooks.
    """

    def __init__(self, discovery: Discovery, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._timer = time.perf_counter if isinstance(clock, SystemClock) else clock.monotonic
        self._installed = discovery.plugins
        self._findings: list[PluginFinding] = []
        self._left_out: frozenset[str] = frozenset()
        self._gathered: Registrations | None = None
        self._counters = HookCounters()
        self._inspector = HookInspector()
        for finding in discovery.findings:
            self.add_finding(finding)
        enabled = [plugin for plugin in discovery.plugins if plugin.enabled]
        registry = HookRegistry("host")
        for plugin in enabled:
            self._register(registry, plugin)
        order = [plugin.plugin_id for plugin in enabled]
        self._dispatcher = Dispatcher(
            registry.implementations(plugin_order=order, counters=self._counters),
            timer=self._timer,
            on_failure=self._hook_failed,
        )

    # --- what there is --------------------------------------------------------------------------

    @property
    def installed(self) -> tuple[InstalledPlugin, ...]:
        """The sound plugins, disabled ones among them, in plugin order."""
        return self._installed

    @property
    def plugins(self) -> tuple[InstalledPlugin, ...]:
        """The plugins that take part, in plugin order."""
        return tuple(plugin for plugin in self._installed if plugin.enabled and plugin.plugin_id not in self._left_out)

    @property
    def findings(self) -> tuple[PluginFinding, ...]:
        """What is wrong with which plugin: found at discovery, or since then."""
        return tuple(self._findings)

    def add_finding(self, finding: PluginFinding) -> None:
        """Keep a finding, and log it if it is new. Of the failures of one hook of a plugin the last is kept."""
        if finding in self._findings:
            return
        if finding.hook is not None:
            same = (finding.plugin_id, finding.hook)
            self._findings = [kept for kept in self._findings if (kept.plugin_id, kept.hook) != same]
        self._findings.append(finding)
        if finding.hook is None:
            _log.warning("%s", finding)

    def raise_if_strict(self) -> None:
        """Raise if anything is wrong with any plugin. What ``--strict-plugins`` calls when a host opens.

        Raises:
            PluginLoadError: Some finding is an error; the message holds them all.
            SettingsError: A provider's settings are wrong.
        """
        self._gather()
        errors = [finding for finding in self._findings if finding.severity == "error"]
        if errors:
            first, *others = errors
            problem = "; ".join([first.message, *(str(finding) for finding in others)])
            raise PluginLoadError(first.plugin_id, problem, distribution=first.distribution)

    def check(self) -> tuple[PluginFinding, ...]:
        """Look at everything that can be looked at without a session, and give all findings.

        Gathers what plugins bring, and makes each session plugin once, with the options of the settings.

        Raises:
            SettingsError: A provider's settings are wrong.
        """
        environment = self._environment()
        for maker in environment.makers:
            try:
                check_session_plugin(environment, maker)
            except PluginHookError as exc:
                self._hook_failed(exc)
            except PluginLoadError as exc:
                self._report("invalid_hook", maker.plugin_id, exc.problem)
            except InvalidPluginOptions as exc:
                self._report("hook_failed", maker.plugin_id, f"does not accept its options: {exc.problem}")
        return self.findings

    # --- what plugins bring to the host ---------------------------------------------------------

    def providers(self) -> dict[str, ModelProvider]:
        """Give the model providers by id. Of two of one id the second is left out, with a finding.

        Raises:
            SettingsError: A provider's settings are wrong.
        """
        return dict(self._gather().providers)

    def effect_hosts(self) -> dict[str, EffectHost]:
        """Give the effect hosts by name. Of two of one name the second is left out, with a finding."""
        return dict(self._gather().effect_hosts)

    def process_engines(self) -> dict[str, ProcessEngine]:
        """Give the process engines by kind. Of two of one kind the second is left out, with a finding."""
        return dict(self._gather().process_engines)

    def usage_views(self) -> tuple[UsageView, ...]:
        """Give the views, named ``<plugin id>_<name>``; what SQL does not take in a plain name becomes ``_``."""
        return self._gather().usage_views

    def model_prices(self) -> tuple[ModelPrice, ...]:
        """Give the prices in plugin order. The first of a model is the one that counts."""
        return self._gather().model_prices

    def extensions(self) -> Mapping[str, Sequence[JsonValue]]:
        """Give what plugins contributed for others to read: payloads by extension id, in plugin order."""
        return self._gather().extensions

    def register_commands(self, app: CommandGroup, *, reserved: Collection[str] = ()) -> None:
        """Let plugins add commands to the command line. A plugin that fails adds none; a finding says so.

        Args:
            app: The `click.Group`. Commands it has already cannot be replaced.
            reserved: Names of built-in commands that it does not list among its ``commands``.
        """
        register_commands(self._dispatcher, app, reserved=reserved, report=self._report, on_failure=self._hook_failed)

    def hook_calls(self) -> tuple[HookCallFact, ...]:
        """Give what plugins did for the host, outside of sessions, and what it took."""
        return self._counters.facts()

    # --- sessions -------------------------------------------------------------------------------

    def build_session(self, request: SessionRequest) -> PluginSession:
        """Build the plugins of a session. Nothing is kept of it here: it lives as long as its caller holds it.

        Raises:
            UnknownPlugin: Options name a plugin that is not here; or the setting ``protocol`` names one that brings
                no protocol.
            InvalidPluginOptions: A plugin does not accept its options.
            PluginHookError: A plugin failed in making its part, its protocol, its code executor or its operations.
            PluginLoadError: What a plugin made has hooks that are wrong, or none.
            SingletonConflict: Two plugins bring what there can be only one of; names both.
            MissingProtocol: No plugin brings a protocol.
            SettingsError: A provider's settings are wrong, where nobody asked for providers before.
        """
        return build_session(self._environment(), request)

    def _gather(self) -> Registrations:
        if self._gathered is None:
            self._gathered = register_plugins(
                self._dispatcher, self._settings, report=self._report, on_failure=self._hook_failed
            )
            self._left_out |= self._gathered.left_out
            self._dispatcher = self._dispatcher.without(self._gathered.left_out)
        return self._gathered

    def _register(self, registry: HookRegistry, plugin: InstalledPlugin) -> None:
        inspection = self._inspector.inspect(plugin.host_plugin, scope="host")
        try:
            registry.add(plugin.host_plugin, plugin_id=plugin.plugin_id, inspection=inspection)
        except ValueError as exc:
            self._left_out |= {plugin.plugin_id}
            self._report("duplicate_registration", plugin.plugin_id, f"cannot be registered: {exc}")

    def _environment(self) -> BuildEnvironment:
        extensions = self._gather().extensions
        return BuildEnvironment(
            plugins=self.plugins,
            makers=self._dispatcher.implementations("lash_create_session_plugin"),
            settings_options=self._settings.plugins.options,
            protocol=self._settings.protocol,
            extensions=extensions,
            inspector=self._inspector,
            timer=self._timer,
            on_failure=self._hook_failed,
            on_problem=self._session_problem,
        )

    def _hook_failed(self, error: PluginHookError) -> None:
        _log.warning("%s", error)
        _log.debug("its traceback", exc_info=error)
        place = "" if error.__cause__ is None else place_of(error.__cause__)
        self._add("hook_failed", error.plugin_id, f"failed in {error.hook}: {error.problem}", place, hook=error.hook)

    def _session_problem(self, plugin_id: str, problem: HookProblem) -> None:
        self._add(problem.code, plugin_id, problem.message, problem.place, severity=problem.severity)

    def _report(self, code: FindingCode, plugin_id: str, message: str) -> None:
        self._add(code, plugin_id, message, "")

    def _add(
        self,
        code: FindingCode,
        plugin_id: str,
        message: str,
        place: str,
        *,
        severity: Literal["error", "warning"] = "error",
        hook: str | None = None,
    ) -> None:
        plugin = next((plugin for plugin in self._installed if plugin.plugin_id == plugin_id), None)
        self.add_finding(
            PluginFinding(
                code=code,
                severity=severity,
                plugin_id=plugin_id,
                distribution=None if plugin is None else plugin.distribution or None,
                place=place or ("" if plugin is None else plugin.location),
                message=message,
                hook=hook,
            )
        )
