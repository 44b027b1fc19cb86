"""Messages and the parts they are made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from lash_host.domain.value import JsonObject, Value

__all__ = [
    "ImagePart",
    "Message",
    "MessageOrigin",
    "Part",
    "ReasoningPart",
    "Role",
    "TextPart",
    "ToolCallPart",
    "ToolResultPart",
    "is_prompt_resume_safe",
]


class Role(StrEnum):
    """Who a message speaks for."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    EVENT = "event"


class TextPart(Value):
    """Visible text. `phase` is set by models that separate commentary from their final answer."""

    kind: Literal["text"] = "text"
    text: str
    phase: Literal["commentary", "final_answer"] | None = None


class ReasoningPart(Value):
    """Reasoning the model shared; `replay` is what its provider needs to get it back."""

    kind: Literal["reasoning"] = "reasoning"
    text: str
    replay: JsonObject | None = None


class ImagePart(Value):
    """An image, by the SHA-256 (hex) of its bytes, which lie in the store as a blob."""

    kind: Literal["image"] = "image"
    blob_ref: str
    media_type: str


class ToolCallPart(Value):
    """A tool call the model made.

    `arguments_error` is set when the model's arguments were not a JSON object; `arguments` is then empty and the
    call is answered with that error.
    """

    kind: Literal["tool_call"] = "tool_call"
    call_id: str
    tool_name: str
    arguments: JsonObject = Field(default_factory=dict)
    arguments_error: str | None = None
    replay: JsonObject | None = None


class ToolResultPart(Value):
    """What the model is shown of one tool call's result."""

    kind: Literal["tool_result"] = "tool_result"
    call_id: str
    tool_name: str
    text: str
    is_error: bool = False


Part = Annotated[TextPart | ReasoningPart | ImagePart | ToolCallPart | ToolResultPart, Field(discriminator="kind")]


class MessageOrigin(Value):
    """Who put a message into the session, when it was neither the user nor the model.

    A transient message is shown to the model in this turn and never stored.
    """

    kind: Literal["plugin", "process", "compaction"]
    plugin_id: str | None = None
    transient: bool = False


class Message(Value):
    """One message of a conversation."""

    message_id: str
    role: Role
    parts: tuple[Part, ...]
    origin: MessageOrigin | None = None

    @property
    def text(self) -> str:
        """The visible text of all text parts, joined without a separator."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The tool calls among the parts, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))

    @property
    def is_transient(self) -> bool:
        """Whether the message is never stored."""
        return self.origin is not None and self.origin.transient


def is_prompt_resume_safe(messages: tuple[Message, ...] | list[Message]) -> bool:
    """Say whether every tool call has exactly one result after it, so that a model can go on from here."""
    open_calls: set[str] = set()
    seen: set[str] = set()
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                if message.role is not Role.ASSISTANT or not part.call_id or part.call_id in seen:
                    return False
                seen.add(part.call_id)
                open_calls.add(part.call_id)
            elif isinstance(part, ToolResultPart):
                if message.role is not Role.USER or part.call_id not in open_calls:
                    return False
                open_calls.discard(part.call_id)
    return not open_calls
