"""Language models: what is known of one, what it is asked, what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from lash_host.domain.message import Message, ReasoningPart, TextPart, ToolCallPart
from lash_host.domain.tool import ToolSpec
from lash_host.domain.usage import TokenUsage
from lash_host.domain.value import JsonObject, Value

__all__ = [
    "ModelEvent",
    "ModelPrice",
    "ModelRequest",
    "ModelResponse",
    "ModelSpec",
    "ReasoningDelta",
    "RequestScope",
    "RetryStatus",
    "TerminalReason",
    "TextDelta",
    "cost_usd",
    "estimate_tokens",
    "parse_model",
]


class ModelSpec(Value):
    """What the host knows of a model. Written ``provider/model`` as text.

    Attributes:
        provider_id: The provider that serves it.
        model_id: The provider's own name for it; may contain slashes.
        context_window_tokens: The longest prompt it takes.
        output_tokens_limit: The longest answer it gives, where known.
        reasoning_efforts: The efforts it accepts, weakest first; empty where it has none.
        reasoning_effort: The effort asked of it.
    """

    provider_id: str = Field(min_length=1)
    model_id: str = Field(min_length=1)
    context_window_tokens: int = Field(default=128_000, gt=0)
    output_tokens_limit: int | None = Field(default=None, gt=0)
    reasoning_efforts: tuple[str, ...] = ()
    reasoning_effort: str | None = None

    def __str__(self) -> str:
        """Give ``provider/model``."""
        return f"{self.provider_id}/{self.model_id}"


def parse_model(text: str) -> tuple[str, str]:
    """Split ``provider/model`` at its first slash.

    Raises:
        ValueError: One of the two halves is missing.
    """
    provider_id, slash, model_id = text.strip().partition("/")
    if not (provider_id and slash and model_id):
        msg = f"a model is written provider/model, such as offline/agent; got {text!r}"
        raise ValueError(msg)
    return provider_id, model_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestScope:
    """Where a model request comes from. `idempotency_key` stays the same when the same request is sent again."""

    session_id: str
    frame_id: str
    turn_id: str | None
    request_id: str
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One request to a model.

    Attributes:
        model: Which model.
        system: The system prompt; may be empty.
        messages: The conversation, oldest first, with no Event-role and no transient-only bookkeeping in it.
        scope: Where the request comes from.
        tools: What it may call.
        tool_choice: Whether it may, must not or must call one.
        blobs: Bytes of the images among the messages, by blob ref.
        output_tokens_limit: The longest answer wanted; None leaves it to the model.
        output_schema: A JSON Schema the answer must fit, where one is wanted.
        timeout_s: The longest the whole request may take.
    """

    model: ModelSpec
    system: str
    messages: Sequence[Message]
    scope: RequestScope
    tools: Sequence[ToolSpec] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    output_tokens_limit: int | None = None
    output_schema: JsonObject | None = None
    timeout_s: float = 300.0


class TerminalReason(StrEnum):
    """Why a model stopped."""

    STOP = "stop"
    TOOL_USE = "tool_use"
    OUTPUT_LIMIT = "output_limit"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_FILTER = "content_filter"
    PROVIDER_ERROR = "provider_error"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class ModelResponse(Value):
    """A model's whole answer; the last thing a provider's stream yields.

    Attributes:
        parts: Text, reasoning and tool calls, in the order the model gave them.
        usage: What the call consumed.
        terminal_reason: Why the model stopped.
        provider_model: The model name the provider reported, where it did.
    """

    kind: Literal["response"] = "response"
    parts: tuple[Annotated[TextPart | ReasoningPart | ToolCallPart, Field(discriminator="kind")], ...] = ()
    usage: TokenUsage = TokenUsage()
    terminal_reason: TerminalReason = TerminalReason.UNKNOWN
    provider_model: str | None = None

    @property
    def text(self) -> str:
        """The visible text; where any part is a final answer, commentary is left out."""
        texts = [part for part in self.parts if isinstance(part, TextPart)]
        if any(part.phase == "final_answer" for part in texts):
            texts = [part for part in texts if part.phase != "commentary"]
        return "".join(part.text for part in texts)

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More visible text, as it is generated."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More shared reasoning, as it is generated."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryStatus:
    """A model call failed and will be tried again after ``wait_s`` seconds."""

    attempt: int
    max_attempts: int
    wait_s: float
    reason: str


ModelEvent = TextDelta | ReasoningDelta | ModelResponse


class ModelPrice(Value):
    """What a model costs, in US dollars per million tokens, with where and when that was read.

    A missing cache price means that cached tokens cost what input costs.
    """

    provider_id: str
    model_id: str
    input_per_mtok: float = Field(ge=0)
    output_per_mtok: float = Field(ge=0)
    cache_read_per_mtok: float | None = Field(default=None, ge=0)
    cache_write_per_mtok: float | None = Field(default=None, ge=0)
    source: str
    as_of: str


def cost_usd(usage: TokenUsage, price: ModelPrice | None) -> float | None:
    """Price what a call consumed, or give None where no price is known: never a guess."""
    if price is None:
        return None
    read = price.input_per_mtok if price.cache_read_per_mtok is None else price.cache_read_per_mtok
    write = price.input_per_mtok if price.cache_write_per_mtok is None else price.cache_write_per_mtok
    return (
        usage.input_tokens * price.input_per_mtok
        + usage.output_tokens * price.output_per_mtok
        + usage.cache_read_input_tokens * read
        + usage.cache_write_input_tokens * write
    ) / 1_000_000


def estimate_tokens(text: str) -> int:
    """Estimate tokens as a quarter of the characters, rounded up: the reference's own rule of thumb."""
    return -(-len(text) // 4)
