"""What `FakeOpenAIServer` can be scripted to answer, and how that looks on the wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from lash_host.domain.value import JsonObject

__all__ = [
    "FAKE_USAGE",
    "ChatReply",
    "ErrorReply",
    "FakeToolCall",
    "Hold",
    "RawReply",
    "RecordedRequest",
    "Reply",
    "sse",
]

FAKE_USAGE: Final[JsonObject] = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
"""What an answer consumes unless it says otherwise."""


class Hold(Enum):
    """Where the server falls silent within an answer, until `FakeOpenAIServer.release` or until the client leaves."""

    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """What the server was asked. Header names are in lower case; `body` is the decoded JSON."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeToolCall:
    """A tool call the fake model makes; `arguments` is text, whole or in fragments, and need not be JSON."""

    name: str
    arguments: str | Sequence[str] = "{}"
    call_id: str | None = "call_a"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    """An answer of the fake model, streamed as the protocol says.

    Attributes:
        text: Visible text; a sequence is streamed one delta an item.
        reasoning: Reasoning, in the field that compatible servers call `reasoning_field`.
        tool_calls: Tool calls, whose argument fragments are streamed in turn.
        finish_reason: Why it stopped; None chooses ``tool_calls`` or ``stop``, and "" sends none.
        usage: The last chunk's usage; None sends none.
        model: The model it reports; None repeats the request's.
        reasoning_field: The delta's field for reasoning.
    """

    text: str | Sequence[str] = ()
    reasoning: str | Sequence[str] = ()
    tool_calls: Sequence[FakeToolCall] = ()
    finish_reason: str | None = None
    usage: JsonObject | None = field(default_factory=lambda: dict(FAKE_USAGE))
    model: str | None = None
    reasoning_field: str = "reasoning_content"

    def chunks(self, *, model: str) -> Iterator[dict[str, Any]]:
        """Give the answer as chunk objects, without the closing mark."""
        named = self.model or model
        yield _chunk(named, {"role": "assistant", "content": ""})
        for piece in _pieces(self.reasoning):
            yield _chunk(named, {self.reasoning_field: piece})
        for piece in _pieces(self.text):
            yield _chunk(named, {"content": piece})
        for delta in _call_deltas(self.tool_calls):
            yield _chunk(named, {"tool_calls": [delta]})
        reason = self.finish_reason
        if reason is None:
            reason = "tool_calls" if self.tool_calls else "stop"
        if reason:
            yield _chunk(named, {}, finish_reason=reason)
        if self.usage is not None:
            yield {**_chunk(named, {}), "choices": [], "usage": self.usage}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """An HTTP answer instead of a stream. A `body` that is no text is sent as JSON."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawReply:
    """A stream, byte for byte, each piece sent by itself.

    Attributes:
        pieces: What is sent, and where the server holds.
        cut: Hang up without ending the body.
        chunked: Send chunk lengths, so that the client can tell a cut; without, the end of the connection ends the
            body.
    """

    pieces: Sequence[bytes | Hold]
    cut: bool = False
    chunked: bool = True


Reply = ChatReply | ErrorReply | RawReply | Callable[[RecordedRequest], "Reply"]
"""One scripted answer, or what makes one of the request."""


def sse(*chunks: Mapping[str, Any], done: bool = True) -> bytes:
    """Write chunks as server-sent events, with the closing mark unless ``done`` is false."""
    events = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
    return "".join([*events, *(["data: [DONE]\n\n"] if done else [])]).encode()


def _chunk(model: str, delta: Mapping[str, Any], *, finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": model,
        "choices": [choice],
    }


def _pieces(text: str | Sequence[str]) -> Sequence[str]:
    return ([text] if text else []) if isinstance(text, str) else text


def _call_deltas(calls: Sequence[FakeToolCall]) -> Iterator[dict[str, Any]]:
    """Announce all calls, then give their argument fragments in turn, as models that call in parallel may do."""
    for index, call in enumerate(calls):
        identity = {} if call.call_id is None else {"id": call.call_id}
        yield {"index": index, **identity, "type": "function", "function": {"name": call.name, "arguments": ""}}
    fragments = [_pieces(call.arguments) for call in calls]
    for turn in range(max((len(pieces) for pieces in fragments), default=0)):
        for index, pieces in enumerate(fragments):
            if turn < len(pieces):
                yield {"index": index, "function": {"arguments": pieces[turn]}}
