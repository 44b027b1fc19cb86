"""Where the command line writes: answers and data to standard output, everything else to standard error."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

import click

__all__ = ["Style", "Terminal", "one_line", "printable"]

Style = Literal["plain", "dim", "bold", "red", "yellow", "green", "cyan"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNICODE_MARKS = {"call": "→", "done": "✓", "failed": "✗", "more": "…", "dot": "·"}
_ASCII_MARKS = {"call": "->", "done": "ok", "failed": "failed:", "more": "...", "dot": "-"}
Mark = Literal["call", "done", "failed", "more", "dot"]


def printable(text: str) -> str:
    """Drop control characters but for newline and tab, so that no text can steer a terminal."""
    return _CONTROL.sub("", text)


def one_line(text: str, *, limit: int | None = None, more: str = "…") -> str:
    """Put text on one line, without control characters, and cut it to ``limit`` characters."""
    if text.isalnum() and limit is None:
        return text
    line = printable(" ".join(text.split()))
    return line if limit is None or len(line) <= limit else line[: max(limit - len(more), 0)] + more


class Terminal:
    """Standard output and standard error, and what they can show.

    Colour goes to terminals only, and never where ``NO_COLOR`` is set or ``TERM`` is ``dumb``. What cannot be encoded
    is replaced, and marks have spellings in ASCII.

    Args:
        out: Standard output.
        err: Standard error.
        environ: The environment.
    """

    def __init__(self, out: TextIO, err: TextIO, *, environ: Mapping[str, str]) -> None:
        self.out, self.err = out, err
        self.out_is_terminal, self.err_is_terminal = out.isatty(), err.isatty()
        wants_colour = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self.err_has_colour = self.err_is_terminal and wants_colour
        self.out_has_colour = self.out_is_terminal and wants_colour
        self._marks = _UNICODE_MARKS if _is_unicode(err) else _ASCII_MARKS
        self._at_line_start = True

    @classmethod
    def of_process(cls) -> Terminal:
        """Take the process's own streams; from now on they replace what they cannot encode."""
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="replace")
        return cls(sys.stdout, sys.stderr, environ=os.environ)

    @property
    def out_is_unicode(self) -> bool:
        """Whether standard output takes every character."""
        return _is_unicode(self.out)

    @property
    def columns(self) -> int:
        """The width of the terminal, in characters."""
        import shutil

        return shutil.get_terminal_size().columns

    def mark(self, name: Mark) -> str:
        """Give a mark in the spelling that standard error can show."""
        return self._marks[name]

    def write(self, text: str, /) -> None:
        """Write part of an answer to standard output, now. A terminal is shown no control characters."""
        if not text:
            return
        shown = printable(text) if self.out_is_terminal else text
        self.out.write(shown)
        self.out.flush()
        self._at_line_start = shown.endswith("\n") if shown else self._at_line_start

    def end_line(self) -> None:
        """Start a new line on standard output, unless it is at the start of one."""
        if not self._at_line_start:
            self.write("\n")

    def say(self, text: str, *, style: Style = "plain", label: str = "", label_style: Style = "plain") -> None:
        """Write a line to standard error. Where both streams are one terminal, it does not run into an answer.

        Args:
            text: The line.
            style: How it looks.
            label: Words before it that look different.
            label_style: How those look.
        """
        if self.out_is_terminal and self.err_is_terminal:
            self.end_line()
        before = f"{self.styled(printable(label), label_style)} " if label else ""
        self.err.write(f"{before}{self.styled(printable(text), style)}\n")
        self.err.flush()

    def styled(self, text: str, style: Style) -> str:
        """Colour text for standard error, where it shows colour."""
        return _styled(text, style) if self.err_has_colour else text

    def styled_out(self, text: str, style: Style) -> str:
        """Colour text for standard output, where it shows colour."""
        return _styled(text, style) if self.out_has_colour else text


def _styled(text: str, style: Style) -> str:
    match style:
        case "plain":
            return text
        case "dim":
            return click.style(text, dim=True)
        case "bold":
            return click.style(text, bold=True)
        case _:
            return click.style(text, fg=style)


def _is_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "").startswith("utf")
