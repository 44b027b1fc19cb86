"""A model provider that gives the answers it was scripted with, and records what it was asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import count

from lash_host.domain.message import ReasoningPart, TextPart, ToolCallPart
from lash_host.domain.model import (
    ModelEvent,
    ModelRequest,
    ModelResponse,
    ModelSpec,
    ReasoningDelta,
    TerminalReason,
    TextDelta,
)
from lash_host.domain.usage import TokenUsage
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import ModelCallError, UnknownModel

__all__ = ["SCRIPTED_USAGE", "Reply", "ScriptUsedUp", "ScriptedProvider", "text", "tool_call", "tool_calls"]

SCRIPTED_USAGE = TokenUsage(
    input_tokens=100,
    output_tokens=20,
    cache_read_input_tokens=40,
    cache_write_input_tokens=8,
    reasoning_output_tokens=5,
)
"""What every scripted answer consumes unless it says otherwise: five different numbers, 168 in total."""

Step = ModelEvent | BaseException | asyncio.Event
Reply = ModelResponse | str | Sequence[Step] | BaseException | Callable[[ModelRequest], "Reply"]
"""One answer of a script: a response, its text, a list of steps, an error to raise, or what makes one of these.

A response and a text are streamed: one delta a part, then the response. A list is played as it stands: events are
yielded, errors raised, and at an `asyncio.Event` the stream waits until it is set.
"""


class ScriptUsedUp(ModelCallError, AssertionError):
    """The provider was asked more often than it was scripted for: the test or the code under test miscounts."""

    code = "script_used_up"

    def __init__(self, *, scripted: int, provider_id: str) -> None:
        super().__init__(
            f"provider {provider_id!r} had {scripted} scripted replies, all given; nothing is scripted for the next",
            kind="validation",
        )
        self.scripted, self.provider_id = scripted, provider_id


def text(content: str, *, usage: TokenUsage = SCRIPTED_USAGE) -> ModelResponse:
    """Make an answer of text."""
    return ModelResponse(parts=(TextPart(text=content),), usage=usage, terminal_reason=TerminalReason.STOP)


def tool_call(
    name: str,
    arguments: Mapping[str, JsonValue] | None = None,
    *,
    call_id: str | None = None,
    say: str = "",
    usage: TokenUsage = SCRIPTED_USAGE,
) -> ModelResponse:
    """Make an answer that calls one tool. Without a ``call_id`` the provider makes one: ``call_<turn id>_<number>``."""
    return tool_calls((name, dict(arguments or {}), call_id), say=say, usage=usage)


def tool_calls(
    *calls: tuple[str, JsonObject] | tuple[str, JsonObject, str | None],
    say: str = "",
    usage: TokenUsage = SCRIPTED_USAGE,
) -> ModelResponse:
    """Make an answer that calls several tools at once: ``("name", {...})`` or ``("name", {...}, "call id")`` each.

    Args:
        calls: The calls, in order.
        say: Text before the calls.
        usage: What the answer consumed.
    """
    parts = tuple(
        ToolCallPart(call_id=(call[2] if len(call) > 2 else None) or "", tool_name=call[0], arguments=call[1])
        for call in calls
    )
    spoken = (TextPart(text=say),) if say else ()
    return ModelResponse(parts=(*spoken, *parts), usage=usage, terminal_reason=TerminalReason.TOOL_USE)


class ScriptedProvider:
    """A `ModelProvider` without a model: each request gets the next reply, whatever session it comes from.

    Attributes:
        requests: What it was asked, oldest first.
        interrupted: How many of its streams were closed before their end.
        is_closed: Whether the host has let go of it.
    """

    def __init__(
        self,
        *,
        provider_id: str = "scripted",
        replies: Iterable[Reply] = (),
        models: Sequence[ModelSpec] = (),
        context_window_tokens: int = 128_000,
    ) -> None:
        """Take the script.

        Args:
            provider_id: The id before the slash in ``provider/model``.
            replies: The answers, in order.
            models: The models it knows; none means that it takes any id.
            context_window_tokens: The window of models that are not listed.
        """
        self._provider_id = provider_id
        self._replies: deque[Reply] = deque(replies)
        self._scripted = len(self._replies)
        self._models = {model.model_id: model for model in models}
        self._context_window_tokens = context_window_tokens
        self.requests: list[ModelRequest] = []
        self.interrupted = 0
        self.is_closed = False

    @property
    def provider_id(self) -> str:
        """The id before the slash in ``provider/model``."""
        return self._provider_id

    @property
    def remaining(self) -> int:
        """How many replies were not asked for yet."""
        return len(self._replies)

    def add(self, *replies: Reply) -> None:
        """Go on with more replies."""
        self._replies.extend(replies)
        self._scripted += len(replies)

    def model(self, model_id: str) -> ModelSpec:
        """Tell what is known of a model.

        Raises:
            UnknownModel: The provider was given models, and this is none of them.
        """
        if self._models and model_id not in self._models:
            raise UnknownModel(self._provider_id, model_id, known=tuple(self._models))
        unlisted = ModelSpec(
            provider_id=self._provider_id, model_id=model_id, context_window_tokens=self._context_window_tokens
        )
        return self._models.get(model_id, unlisted)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Play the next reply.

        Raises:
            ScriptUsedUp: There is none.
            BaseException: The reply is an error, or ends in one.
        """
        self.requests.append(request)
        if not self._replies:
            raise ScriptUsedUp(scripted=self._scripted, provider_id=self._provider_id)
        reply = self._replies.popleft()
        while callable(reply):
            reply = reply(request)
        ended = False
        try:
            for step in _steps(reply, request):
                if isinstance(step, BaseException):
                    ended = True
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
            ended = True
        finally:
            self.interrupted += not ended

    async def close(self) -> None:
        """Take note of it."""
        self.is_closed = True


def _steps(
    reply: ModelResponse | str | Sequence[Step] | BaseException, request: ModelRequest
) -> Iterable[ModelEvent | BaseException | asyncio.Event]:
    if isinstance(reply, str):
        reply = text(reply)
    if isinstance(reply, BaseException):
        return (reply,)
    if isinstance(reply, ModelResponse):
        deltas = (_delta(part) for part in reply.parts if not isinstance(part, ToolCallPart))
        return (*deltas, _with_call_ids(reply, request))
    return tuple(_with_call_ids(step, request) if isinstance(step, ModelResponse) else step for step in reply)


def _delta(part: TextPart | ReasoningPart) -> TextDelta | ReasoningDelta:
    return TextDelta(part.text) if isinstance(part, TextPart) else ReasoningDelta(part.text)


def _with_call_ids(response: ModelResponse, request: ModelRequest) -> ModelResponse:
    """Name the calls that have no id, differently from all earlier ones of the session."""
    if all(call.call_id for call in response.tool_calls):
        return response
    scope = request.scope
    numbers = count(1 + sum(len(message.tool_calls) for message in request.messages))
    parts = tuple(
        part.model_copy(update={"call_id": f"call_{scope.turn_id or scope.request_id}_{next(numbers)}"})
        if isinstance(part, ToolCallPart) and not part.call_id
        else part
        for part in response.parts
    )
    return response.model_copy(update={"parts": parts})
