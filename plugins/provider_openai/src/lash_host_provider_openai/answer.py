"""Puts a streamed answer together: deltas as they come, and the whole response at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from lash_host import (
    JsonObject,
    ModelEvent,
    ModelRequest,
    ModelResponse,
    ReasoningDelta,
    ReasoningPart,
    TerminalReason,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallPart,
)
from lash_host_provider_openai.usage import UsageCounters

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

__all__ = ["REPLAY_FIELD", "Answer", "parse_arguments"]

REPLAY_FIELD = "chat_completions_field"
"""Key of `ReasoningPart.replay`: the field of an assistant message that gives the model its reasoning back."""

REASONING_FIELDS = ("reasoning_content", "reasoning")
OVERFLOW_SHARE = 0.95

_TERMINAL_REASONS = {
    "stop": TerminalReason.STOP,
    "tool_calls": TerminalReason.TOOL_USE,
    "function_call": TerminalReason.TOOL_USE,
    "length": TerminalReason.OUTPUT_LIMIT,
    "content_filter": TerminalReason.CONTENT_FILTER,
    "error": TerminalReason.PROVIDER_ERROR,
}


@dataclass(slots=True)
class _Text:
    raw: str = ""


@dataclass(slots=True)
class _Reasoning:
    field: str
    raw: str = ""


@dataclass(slots=True)
class _Call:
    index: int | None
    call_id: str = ""
    name: str = ""
    fragments: list[str] = field(default_factory=list)


_Segment = _Text | _Reasoning | _Call


class Answer:
    """One answer while it arrives."""

    def __init__(self, request: ModelRequest, *, replay_reasoning: bool) -> None:
        """Begin with nothing."""
        self._request = request
        self._replay_reasoning = replay_reasoning
        self._segments: list[_Segment] = []
        self._usage = UsageCounters()
        self._is_accounted = False
        self._finish_reason: str | None = None
        self._model: str | None = None
        self._half_characters = {"text": "", "reasoning": ""}

    @property
    def is_whole(self) -> bool:
        """Whether the model has said that it stopped, or the server has closed the account of an answer."""
        return self._finish_reason is not None or (self._is_accounted and bool(self._segments))

    def add(self, chunk: ChatCompletionChunk) -> Iterator[ModelEvent]:
        """Take a chunk in, and give the deltas in it."""
        self._model = chunk.model or self._model
        if chunk.usage is not None:
            self._usage.merge(chunk.usage)
            self._is_accounted = not chunk.choices
        for choice in chunk.choices or ():
            if choice.index:
                continue
            if choice.delta is not None:
                yield from self._add_delta(choice.delta)
            self._finish_reason = choice.finish_reason or self._finish_reason

    def response(self) -> ModelResponse:
        """Give the whole answer."""
        parts = tuple(self._parts())
        usage = self._usage.total()
        return ModelResponse(
            parts=parts,
            usage=usage,
            terminal_reason=self._terminal_reason(usage, has_calls=any(isinstance(p, ToolCallPart) for p in parts)),
            provider_model=self._model,
        )

    def _add_delta(self, delta: ChoiceDelta) -> Iterator[ModelEvent]:
        for name in REASONING_FIELDS:
            thought = getattr(delta, name, None)
            if isinstance(thought, str) and thought:
                self._reasoning(name).raw += thought
                if whole := self._whole_characters("reasoning", thought):
                    yield ReasoningDelta(whole)
                break  # servers that fill both fields say the same in both
        for spoken in (delta.content, delta.refusal):
            if isinstance(spoken, str) and spoken:
                self._text().raw += spoken
                if whole := self._whole_characters("text", spoken):
                    yield TextDelta(whole)
        for fragment in delta.tool_calls or ():
            self._add_call_fragment(fragment)

    def _text(self) -> _Text:
        last = self._segments[-1] if self._segments else None
        if isinstance(last, _Text):
            return last
        self._segments.append(fresh := _Text())
        return fresh

    def _reasoning(self, name: str) -> _Reasoning:
        last = self._segments[-1] if self._segments else None
        if isinstance(last, _Reasoning):
            return last
        self._segments.append(fresh := _Reasoning(name))
        return fresh

    def _add_call_fragment(self, fragment: ChoiceDeltaToolCall) -> None:
        call = self._call(fragment.index, fragment.id or "")
        call.call_id = call.call_id or fragment.id or ""
        if fragment.function is None:
            return
        name = fragment.function.name or ""
        if name != call.name:  # some servers repeat the whole name in every fragment
            call.name += name
        if fragment.function.arguments:
            call.fragments.append(fragment.function.arguments)

    def _call(self, index: int | None, call_id: str) -> _Call:
        """Find the call a fragment belongs to.

        By its index; but a new id begins a new call, for servers that number every call 0 or none at all.
        """
        calls = [segment for segment in self._segments if isinstance(segment, _Call)]
        known = [call for call in calls if index is None or call.index == index]
        if known and (not call_id or known[-1].call_id in ("", call_id)):
            return known[-1]
        self._segments.append(fresh := _Call(index))
        return fresh

    def _whole_characters(self, channel: str, piece: str) -> str:
        """Hold back the first half of a character that JSON escapes split over two deltas."""
        text = self._half_characters[channel] + piece
        cut = len(text) - ("\ud800" <= text[-1] <= "\udbff")
        self._half_characters[channel] = text[cut:]
        return _well_formed(text[:cut])

    def _parts(self) -> Iterator[TextPart | ReasoningPart | ToolCallPart]:
        used = {call.call_id for message in self._request.messages for call in message.tool_calls}
        for segment in self._segments:
            match segment:
                case _Text(raw=raw):
                    yield TextPart(text=_well_formed(raw))
                case _Reasoning(raw=raw):
                    replay: JsonObject | None = {REPLAY_FIELD: segment.field} if self._replay_reasoning else None
                    yield ReasoningPart(text=_well_formed(raw), replay=replay)
                case _Call():
                    call_id = segment.call_id
                    if not call_id or call_id in used:  # a call's id must be unlike any other of the conversation
                        call_id = _free_id(used)
                    used.add(call_id)
                    yield _call_part(call_id, segment.name, "".join(segment.fragments))
                case _:
                    assert_never(segment)

    def _terminal_reason(self, usage: TokenUsage, *, has_calls: bool) -> TerminalReason:
        reason = _TERMINAL_REASONS.get(self._finish_reason or "", TerminalReason.UNKNOWN)
        window = self._request.model.context_window_tokens
        is_full = usage.output_tokens == 0 and usage.context_tokens >= OVERFLOW_SHARE * window
        if reason is TerminalReason.OUTPUT_LIMIT and is_full:
            return TerminalReason.CONTEXT_OVERFLOW
        if reason is TerminalReason.STOP and has_calls:
            return TerminalReason.TOOL_USE
        return reason


def parse_arguments(text: str) -> JsonObject:
    """Read a tool call's arguments; no text at all means no arguments.

    Raises:
        ValueError: They are no JSON object, or hold what JSON cannot carry: NaN, infinity, half characters.
    """
    text = _well_formed(text)
    if not text.strip():
        return {}
    try:
        value: Any = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as exc:
        raise ValueError(f"not valid JSON: {exc}") from exc
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if not isinstance(value, dict):
        names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
        raise ValueError(f"must be a JSON object, got {names.get(type(value), 'a number')}")  # noqa: TRY004
    if "\\ud" in text.lower() and _has_half_characters(json.dumps(value, ensure_ascii=False)):
        raise ValueError("a string holds half a character (an unpaired surrogate)")
    return value


def _call_part(call_id: str, name: str, text: str) -> ToolCallPart:
    try:
        return ToolCallPart(call_id=call_id, tool_name=name, arguments=parse_arguments(text))
    except ValueError as exc:
        return ToolCallPart(call_id=call_id, tool_name=name, arguments_error=f"arguments: {exc}")


def _free_id(used: Iterable[str]) -> str:
    taken = set(used)
    number = 1 + len(taken)
    while f"call_{number}" in taken:
        number += 1
    return f"call_{number}"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large a number")
    return value


def _has_half_characters(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _well_formed(text: str) -> str:
    """Join surrogate pairs, and replace what has no other half."""
    if text.isascii() or not _has_half_characters(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
