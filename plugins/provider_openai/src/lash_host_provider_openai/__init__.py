"""Models of OpenAI, and of every server that speaks its chat completions protocol, for lash-host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_host import hookimpl
from lash_host_provider_openai.provider import OpenAIProvider
from lash_host_provider_openai.settings import ModelSettings, ProviderSettings, parse_tables

if TYPE_CHECKING:
    from lash_host import Settings

__all__ = ["ModelSettings", "OpenAIProvider", "ProviderSettings", "lash_register_providers"]


@hookimpl
def lash_register_providers(settings: Settings) -> list[OpenAIProvider]:
    """Bring ``openai``, and a provider for every table ``[providers.<id>]`` whose ``kind`` is ``openai``.

    Raises:
        SettingsError: One of these tables has an unknown key or an unusable value.
    """
    tables = parse_tables(settings.providers)
    return [OpenAIProvider(provider_id, settings=table) for provider_id, table in tables.items()]
