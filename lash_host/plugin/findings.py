"""Findings: what is wrong with which plugin, and where."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

__all__ = ["FindingCode", "PluginFinding", "describe_exception", "did_you_mean", "place_of"]

FindingCode = Literal[
    "duplicate_plugin_id", "import_error", "no_hooks", "unknown_hook", "unmarked_hook", "invalid_hook",
    "unknown_plugin_in_settings", "duplicate_registration", "hook_failed",
]  # fmt: skip

_LONGEST_TEXT = 500
_HERE = PurePath(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFinding:
    """Something wrong with a plugin. The host goes on without what is broken.

    Attributes:
        code: A stable word for what sort of thing it is.
        severity: An error leaves out the plugin, or what it brought; a warning leaves out nothing.
        plugin_id: The plugin; of a setting that names none, what it names.
        distribution: The distribution the plugin comes from; None where that is not known.
        place: ``file:line``, or the entry point's value; empty where neither helps.
        message: What is wrong, as one readable line.
        hook: The hook that failed, where one did.
    """

    code: FindingCode
    severity: Literal["error", "warning"]
    plugin_id: str
    distribution: str | None
    place: str
    message: str
    hook: str | None = None

    def __str__(self) -> str:
        """Give the finding as one line."""
        origin = f" of {self.distribution}" if self.distribution else ""
        place = f" ({self.place})" if self.place else ""
        return f"plugin {self.plugin_id!r}{origin}: {self.message}{place}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give a hint at the nearest known word, to put after a message; empty where nothing is near."""
    nearest = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def describe_exception(error: BaseException) -> str:
    """Name an exception and what it says, as one line of bounded length."""
    text = " ".join(str(error).split())
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place_of(error: BaseException) -> str:
    """Give ``file:line`` of where an exception was raised; empty where it was in the import system or here.

    Of a syntax error that is the line that does not parse.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = PurePath(frame.filename)
        is_importing = frame.filename.startswith("<frozen") or path.parent.name in {"importlib", "importlib_metadata"}
        if not is_importing and path.parent != _HERE:
            return f"{frame.filename}:{frame.lineno}"
    return ""
