"""What every open session of a host shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lash_host.contracts.clock import Clock
from lash_host.contracts.effect_host import EffectHost
from lash_host.contracts.provider import ModelProvider
from lash_host.domain.ids import IdFactory
from lash_host.domain.lease import LeaseOwner, LeaseTimings, ProcessIdentity
from lash_host.domain.model import ModelPrice, ModelSpec, parse_model
from lash_host.domain.retry import ModelRetryPolicy
from lash_host.errors import UnknownProvider, UsageFault
from lash_host.plugin.host import PluginHost
from lash_host.runtime.store_gateway import StoreGateway
from lash_host.settings import Settings

__all__ = ["HostServices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostServices:
    """The parts a host is made of.

    Attributes:
        settings: The host's settings.
        store: Where sessions live.
        plugins: The plugins.
        providers: Model providers by id.
        prices: Model prices by (provider id, model id).
        effects: What runs a turn's effects.
        clock: The time.
        ids: New ids.
        lease_timings: How long execution leases live.
        retry_policy: How hard model calls are tried.
        process: This process, as lease holders prove to be alive or dead.
    """

    settings: Settings
    store: StoreGateway
    plugins: PluginHost
    providers: Mapping[str, ModelProvider]
    prices: Mapping[tuple[str, str], ModelPrice]
    effects: EffectHost
    clock: Clock
    ids: IdFactory
    lease_timings: LeaseTimings
    retry_policy: ModelRetryPolicy
    process: ProcessIdentity | None

    def new_owner(self) -> LeaseOwner:
        """Make the identity under which one object of this process holds leases."""
        return LeaseOwner(owner_id=self.ids("owner"), incarnation_id=self.ids("incarnation"), process=self.process)

    def provider(self, provider_id: str) -> ModelProvider:
        """Give a provider.

        Raises:
            UnknownProvider: No plugin registered it.
        """
        provider = self.providers.get(provider_id)
        if provider is None:
            raise UnknownProvider(provider_id, known=tuple(sorted(self.providers)))
        return provider

    def resolve_model(self, model: str | ModelSpec, *, provider_id: str | None = None) -> ModelSpec:
        """Say what is known of a model, given as ``provider/model`` or, with ``provider_id``, by its id alone.

        Raises:
            UnknownProvider: No plugin registered its provider.
            UnknownModel: The provider has no such model.
            UsageFault: The text is not of the form ``provider/model``.
        """
        if isinstance(model, ModelSpec):
            self.provider(model.provider_id)
            return model
        if provider_id is not None:
            return self.provider(provider_id).model(model.removeprefix(f"{provider_id}/"))
        try:
            found, model_id = parse_model(model)
        except ValueError as exc:
            raise UsageFault(str(exc)) from exc
        return self.provider(found).model(model_id)
