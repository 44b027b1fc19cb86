"""A turn: what goes in, how it ends, what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from lash_host.domain.policy import ProtocolTurnOptions
from lash_host.domain.tool import ToolCallRecord
from lash_host.domain.usage import TokenUsage
from lash_host.domain.value import JsonValue, Value
from lash_host.errors import ModelErrorKind

__all__ = [
    "AssistantMessage",
    "FinalValue",
    "FrameSwitch",
    "InputImage",
    "InputText",
    "InvalidTurnInput",
    "StopReason",
    "Stopped",
    "ToolValue",
    "TurnInput",
    "TurnIssue",
    "TurnOutcome",
    "TurnResult",
    "as_turn_input",
    "check_turn_input",
]


class InputText(Value):
    """Text of the user's."""

    kind: Literal["text"] = "text"
    text: str


class InputImage(Value):
    """An image of the user's: its bytes and their media type, such as ``image/png``."""

    kind: Literal["image"] = "image"
    data: bytes
    media_type: str


class TurnInput(Value):
    """What a turn starts from.

    Attributes:
        items: Text and images, in order.
        protocol_turn_options: Laid over the session's protocol options for this turn only.
        turn_id: The turn's id, unique within the session; made up where None. One that was committed before is refused,
            so that a caller who repeats a request whose answer got lost cannot run it twice.
    """

    items: tuple[Annotated[InputText | InputImage, Field(discriminator="kind")], ...] = ()
    protocol_turn_options: ProtocolTurnOptions | None = None
    turn_id: str | None = Field(default=None, min_length=1)

    @property
    def text(self) -> str:
        """All text, joined without a separator."""
        return "".join(item.text for item in self.items if isinstance(item, InputText))


def as_turn_input(value: str | TurnInput | Sequence[str | InputText | InputImage]) -> TurnInput:
    """Take the short forms of an input: a string, or a list of strings, texts and images."""
    if isinstance(value, TurnInput):
        return value
    items = [value] if isinstance(value, str) else value
    return TurnInput(items=tuple(InputText(text=item) if isinstance(item, str) else item for item in items))


_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


class InvalidTurnInput(Value):
    """What is wrong with an input."""

    code: Literal["empty_input", "input_too_large", "unsupported_image"]
    message: str


def check_turn_input(value: TurnInput, *, context_window_tokens: int) -> InvalidTurnInput | None:
    """Say what is wrong with an input, or None.

    An input that by itself fills the model's context window is refused here: once it were part of the conversation,
    no later turn could run.
    """
    images = [item for item in value.items if isinstance(item, InputImage)]
    if not images and not value.text.strip():
        return InvalidTurnInput(code="empty_input", message="the input is empty")
    for image in images:
        if image.media_type not in _IMAGE_TYPES:
            known = ", ".join(sorted(_IMAGE_TYPES))
            return InvalidTurnInput(
                code="unsupported_image", message=f"images of type {image.media_type!r} are not taken; {known} are"
            )
        if not image.data:
            return InvalidTurnInput(code="unsupported_image", message="an image has no bytes")
    tokens = -(-len(value.text) // 4)
    if tokens > context_window_tokens:
        return InvalidTurnInput(
            code="input_too_large",
            message=f"the input is about {tokens:,} tokens; the model's context window holds {context_window_tokens:,}",
        )
    return None


class StopReason(StrEnum):
    """Why a turn stopped without finishing."""

    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    INVALID_INPUT = "invalid_input"
    MAX_TURNS = "max_turns"
    TOOL_FAILURE = "tool_failure"
    PROVIDER_ERROR = "provider_error"
    PLUGIN_ABORT = "plugin_abort"
    RUNTIME_ERROR = "runtime_error"
    SUBMITTED_ERROR = "submitted_error"
    TOOL_ERROR = "tool_error"


class AssistantMessage(Value):
    """The turn finished with an answer."""

    kind: Literal["assistant_message"] = "assistant_message"
    text: str


class FinalValue(Value):
    """The turn finished with a value of the protocol's."""

    kind: Literal["final_value"] = "final_value"
    value: JsonValue


class ToolValue(Value):
    """A tool finished the turn with a value."""

    kind: Literal["tool_value"] = "tool_value"
    tool_name: str
    value: JsonValue


class FrameSwitch(Value):
    """The turn goes on in another agent frame, with a task."""

    kind: Literal["agent_frame_switch"] = "agent_frame_switch"
    frame_id: str
    task: str


class Stopped(Value):
    """The turn stopped. `value` and `tool_name` are set where a tool submitted an error."""

    kind: Literal["stopped"] = "stopped"
    stop_reason: StopReason
    value: JsonValue = None
    tool_name: str | None = None


TurnOutcome = Annotated[AssistantMessage | FinalValue | ToolValue | FrameSwitch | Stopped, Field(discriminator="kind")]


class TurnIssue(Value):
    """Something that went wrong in a turn, whether or not it ended it.

    Attributes:
        kind: Where: ``input_validation``, ``model_call``, ``plugin``, ``runtime``, ``compaction``.
        code: A stable word.
        message: For people; never holds a secret.
        plugin_id: The plugin at fault, where one is.
        retryable: Whether the same turn may work later.
        model_error_kind: What sort of failure a model call had.
    """

    kind: Literal["input_validation", "model_call", "plugin", "runtime", "compaction"]
    code: str
    message: str
    plugin_id: str | None = None
    retryable: bool = False
    model_error_kind: ModelErrorKind | None = None


class TurnResult(Value):
    """What came of a turn.

    Attributes:
        outcome: How it ended.
        text: The answer; empty where there is none, and never partial.
        usage: What its own model calls consumed.
        children_usage: What sessions it started consumed.
        tool_calls: Its tool calls in order.
        issues: What went wrong on the way.
        turn_id: Its id.
        turn_index: Its number in the session, from 1.
        started_at: When it started (UTC), the wait for the lease included.
        duration_ms: Milliseconds until after its post-commit hooks.
        head_revision: The store's revision of the session after it; None without a store.
    """

    outcome: TurnOutcome
    text: str
    usage: TokenUsage
    children_usage: TokenUsage = TokenUsage()
    tool_calls: tuple[ToolCallRecord, ...] = ()
    issues: tuple[TurnIssue, ...] = ()
    turn_id: str
    turn_index: int
    started_at: datetime
    duration_ms: float
    head_revision: int | None

    @property
    def is_success(self) -> bool:
        """Whether the turn finished rather than stopped."""
        return not isinstance(self.outcome, Stopped)

    @property
    def stop_reason(self) -> StopReason | None:
        """Why it stopped, if it did."""
        return self.outcome.stop_reason if isinstance(self.outcome, Stopped) else None
