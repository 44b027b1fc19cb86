"""Where a session is cut, and how its older part is written down for the model that summarizes it. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from lash_host import (
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    estimate_tokens,
)

__all__ = ["Cut", "chunks", "plan_cut", "transcript_lines"]

_TOKENS_PER_IMAGE = 1200
_RESULT_CHARS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A conversation in two: what is summarized, and what stays word for word."""

    older: tuple[Message, ...]
    tail: tuple[Message, ...]


def plan_cut(messages: Sequence[Message], *, keep_user_messages: int, keep_tokens: int) -> Cut | None:
    """Cut a conversation before one of its last user messages.

    The tail begins at a message of the user's, so that no tool call is parted from its result. It holds the last
    ``keep_user_messages`` of them, fewer where they pass ``keep_tokens``; the last one is always kept.

    Returns:
        The cut, or None when nothing lies before the tail.
    """
    starts = [index for index, message in enumerate(messages) if _is_from_user(message)]
    if not starts:
        return None
    sizes = [_tokens(message) for message in messages]
    cut = starts[-1]
    for start in reversed(starts[-keep_user_messages:]):
        if start != starts[-1] and sum(sizes[start:]) > keep_tokens:
            break
        cut = start
    return Cut(older=tuple(messages[:cut]), tail=tuple(messages[cut:])) if cut > 0 else None


def transcript_lines(messages: Sequence[Message]) -> list[str]:
    """Write messages down as text: tool results shortened, images and reasoning only mentioned."""
    return [line for message in messages if (line := _line(message))]


def chunks(lines: Sequence[str], *, max_tokens: int) -> list[str]:
    """Join lines into pieces of at most about ``max_tokens``; a longer line is split."""
    max_chars = max(max_tokens * 4, 4)
    pieces = [line[at : at + max_chars] for line in lines for at in range(0, len(line), max_chars)]
    joined: list[str] = []
    for piece in pieces:
        if joined and len(joined[-1]) + len(piece) + 2 <= max_chars:
            joined[-1] = f"{joined[-1]}\n\n{piece}"
        else:
            joined.append(piece)
    return joined


def _is_from_user(message: Message) -> bool:
    return message.role is Role.USER and not any(isinstance(part, ToolResultPart) for part in message.parts)


def _tokens(message: Message) -> int:
    total = 0
    for part in message.parts:
        match part:
            case ImagePart():
                total += _TOKENS_PER_IMAGE
            case ToolCallPart():
                total += estimate_tokens(json.dumps(part.arguments))
            case _:
                total += estimate_tokens(part.text)
    return total


def _line(message: Message) -> str:
    shown: list[str] = []
    for part in message.parts:
        match part:
            case TextPart(text=text):
                shown.append(text)
            case ImagePart():
                shown.append("[image]")
            case ReasoningPart():
                continue
            case ToolCallPart():
                shown.append(f"[calls {part.tool_name} {json.dumps(part.arguments, ensure_ascii=False)}]")
            case ToolResultPart():
                text = part.text if len(part.text) <= _RESULT_CHARS else f"{part.text[:_RESULT_CHARS]} […]"
                shown.append(f"[{part.tool_name} {'failed' if part.is_error else 'gave'}: {text}]")
    speaker = "tools" if any(isinstance(part, ToolResultPart) for part in message.parts) else message.role.value
    body = "\n".join(text for text in shown if text.strip())
    return f"{speaker}: {body}" if body else ""
