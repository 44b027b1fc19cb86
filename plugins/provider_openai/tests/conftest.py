"""A scripted server on the loopback interface, and what asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from lash_host import LashError, Message, ModelEvent, ModelRequest, ModelResponse, Role, TextPart
from lash_host.domain.model import RequestScope
from lash_host.testing.clock import ManualClock
from lash_host.testing.openai_server import FakeOpenAIServer
from lash_host_provider_openai import OpenAIProvider, ProviderSettings

KEY = "sk-proj-1234567890abcdefghijKEEPSECRET"
SCOPE = RequestScope(
    session_id="s-1", frame_id="f-1", turn_id="t-1", request_id="r-1", idempotency_key="s-1:t-1:model_call:1"
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own keys, addresses and proxies out of the tests."""
    names = ("API_KEY", "ADMIN_KEY", "BASE_URL", "ORG_ID", "PROJECT_ID", "CUSTOM_HEADERS", "LOG")
    for name in (*(f"OPENAI_{name}" for name in names), "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[FakeOpenAIServer]:
    with FakeOpenAIServer() as running:
        yield running


@pytest.fixture
def make_provider(server: FakeOpenAIServer) -> Callable[..., OpenAIProvider]:
    """Make a provider of the scripted server; keyword arguments are keys of its table."""

    def make(provider_id: str = "openai", *, environ=None, clock=None, **table: object) -> OpenAIProvider:
        settings = ProviderSettings.model_validate({"base_url": server.base_url, **table})
        environ = {"OPENAI_API_KEY": KEY} if environ is None else environ
        return OpenAIProvider(provider_id, settings=settings, environ=environ, clock=clock or ManualClock())

    return make


@pytest.fixture
def make_request() -> Callable[..., ModelRequest]:
    """Make a request to ``openai/gpt-test``; keyword arguments are fields of `ModelRequest`, or ``model_`` ones."""

    def make(*messages: Message | str, **fields: object) -> ModelRequest:
        model_fields = {name.removeprefix("model_"): fields.pop(name) for name in list(fields) if name[:6] == "model_"}
        model = OpenAIProvider().model("gpt-test").model_copy(update=model_fields)
        asked = [
            Message(message_id=f"m{number}", role=Role.USER, parts=(TextPart(text=message),))
            if isinstance(message, str)
            else message
            for number, message in enumerate(messages or ("hello",))
        ]
        return ModelRequest(**{"model": model, "system": "", "messages": asked, "scope": SCOPE, **fields})

    return make


@pytest.fixture
def ask(make_provider, make_request) -> Callable[..., list[ModelEvent]]:
    """Ask once, and give everything that was yielded."""

    def run(request: ModelRequest | None = None, *, provider: OpenAIProvider | None = None) -> list[ModelEvent]:
        async def scenario() -> list[ModelEvent]:
            asked = provider or make_provider()
            try:
                return [event async for event in asked.stream(request or make_request())]
            finally:
                await asked.close()

        return asyncio.run(scenario())

    return run


@pytest.fixture
def answer(ask) -> Callable[..., ModelResponse]:
    """Ask once, and give the response."""

    def run(request: ModelRequest | None = None, *, provider: OpenAIProvider | None = None) -> ModelResponse:
        response = ask(request, provider=provider)[-1]
        assert isinstance(response, ModelResponse)
        return response

    return run


@pytest.fixture
def refusal(ask) -> Callable[..., LashError]:
    """Ask once, and give the error; no text of it or around it may hold the key."""

    def run(request: ModelRequest | None = None, *, provider: OpenAIProvider | None = None) -> LashError:
        with pytest.raises(LashError) as caught:
            ask(request, provider=provider)
        error: BaseException | None = caught.value
        assert error.__cause__ is None
        assert error.__context__ is None
        assert "KEEPSECRET" not in f"{error} {error!r} {getattr(error, 'raw', '')}"
        return caught.value

    return run
