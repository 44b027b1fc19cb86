"""The provider: one server that speaks chat completions, through the official SDK."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from lash_host import (
    Clock,
    MissingCredential,
    ModelCallError,
    ModelEvent,
    ModelRequest,
    ModelSpec,
    SettingsError,
    SystemClock,
)
from lash_host_provider_openai.answer import Answer
from lash_host_provider_openai.failures import CallFacts, call_failures, failure
from lash_host_provider_openai.settings import (
    DEFAULT_PROVIDER_ID,
    OPENAI_BASE_URL,
    ModelSettings,
    ProviderSettings,
    checked_base_url,
    is_loopback,
    is_openai,
    origin,
)
from lash_host_provider_openai.wire import request_messages, request_options

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

__all__ = ["OpenAIProvider"]

CHUNK_TIMEOUT_S = 120.0
NO_KEY = "no-key"
"""What servers on this machine are sent where no key is set; the SDK insists on one."""


class OpenAIProvider:
    """Serves the models of one server. The SDK is imported, and connections are opened, with the first call."""

    def __init__(
        self,
        provider_id: str = DEFAULT_PROVIDER_ID,
        *,
        settings: ProviderSettings | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Take the settings; nothing is opened yet.

        Args:
            provider_id: The id before the slash in ``provider/model``.
            settings: Its table; None means an empty one.
            environ: Where keys are read, at every call; None means the process's environment.
            clock: For waits that a server asks for as a date.

        Raises:
            SettingsError: ``OPENAI_BASE_URL`` counts and is no address.
        """
        self._provider_id = provider_id
        self._settings = settings or ProviderSettings()
        self._environ = os.environ if environ is None else environ
        self._clock = clock or SystemClock()
        self._base_url = self._settings.base_url or _base_url_of(self._environ)
        self._client: openai.AsyncOpenAI | None = None

    @property
    def provider_id(self) -> str:
        """The id before the slash in ``provider/model``."""
        return self._provider_id

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self._base_url

    def model(self, model_id: str) -> ModelSpec:
        """Tell what the settings know of a model; any id is accepted, with a window of 128,000 tokens if unknown."""
        known = self._settings.models.get(model_id, ModelSettings())
        return ModelSpec(provider_id=self._provider_id, model_id=model_id, **known.model_dump(exclude_none=True))

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Ask a model; see `lash_host.contracts.provider.ModelProvider.stream`.

        Raises:
            ModelCallError: The call failed. The SDK's own exception is not chained to it: its text may hold the key.
            MissingCredential: There is no key, and the server is not on this machine.
        """
        facts = self._facts()
        answer = Answer(request, replay_reasoning=self._settings.replay_reasoning)
        client = await self._connected()
        deadline = asyncio.get_running_loop().time() + self._timeout_s(request)
        chunks = await self._open(client, request, facts, deadline)
        if isinstance(chunks, ModelCallError):
            raise chunks
        try:
            while (chunk := await self._next(chunks, facts, deadline)) is not None:
                if not isinstance(chunk, ModelCallError):
                    for event in answer.add(chunk):
                        yield event
                elif answer.is_whole:
                    break  # only what comes after the answer is lost: asking again would cost a second answer
                else:
                    raise chunk
        finally:
            await chunks.close()
        if not answer.is_whole:
            raise ModelCallError(f"the answer of {facts.origin} broke off", kind="stream", retryable=True)
        yield answer.response()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _open(
        self, client: openai.AsyncOpenAI, request: ModelRequest, facts: CallFacts, deadline: float
    ) -> openai.AsyncStream[ChatCompletionChunk] | ModelCallError:
        messages = request_messages(request, replay_reasoning=self._settings.replay_reasoning)
        options = request_options(request, max_tokens_field=self._max_tokens_field())
        try:
            async with asyncio.timeout_at(deadline):
                return await client.chat.completions.create(
                    model=request.model.model_id,
                    messages=cast("list[ChatCompletionMessageParam]", messages),
                    stream=True,
                    stream_options={"include_usage": True},
                    extra_headers=self._headers(request, facts.key),
                    extra_body=options,
                    timeout=min(CHUNK_TIMEOUT_S, self._timeout_s(request)),
                )
        except call_failures() as exc:
            return failure(exc, facts, has_begun=False)

    async def _next(
        self, chunks: openai.AsyncStream[ChatCompletionChunk], facts: CallFacts, deadline: float
    ) -> ChatCompletionChunk | ModelCallError | None:
        """Give the next chunk, None at the end, or what went wrong.

        Errors are returned and raised later, outside of any `except`, so that the SDK's exception, whose text may
        hold the key, is neither cause nor context of ours.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await anext(chunks)
        except StopAsyncIteration:
            return None
        except call_failures() as exc:
            return failure(exc, facts, has_begun=True)

    async def _connected(self) -> openai.AsyncOpenAI:
        if self._client is None:
            sdk = await asyncio.to_thread(import_module, "openai")  # takes a second; the event loop goes on meanwhile
            self._client = self._client or self._new_client(sdk.AsyncOpenAI)
        return self._client

    def _new_client(self, make: Callable[..., openai.AsyncOpenAI]) -> openai.AsyncOpenAI:
        """Make a client that neither retries nor holds the key, which is read and sent call by call."""
        client = make(api_key=NO_KEY, base_url=self._base_url, max_retries=0)
        is_default = self._provider_id == DEFAULT_PROVIDER_ID  # what the environment says for OpenAI stays with it
        client.organization = self._settings.organization or (client.organization if is_default else None)
        client.project = self._settings.project or (client.project if is_default else None)
        return client

    def _facts(self) -> CallFacts:
        variable = self._settings.key_variable(self._provider_id)
        key = self._environ.get(variable, "").strip()
        if not key and not is_loopback(self._base_url):
            raise MissingCredential(self._provider_id, variable=variable)
        if not key.isascii() or not key.isprintable() or " " in key:
            problem = f"what the environment variable {variable} holds is no key: it has spaces or special characters"
            raise ModelCallError(problem, kind="auth")
        now_s = self._clock.now_us() / 1_000_000
        return CallFacts(
            provider_id=self._provider_id, origin=origin(self._base_url), variable=variable, key=key, now_s=now_s
        )

    def _headers(self, request: ModelRequest, key: str) -> dict[str, Any]:
        return {
            **self._ambient_headers_left_out(),
            **self._settings.headers,
            "Authorization": f"Bearer {key or NO_KEY}",
            "Idempotency-Key": _header_safe(request.scope.idempotency_key),
        }

    def _ambient_headers_left_out(self) -> dict[str, Any]:
        """Keep the SDK from sending other servers what the environment says for OpenAI's."""
        ambient = self._environ.get("OPENAI_CUSTOM_HEADERS", "")
        if not ambient or self._provider_id == DEFAULT_PROVIDER_ID:
            return {}
        import openai

        kept = {name.lower() for name in self._settings.headers}
        names = [line.partition(":")[0].strip() for line in ambient.splitlines() if ":" in line]
        return {name: openai.Omit() for name in names if name.lower() not in kept}

    def _timeout_s(self, request: ModelRequest) -> float:
        own = self._settings.request_timeout_s
        return request.timeout_s if own is None else min(own, request.timeout_s)

    def _max_tokens_field(self) -> str:
        default = "max_completion_tokens" if is_openai(self._base_url) else "max_tokens"
        return self._settings.max_tokens_field or default


def _base_url_of(environ: Mapping[str, str]) -> str:
    value = environ.get("OPENAI_BASE_URL", "").strip()
    if not value:
        return OPENAI_BASE_URL
    try:
        return checked_base_url(value)
    except ValueError as exc:
        raise SettingsError(f"OPENAI_BASE_URL {exc}", source="environment", key="OPENAI_BASE_URL") from None


def _header_safe(key: str) -> str:
    """Give a key as it is where a header can hold it, and otherwise its digest, which is as unique."""
    if key.isascii() and key.isprintable() and 0 < len(key.strip()) == len(key) <= 255:  # noqa: PLR2004 (usual limit)
        return key
    return hashlib.sha256(key.encode()).hexdigest()
