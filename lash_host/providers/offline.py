"""The offline provider: deterministic models that need neither a key nor a network."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator

from lash_host.contracts.clock import Clock, SystemClock
from lash_host.domain.message import (
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lash_host.domain.model import (
    ModelEvent,
    ModelRequest,
    ModelResponse,
    ModelSpec,
    ReasoningDelta,
    TerminalReason,
    TextDelta,
    estimate_tokens,
)
from lash_host.domain.usage import TokenUsage
from lash_host.errors import ModelCallError, UnknownModel
from lash_host.providers.offline_agent import agent_parts, call_id, last_user_text
from lash_host.providers.offline_script import ScriptedReply, load_script

__all__ = ["OFFLINE_MODELS", "OfflineProvider"]

OFFLINE_MODELS = ("agent", "echo", "script:PATH")
"""The models the offline provider has."""

_SCRIPT = "script:"
_IMAGE_TOKENS = 1_200
_AnswerPart = TextPart | ReasoningPart | ToolCallPart


class OfflineProvider:
    """Serves three models that are programs.

    ``echo`` answers with what the user said last. ``agent`` calls the tools the user's last message names and answers
    from their results; see `lash_host.providers.offline_agent`. ``script:PATH`` replays a file; see
    `lash_host.providers.offline_script`.

    All stream word by word and count tokens as `estimate_tokens` does: the same request always gets the same answer
    at the same cost.
    """

    provider_id = "offline"

    def __init__(self, *, clock: Clock | None = None) -> None:
        """Take the clock that the delays of scripts are waited on; None is the machine's own."""
        self._clock: Clock = clock or SystemClock()
        self._script_positions: dict[tuple[str, str], int] = {}

    def model(self, model_id: str) -> ModelSpec:
        """Tell what is known of a model. Whether a script can be read shows only when it is asked.

        Raises:
            UnknownModel: It is none of `OFFLINE_MODELS`.
        """
        is_script = model_id.startswith(_SCRIPT) and bool(model_id.removeprefix(_SCRIPT).strip())
        if model_id not in OFFLINE_MODELS[:2] and not is_script:
            raise UnknownModel(self.provider_id, model_id, known=OFFLINE_MODELS)
        return ModelSpec(provider_id=self.provider_id, model_id=model_id)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Answer.

        Raises:
            UnknownModel: It is none of `OFFLINE_MODELS`.
            ModelCallError: A script says so, cannot be read, or is used up.
        """
        model_id = self.model(request.model.model_id).model_id
        if model_id.startswith(_SCRIPT):
            reply = await self._next_reply(request, model_id.removeprefix(_SCRIPT).strip())
            await self._pause(reply.delay_s)
            if reply.error is not None:
                raise reply.error.as_exception()
            parts = tuple(_scripted_parts(reply, request))
        else:
            reply = ScriptedReply(text="")
            parts = _echo_parts(request) if model_id == "echo" else agent_parts(request)
        for part in parts:
            for delta in _deltas(part):
                await self._pause(reply.piece_delay_s)
                yield delta
        if reply.error_after is not None:
            raise reply.error_after.as_exception()
        has_calls = any(isinstance(part, ToolCallPart) for part in parts)
        yield ModelResponse(
            parts=parts,
            usage=reply.usage or _usage(request, parts),
            terminal_reason=reply.terminal_reason or (TerminalReason.TOOL_USE if has_calls else TerminalReason.STOP),
            provider_model=model_id,
        )

    async def close(self) -> None:
        """Forget how far each session got in its script."""
        self._script_positions.clear()

    async def _pause(self, seconds: float) -> None:
        """Wait, or merely let others run, so that an answer can be cancelled at every word."""
        if seconds > 0:
            await self._clock.sleep(seconds)
        else:
            await asyncio.sleep(0)

    async def _next_reply(self, request: ModelRequest, path: str) -> ScriptedReply:
        script = await asyncio.to_thread(load_script, path)
        key = (request.scope.session_id, path)
        answered = sum(message.role is Role.ASSISTANT for message in request.messages)
        position = self._script_positions.get(key, answered)
        if position >= len(script.replies):
            raise ModelCallError(
                f"script {path} is used up: it has {len(script.replies)} replies, and this is request {position + 1} "
                f"of session {request.scope.session_id!r}",
                kind="validation",
            )
        self._script_positions[key] = position + 1
        return script.replies[position]


def _echo_parts(request: ModelRequest) -> tuple[_AnswerPart, ...]:
    return (TextPart(text=last_user_text(request.messages) or "(nothing was said)"),)


def _scripted_parts(reply: ScriptedReply, request: ModelRequest) -> Iterator[_AnswerPart]:
    if reply.reasoning is not None:
        yield ReasoningPart(text=reply.reasoning)
    if reply.text is not None:
        yield TextPart(text=reply.text)
    for index, call in enumerate(reply.tool_calls):
        yield ToolCallPart(
            call_id=call.call_id or call_id(request, index),
            tool_name=call.name,
            arguments=call.arguments,
            arguments_error=call.arguments_error,
        )


def _deltas(part: _AnswerPart) -> Iterator[TextDelta | ReasoningDelta]:
    if isinstance(part, ToolCallPart):
        return
    kind = TextDelta if isinstance(part, TextPart) else ReasoningDelta
    for piece in re.findall(r"\s*\S+\s?|\s+", part.text):
        yield kind(piece)


def _usage(request: ModelRequest, parts: tuple[_AnswerPart, ...]) -> TokenUsage:
    prompt = estimate_tokens(request.system)
    prompt += sum(_message_tokens(message) for message in request.messages)
    prompt += sum(
        estimate_tokens(f"{tool.name}{tool.description}{json.dumps(tool.input_schema)}") for tool in request.tools
    )
    return TokenUsage(
        input_tokens=max(prompt, 1),
        output_tokens=max(sum(_part_tokens(part) for part in parts), 1),
        reasoning_output_tokens=sum(_part_tokens(part) for part in parts if isinstance(part, ReasoningPart)),
    )


def _message_tokens(message: Message) -> int:
    return sum(_part_tokens(part) for part in message.parts)


def _part_tokens(part: TextPart | ReasoningPart | ToolCallPart | ToolResultPart | ImagePart) -> int:
    match part:
        case TextPart() | ReasoningPart() | ToolResultPart():
            return estimate_tokens(part.text)
        case ToolCallPart():
            return estimate_tokens(part.tool_name + json.dumps(part.arguments))
        case ImagePart():
            return _IMAGE_TOKENS
