"""What a model is shown of a tool result: its text, within a budget."""

from __future__ import annotations

import json
from typing import assert_never

from lash_host.domain.tool import ToolCancelled, ToolFailure, ToolOutput, ToolSuccess

__all__ = ["MAX_RESULT_BYTES", "MAX_RESULT_LINES", "default_model_text", "fit_budget"]

MAX_RESULT_BYTES = 16_384
MAX_RESULT_LINES = 400

_FEWEST_LINES = 2
"""One line before the count of what is left out, and one after it."""
_CONTINUATION = 0b10_000000
"""The top two bits of a UTF-8 byte that does not begin a character."""


def default_model_text(output: ToolOutput) -> tuple[str, bool]:
    """Give an output as text, and whether it is an error.

    A successful string is shown as it is, any other value as compact JSON; failures and cancellations begin with a
    word in brackets that says so.
    """
    match output.outcome:
        case ToolSuccess(value=str(text)):
            return text, False
        case ToolSuccess(value=value):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")), False
        case ToolFailure(code=code, message=message):
            return f"[Tool execution failed] {code}: {message}", True
        case ToolCancelled(message=message):
            told = message.strip()
            return "[Tool execution cancelled]" + (f" {told}" if told not in ("", "cancelled") else ""), True
        case _:
            assert_never(output.outcome)


def fit_budget(text: str, *, max_bytes: int = MAX_RESULT_BYTES, max_lines: int = MAX_RESULT_LINES) -> str:
    """Shorten a text to a budget by leaving out its middle.

    What is left out is counted on a line of its own, where it was. The cut is at a line's end where one is near, and
    never within a character, so a line that is too long by itself is shortened and not dropped.

    Args:
        text: Any text.
        max_bytes: The most UTF-8 bytes of the result, the line that counts included.
        max_lines: The most lines of the result, likewise.

    Returns:
        ``text`` itself when it is within the budget. Under a budget too small for that line, only its beginning.
    """
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= max_bytes and _line_count(data) <= max_lines:
        return text
    room = max_bytes - len(_note(data)) - 1
    lines = max_lines - 1
    if room < max_bytes // 2 or lines < _FEWEST_LINES:
        return _decoded(data[: _head_end(data, max_bytes=max_bytes, max_lines=max_lines)])
    end = _head_end(data, max_bytes=room - room // 2, max_lines=lines - lines // 2)
    start = _tail_start(data, max_bytes=room // 2, max_lines=lines // 2)
    glue = b"" if data[:end].endswith(b"\n") else b"\n"
    return _decoded(data[:end] + glue + _note(data[end:start]) + data[start:])


def _head_end(data: bytes, *, max_bytes: int, max_lines: int) -> int:
    end = 0
    for _ in range(max_lines):
        line_end = data.find(b"\n", end) + 1
        if line_end == 0 or line_end > max_bytes:
            break
        end = line_end
    else:
        return end
    return end if end > max_bytes * 3 // 4 else _character_before(data, max_bytes)


def _tail_start(data: bytes, *, max_bytes: int, max_lines: int) -> int:
    first = len(data) - max_bytes
    start = len(data)
    for _ in range(max_lines):
        line_start = data.rfind(b"\n", 0, start - 1) + 1
        if line_start < first:
            break
        start = line_start
    else:
        return start
    return start if start < first + max_bytes // 4 else _character_after(data, first)


def _character_before(data: bytes, at: int) -> int:
    while at < len(data) and data[at] & 0xC0 == _CONTINUATION:
        at -= 1
    return min(at, len(data))


def _character_after(data: bytes, at: int) -> int:
    while at < len(data) and data[at] & 0xC0 == _CONTINUATION:
        at += 1
    return at


def _line_count(data: bytes) -> int:
    return data.count(b"\n") + (0 if data.endswith(b"\n") else 1)


def _note(left_out: bytes) -> bytes:
    return f"… {left_out.count(10)} lines, {len(left_out)} bytes left out …\n".encode()


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
