"""How much a tool may show the model at once, and how text is cut to that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

__all__ = ["DEFAULT_BUDGET", "OutputBudget", "clip", "cut_utf8", "how_many_fit", "plural", "shown_path", "with_notes"]

_ELLIPSIS: Final = "…"
_UNDECODED_BYTES: Final = range(0xDC80, 0xDD00)  # how Python spells bytes of a name that are not UTF-8 (PEP 383)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputBudget:
    """The most a tool's answer may have: UTF-8 bytes and lines, its notes included."""

    max_bytes: int = 16 * 1024
    max_lines: int = 400


DEFAULT_BUDGET: Final = OutputBudget()


def plural(count: int, noun: str, *, many: str | None = None) -> str:
    """Write a count with its noun, such as `1 line` or `1,200 lines`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def cut_utf8(text: str, max_bytes: int) -> str:
    """Give the longest beginning of a text that takes at most so many UTF-8 bytes, cutting no character."""
    encoded = text.encode()
    return text if len(encoded) <= max_bytes else encoded[:max_bytes].decode(errors="ignore")


def clip(text: str, max_bytes: int) -> str:
    """Shorten one line to so many UTF-8 bytes, an ellipsis in place of what is left out."""
    if len(text.encode()) <= max_bytes:
        return text
    return cut_utf8(text, max_bytes - len(_ELLIPSIS.encode())) + _ELLIPSIS


def shown_path(path: str, *, max_bytes: int = 1000) -> str:
    """Write a path so that it is one line of valid text, whatever bytes the file system has in it."""
    text = path if path.isprintable() else "".join(map(_printable, path))
    return clip(text, max_bytes)


def _printable(character: str) -> str:
    code = ord(character)
    if code in _UNDECODED_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def how_many_fit(
    lines: Sequence[str],
    notes_for: Callable[[int], Sequence[str]],
    *,
    budget: OutputBudget,
    max_shown: int | None = None,
) -> int:
    """Say how many of the first lines fit, together with the notes that are true of that number.

    Args:
        lines: The lines, each with its line end where it has one.
        notes_for: Gives the notes when so many lines are shown; each is one line.
        budget: What the answer may take, notes included.
        max_shown: No more than this, even if more would fit.
    """
    sizes = [0, *accumulate(len(line.encode()) for line in lines)]
    most = min(len(lines), budget.max_lines, len(lines) if max_shown is None else max_shown)
    for shown in range(most, 0, -1):
        notes = notes_for(shown)
        size = sizes[shown] + len(_tail(lines[shown - 1], notes).encode())
        if size <= budget.max_bytes and shown + len(notes) <= budget.max_lines:
            return shown
    return 0


def with_notes(lines: Sequence[str], notes: Sequence[str]) -> str:
    """Join lines and the notes on them."""
    return "".join(lines) + _tail(lines[-1] if lines else "\n", notes)


def _tail(last_line: str, notes: Sequence[str]) -> str:
    joint = "\n" if notes and not last_line.endswith("\n") else ""
    return joint + "\n".join(notes)
