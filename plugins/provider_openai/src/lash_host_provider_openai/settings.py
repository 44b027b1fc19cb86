"""The tables ``[providers.<id>]`` of the settings that this plugin reads."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lash_host import SettingsError

__all__ = [
    "DEFAULT_PROVIDER_ID",
    "OPENAI_BASE_URL",
    "ModelSettings",
    "ProviderSettings",
    "checked_base_url",
    "is_loopback",
    "is_openai",
    "origin",
    "parse_tables",
]

OPENAI_BASE_URL = "https://api.openai.com/v1"
DEFAULT_PROVIDER_ID = "openai"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"})

_PROVIDER_ID = re.compile(r"[A-Za-z0-9_.-]+")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ModelSettings(_Table):
    """What is known of one model: the table ``[providers.<id>.models."<model id>"]``.

    Attributes:
        context_window_tokens: The longest prompt it takes.
        output_tokens_limit: The longest answer it gives.
        reasoning_efforts: The efforts it accepts, weakest first.
        reasoning_effort: The effort asked of it; one of `reasoning_efforts` where those are given.
    """

    context_window_tokens: int | None = Field(default=None, gt=0)
    output_tokens_limit: int | None = Field(default=None, gt=0)
    reasoning_efforts: tuple[str, ...] = ()
    reasoning_effort: str | None = None

    @model_validator(mode="after")
    def _effort_is_listed(self) -> ModelSettings:
        if self.reasoning_efforts and self.reasoning_effort not in (None, *self.reasoning_efforts):
            raise ValueError(f"reasoning_effort must be one of {', '.join(self.reasoning_efforts)}")
        return self


class ProviderSettings(_Table):
    """One server and how it is spoken to: the table ``[providers.<id>]``.

    Attributes:
        kind: What makes a table this plugin's; only the table ``openai`` may leave it out.
        base_url: Where the server is, up to and with ``/v1``.
        api_key_env: Name of the environment variable that holds the key.
        organization: OpenAI organization to book on.
        project: OpenAI project to book on.
        headers: Further request headers. None may hold a secret.
        request_timeout_s: The longest a whole request may take, where the host would allow longer.
        max_tokens_field: The field that carries the longest answer wanted.
        replay_reasoning: Whether the model gets its shared reasoning back.
        models: What is known of its models.
    """

    kind: Literal["openai"] = "openai"
    base_url: str | None = None
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    organization: str | None = Field(default=None, min_length=1)
    project: str | None = Field(default=None, min_length=1)
    headers: dict[str, str] = Field(default_factory=dict)
    request_timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = None
    replay_reasoning: bool = False
    models: dict[str, ModelSettings] = Field(default_factory=dict)

    @field_validator("base_url")
    @classmethod
    def _base_url_is_plain(cls, value: str | None) -> str | None:
        return None if value is None else checked_base_url(value)

    @field_validator("headers")
    @classmethod
    def _headers_are_public(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if name.lower() in SECRET_HEADERS:
                raise ValueError(f"header {name} holds a secret; name its environment variable in api_key_env instead")
            if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not text.isascii() or not text.isprintable():
                raise ValueError(f"{name!r} is no header: names are letters, digits and '-', values printable ASCII")
        return value

    def key_variable(self, provider_id: str) -> str:
        """Name the environment variable that holds the key.

        Without `api_key_env` each provider has a variable of its own, so that no server is sent another's key:
        ``OPENAI_API_KEY`` for ``openai``, ``OPENROUTER_API_KEY`` for ``openrouter``.
        """
        return self.api_key_env or f"{re.sub(r'[^A-Z0-9]', '_', provider_id.upper())}_API_KEY"


def parse_tables(providers: Mapping[str, Mapping[str, Any]]) -> dict[str, ProviderSettings]:
    """Read the tables that are this plugin's; ``openai`` is there without a table too.

    Raises:
        SettingsError: A table has an unknown key or an unusable value. The message names the key and never repeats
            the value.
    """
    tables: dict[str, Mapping[str, Any]] = {DEFAULT_PROVIDER_ID: {}, **providers}
    return {
        provider_id: _parse(provider_id, table)
        for provider_id, table in tables.items()
        if table.get("kind", "openai" if provider_id == DEFAULT_PROVIDER_ID else None) == "openai"
    }


def checked_base_url(value: str) -> str:
    """Give a base URL back without its trailing slash.

    Raises:
        ValueError: It is no http address, or carries more than scheme, host, port and path: keys do not belong there.
    """
    try:
        url = urlsplit(value.strip())
        is_address = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError("must be an http or https address such as http://localhost:11434/v1")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("must have no user, password, query or fragment")
    return url.geturl().rstrip("/")


def is_loopback(base_url: str) -> bool:
    """Say whether a server is on this machine, going by its name or address alone."""
    host = urlsplit(base_url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_openai(base_url: str) -> bool:
    """Say whether a server is OpenAI's own."""
    host = urlsplit(base_url).hostname or ""
    return host == "openai.com" or host.endswith(".openai.com")


def origin(base_url: str) -> str:
    """Give scheme, host and port of a base URL."""
    url = urlsplit(base_url)
    return SplitResult(url.scheme, url.netloc.rpartition("@")[2], "", "", "").geturl()


def _parse(provider_id: str, table: Mapping[str, Any]) -> ProviderSettings:
    if not _PROVIDER_ID.fullmatch(provider_id):
        raise SettingsError(
            f"providers.{provider_id}: a provider id is letters, digits, '_', '.' and '-'",
            source="settings",
            key=f"providers.{provider_id}",
        )
    try:
        return ProviderSettings.model_validate(table)
    except ValidationError as exc:
        raise _settings_error(provider_id, exc) from None


def _settings_error(provider_id: str, exc: ValidationError) -> SettingsError:
    """Name the first problem, without the value: somebody may have put a key where its variable's name belongs."""
    first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
    location = tuple(str(step) for step in first["loc"])
    key = ".".join(("providers", provider_id, *location))
    problem = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        table = ModelSettings if location[:1] == ("models",) else ProviderSettings
        near = get_close_matches(location[-1], table.model_fields, n=1, cutoff=0.5)
        problem = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
    elif location == ("api_key_env",):
        problem = "must be the name of an environment variable, not the key itself"
    return SettingsError(f"{key}: {problem}", source="settings", key=key)
