"""What is searched for: a literal text or a regular expression, in time that grows only with the text.

Patterns come from a model, so they are matched by RE2: there is no backtracking, memory is bounded, and the interpreter
lock is free while it works.
"""

from __future__ import annotations

from typing import Final, Protocol

import re2  # type: ignore[import-untyped]

from lash_host_tools_files.errors import FileToolError

__all__ = ["Pattern", "compile_pattern"]

_MAX_CHARS: Final = 1000
_MAX_MEMORY_BYTES: Final = 1024 * 1024
_MAX_PROGRAM_SIZE: Final = 20_000


class Pattern(Protocol):
    """A compiled pattern."""

    def find(self, data: bytes, start: int) -> tuple[int, int] | None:
        """Give the span of the first match at or after ``start``. A match never spans lines."""
        ...


class _Re2Pattern:
    def __init__(self, compiled: re2._Regexp) -> None:
        self._compiled = compiled

    def find(self, data: bytes, start: int) -> tuple[int, int] | None:
        match = self._compiled.search(data, start)
        return None if match is None else match.span()


def compile_pattern(pattern: str, *, regex: bool, ignore_case: bool) -> Pattern:
    """Compile what a search looks for.

    Args:
        pattern: A text, or with ``regex`` an expression in RE2's syntax, where `^` and `$` mean a line's ends.
        regex: Whether it is an expression.
        ignore_case: Whether upper and lower case are the same.

    Raises:
        FileToolError: It is empty, too long, malformed, or would take too much memory.
    """
    if not pattern or len(pattern) > _MAX_CHARS:
        raise FileToolError(f"a pattern has 1 to {_MAX_CHARS} characters", code="invalid_pattern")
    if "\n" in pattern:
        raise FileToolError("a pattern cannot span lines: files are searched line by line", code="invalid_pattern")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY_BYTES
    options.never_nl = True
    options.case_sensitive = not ignore_case
    options.literal = not regex
    try:
        compiled = re2.compile(f"(?m){pattern}" if regex else pattern, options)
    except (re2.error, UnicodeEncodeError) as exc:
        raise FileToolError(f"the pattern is not understood: {_reason(exc)}", code="invalid_pattern") from exc
    if compiled.programsize > _MAX_PROGRAM_SIZE:
        raise FileToolError("the pattern is too large: use smaller repetitions", code="invalid_pattern")
    return _Re2Pattern(compiled)


def _reason(error: Exception) -> str:
    detail = error.args[0] if error.args else error
    text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    return f"{text} (RE2 syntax: no look-around, no back-references)"
