"""Requests and tools for the offline models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from lash_host.domain.message import Message, MessageOrigin, Part, Role, TextPart, ToolCallPart, ToolResultPart
from lash_host.domain.model import ModelEvent, ModelRequest, ModelResponse, ModelSpec, RequestScope
from lash_host.domain.tool import ToolSpec
from lash_host.providers.offline import OfflineProvider


def _tool(name: str, description: str, required: Sequence[str] = (), **properties: object) -> ToolSpec:
    shapes = {key: value if isinstance(value, dict) else {"type": value} for key, value in properties.items()}
    schema = {"type": "object", "properties": shapes, "required": [*required]}
    return ToolSpec(name=name, description=description, input_schema=schema)


@pytest.fixture
def tools() -> list[ToolSpec]:
    """The shipped file tools and some others."""
    return [
        _tool("list_files", "List files in a folder.", path="string"),
        _tool("read_file", "Read a text file.", ["path"], path="string", limit="integer"),
        _tool("search_files", "Search files for a pattern.", ["pattern"], pattern="string", path="string"),
        _tool("write_file", "Write a text file.", ["path", "content"], path="string", content="string"),
        _tool("add_note", "Remember one line for this session.", ["text"], text="string"),
        _tool("list_notes", "List the notes."),
        _tool("calculator", "Evaluate arithmetic.", ["expression"], expression="string"),
        _tool("add", "Add two numbers.", ["a", "b"], a="integer", b="number"),
        _tool("get_weather", "Get the weather of a city.", ["city"], city="string"),
        _tool("roll", "Roll dice.", ["sides"], sides="integer", mode={"enum": ["fair", "loaded"]}),
        _tool("sum_all", "Sum numbers.", ["numbers"], numbers={"type": "array", "items": {"type": "integer"}}),
        _tool("tag", "Tag.", ["names", "loud"], names={"type": "array"}, loud={"type": ["boolean", "null"]}),
    ]


class Conversation:
    """Builds the messages of a conversation, one a call."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def _add(self, role: Role, *parts: Part, origin: MessageOrigin | None = None) -> Conversation:
        number = len(self.messages) + 1
        self.messages.append(Message(message_id=f"m{number}", role=role, parts=parts, origin=origin))
        return self

    def user(self, text: str, *, origin: MessageOrigin | None = None) -> Conversation:
        return self._add(Role.USER, TextPart(text=text), origin=origin)

    def assistant(self, text: str, *, origin: MessageOrigin | None = None) -> Conversation:
        return self._add(Role.ASSISTANT, TextPart(text=text), origin=origin)

    def answered(self, response: ModelResponse, *results: str, is_error: bool = False) -> Conversation:
        """Add an answer that calls tools, and the calls' results."""
        self._add(Role.ASSISTANT, *response.parts)
        parts = [
            ToolResultPart(call_id=call.call_id, tool_name=call.tool_name, text=text, is_error=is_error)
            for call, text in zip(response.tool_calls, results, strict=True)
        ]
        return self._add(Role.USER, *parts)


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


MakeRequest = Callable[..., ModelRequest]


@pytest.fixture
def make_request() -> MakeRequest:
    def make(
        messages: Conversation | str, *, model: str = "agent", tools: Sequence[ToolSpec] = (), **more: object
    ) -> ModelRequest:
        talk = Conversation().user(messages) if isinstance(messages, str) else messages
        key = f"turn:{len(talk.messages)}"
        scope = RequestScope(session_id="s1", frame_id="f", turn_id="t", request_id=key, idempotency_key=key)
        spec = ModelSpec(provider_id="offline", model_id=model)
        fields = {"system": "", "scope": scope, "tools": tools, **more}
        return ModelRequest(model=spec, messages=list(talk.messages), **fields)

    return make


@pytest.fixture
def provider() -> OfflineProvider:
    return OfflineProvider()


@pytest.fixture
def play() -> Callable[[OfflineProvider, ModelRequest], list[ModelEvent]]:
    """Collect what a provider streams."""

    def collect(provider: OfflineProvider, request: ModelRequest) -> list[ModelEvent]:
        async def stream() -> list[ModelEvent]:
            return [event async for event in provider.stream(request)]

        return asyncio.run(stream())

    return collect


@pytest.fixture
def ask(provider, play, make_request, tools):
    """Ask offline/agent with all tools, and give its response."""

    def answer(messages: Conversation | str, **more: object) -> ModelResponse:
        return play(provider, make_request(messages, **{"tools": tools, **more}))[-1]

    return answer


@pytest.fixture
def calls_of() -> Callable[[ModelResponse], list[tuple[str, object]]]:
    def calls(response: ModelResponse) -> list[tuple[str, object]]:
        return [(part.tool_name, part.arguments) for part in response.parts if isinstance(part, ToolCallPart)]

    return calls
