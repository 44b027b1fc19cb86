"""The composition root: the one place that builds a host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from lash_host.contracts.clock import Clock, SystemClock
from lash_host.contracts.effect_host import EffectHost
from lash_host.contracts.provider import ModelProvider
from lash_host.contracts.store import SessionStore, UsageView
from lash_host.domain.lease import LeaseTimings
from lash_host.domain.model import ModelPrice, parse_model
from lash_host.domain.retry import ModelRetryPolicy
from lash_host.errors import SettingsError, StoreError
from lash_host.plugin.discovery import discover, explicit
from lash_host.plugin.findings import PluginFinding, describe_exception
from lash_host.plugin.host import PluginHost
from lash_host.providers.offline import OfflineProvider
from lash_host.runtime.effects import InlineEffectHost
from lash_host.runtime.host import HostCore
from lash_host.runtime.ids import random_ids
from lash_host.runtime.services import HostServices
from lash_host.runtime.store_gateway import StoreGateway
from lash_host.settings import Settings, load_settings
from lash_host.store import open_store
from lash_host.store.liveness import current_process_identity
from lash_host.usage.analytics import UsageAnalytics
from lash_host.usage.views import builtin_views

__all__ = ["HostOpening", "LashHost", "default_store_path", "open"]


class LashHost(HostCore):
    """A host: plugins, a store, sessions, and analytics over all of it."""

    def __init__(self, services: HostServices) -> None:
        super().__init__(services)
        self.usage = UsageAnalytics(services.store.store, clock=services.clock)
        """Read-only analytics over everything the store holds. Its methods block."""

    async def __aenter__(self) -> LashHost:
        return self


class HostOpening:
    """A host about to be opened: ``async with`` opens it and closes it again, ``await`` only opens it."""

    def __init__(
        self,
        store: str | Path | SessionStore | None,
        *,
        settings: Settings | None,
        plugins: Sequence[object] | None,
        providers: Sequence[ModelProvider] | None,
        effect_host: EffectHost | None,
        clock: Clock | None,
        strict_plugins: bool,
    ) -> None:
        self._store = store
        self._settings = settings
        self._plugins = plugins
        self._providers = providers
        self._effect_host = effect_host
        self._clock = clock
        self._strict = strict_plugins
        self._host: LashHost | None = None

    def __await__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        return self._open().__await__()

    async def __aenter__(self) -> LashHost:
        self._host = await self._open()
        return self._host

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._host is not None:
            await self._host.close()

    async def _open(self) -> LashHost:
        settings = load_settings() if self._settings is None else self._settings
        clock = SystemClock() if self._clock is None else self._clock
        plugins = load_plugins(settings, clock=clock, plugins=self._plugins)
        if self._strict:
            plugins.raise_if_strict()
        without_store = partial(
            HostServices,
            settings=settings,
            plugins=plugins,
            providers=_providers(plugins, clock, self._providers),
            prices=_prices(plugins, settings),
            effects=_effects(plugins, settings, self._effect_host),
            clock=clock,
            ids=random_ids,
            lease_timings=LeaseTimings.from_ttl(settings.lease.ttl_ms),
            retry_policy=ModelRetryPolicy(),
            process=current_process_identity(),
        )
        gateway = StoreGateway(_store(self._store, settings, clock))
        try:
            await _install_views(gateway, plugins)
            if self._strict:
                plugins.raise_if_strict()
        except BaseException:
            await gateway.close()
            raise
        return LashHost(without_store(store=gateway))


def open(  # noqa: A001  the public name
    store: str | Path | SessionStore | None = None,
    *,
    settings: Settings | None = None,
    plugins: Sequence[object] | None = None,
    providers: Sequence[ModelProvider] | None = None,
    effect_host: EffectHost | None = None,
    clock: Clock | None = None,
    strict_plugins: bool = False,
) -> HostOpening:
    """Open a host.

    Args:
        store: A path (a DuckDB file), an SQLAlchemy URL (``duckdb:///sessions.duckdb``, ``duckdb:///:memory:``,
            ``postgresql+psycopg://user@host/database``), a `SessionStore`, or None: what the settings say, else
            `lash.duckdb` in the user's data folder.
        settings: Settings; None loads them from files and environment.
        plugins: None discovers the installed ones; a list means exactly these: plugin objects, and ids of installed
            ones.
        providers: Model providers besides those that plugins bring; they win where ids are the same.
        effect_host: What runs the effects of turns; None takes what the settings name.
        clock: The time; None is the system's.
        strict_plugins: Fail if anything is wrong with any plugin, instead of going on without it.

    Returns:
        Use it with ``async with``, which gives a `LashHost` and closes it again, or await it.

    Raises:
        SettingsError: The settings are wrong.
        StoreError: The store cannot be opened: held by another process, of another program, read-only, unreachable.
        PluginError: With ``strict_plugins``, a plugin is at fault.
    """
    return HostOpening(
        store,
        settings=settings,
        plugins=plugins,
        providers=providers,
        effect_host=effect_host,
        clock=clock,
        strict_plugins=strict_plugins,
    )


def load_plugins(
    settings: Settings, *, clock: Clock | None = None, plugins: Sequence[object] | None = None
) -> PluginHost:
    """Find and load plugins, without a store."""
    found = discover(settings.plugins) if plugins is None else explicit(plugins, settings.plugins)
    return PluginHost(found, settings, SystemClock() if clock is None else clock)


def default_store_path() -> Path:
    """Say where sessions live when nobody says otherwise: the user's data folder."""
    import platformdirs

    return Path(platformdirs.user_data_dir("lash-host", appauthor=False)) / "lash.duckdb"


def _store(store: str | Path | SessionStore | None, settings: Settings, clock: Clock) -> SessionStore:
    if isinstance(store, SessionStore):
        return store
    return open_store(store or settings.store or default_store_path(), clock=clock)


async def _install_views(gateway: StoreGateway, plugins: PluginHost) -> None:
    """Install the views. One of a plugin's that the store refuses is left out, and a finding says so."""
    install, builtin, wanted = gateway.store.install_views, builtin_views(), plugins.usage_views()
    try:
        await gateway.call(install, (*builtin, *wanted))
    except StoreError:
        await gateway.call(install, builtin)
    else:
        return
    kept: list[UsageView] = []
    for view in wanted:
        try:
            await gateway.call(install, (*builtin, *kept, view))
        except StoreError as exc:
            plugins.add_finding(_refused_view(plugins, view, exc))
        else:
            kept.append(view)


def _refused_view(plugins: PluginHost, view: UsageView, error: StoreError) -> PluginFinding:
    owners = (found for found in plugins.plugins if view.name.startswith(re.sub(r"\W", "_", found.plugin_id) + "_"))
    owner = next(owners, None)
    return PluginFinding(
        code="hook_failed",
        severity="error",
        plugin_id=view.name if owner is None else owner.plugin_id,
        distribution=None if owner is None else owner.distribution or None,
        place="" if owner is None else owner.location,
        message=f"a view is left out: {describe_exception(error)}",
        hook="lash_register_usage_views",
    )


def _providers(plugins: PluginHost, clock: Clock, given: Sequence[ModelProvider] | None) -> dict[str, ModelProvider]:
    offline: ModelProvider = OfflineProvider(clock=clock)
    found = {offline.provider_id: offline, **plugins.providers()}
    return {**found, **{provider.provider_id: provider for provider in given or ()}}


def _effects(plugins: PluginHost, settings: Settings, given: EffectHost | None) -> EffectHost:
    if given is not None:
        return given
    inline: EffectHost = InlineEffectHost()
    hosts = {inline.name: inline, **plugins.effect_hosts()}
    if settings.effect_host not in hosts:
        known = ", ".join(sorted(hosts))
        raise SettingsError(f"no effect host {settings.effect_host!r}; known: {known}", source="effect_host")
    return hosts[settings.effect_host]


def _prices(plugins: PluginHost, settings: Settings) -> dict[tuple[str, str], ModelPrice]:
    prices: dict[tuple[str, str], ModelPrice] = {}
    for name, price in settings.prices.items():
        try:
            provider_id, model_id = parse_model(name)
        except ValueError as exc:
            raise SettingsError(str(exc), source="prices", key=f"prices.{name}") from exc
        prices[provider_id, model_id] = ModelPrice(provider_id=provider_id, model_id=model_id, **price.model_dump())
    for price_found in plugins.model_prices():
        prices.setdefault((price_found.provider_id, price_found.model_id), price_found)
    return prices
