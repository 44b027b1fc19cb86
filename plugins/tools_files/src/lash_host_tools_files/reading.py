"""The tool that reads a text file by lines."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from lash_host_tools_files.budget import DEFAULT_BUDGET, OutputBudget, how_many_fit, plural, shown_path, with_notes
from lash_host_tools_files.errors import FileToolError, reported_for
from lash_host_tools_files.root import Root
from lash_host_tools_files.textfile import PROBE_BYTES, TextFile, binary_file, decode, decode_beginning, is_binary

__all__ = ["read_file"]

_MAX_SCAN_BYTES: Final = 256 * 1024 * 1024
_NOTES_BYTES: Final = 400


def read_file(
    root: Root,
    path: str,
    *,
    offset: int = 0,
    limit: int | None = None,
    column_bytes: int = 0,
    budget: OutputBudget = DEFAULT_BUDGET,
    max_scan_bytes: int = _MAX_SCAN_BYTES,
) -> str:
    """Read lines of a text file. Where not all is shown, the last line says how much is left and how to read on.

    Args:
        root: Where.
        path: The file.
        offset: Pass over so many lines.
        limit: Show at most so many lines; None for as many as the budget allows.
        column_bytes: Pass over so many bytes of the first line shown, for lines longer than the budget.
        budget: How much it may answer.
        max_scan_bytes: How far line ends are looked for.

    Raises:
        FileToolError: There is no text file at the path, or it has no such line.
    """
    if offset < 0 or column_bytes < 0 or (limit is not None and limit < 1):
        problem = "offset and column_bytes must not be negative, limit must be at least 1"
        raise FileToolError(problem, code="invalid_argument")
    with root.open_file(path) as fd, reported_for(shown_path(path)):
        file = TextFile(fd, path=path, max_scan_bytes=max_scan_bytes)
        beginning = file.read_at(0, PROBE_BYTES)
        if is_binary(beginning):
            raise binary_file(path, size=file.size)
        if not beginning and not offset and not column_bytes:
            return f"[{shown_path(path)} is empty]"
        line_start = file.line_start(offset)
        start = file.column_start(line_start, column_bytes) if column_bytes else line_start
        return _Page(file, offset=offset, line_start=line_start, start=start, budget=budget).render(limit)


class _Page:
    """What is shown of a file from one position on."""

    def __init__(self, file: TextFile, *, offset: int, line_start: int, start: int, budget: OutputBudget) -> None:
        self._file, self._offset, self._budget = file, offset, budget
        self._line_start, self._start = line_start, start
        self._raw = file.read_at(start, budget.max_bytes + 1)
        self._is_whole = len(self._raw) <= budget.max_bytes
        raw_lines = _split(self._raw)
        self._lines = [decode(line) for line in (raw_lines if self._is_whole else raw_lines[:-1])]

    def render(self, limit: int | None) -> str:
        lines = [line.text for line in self._lines]
        shown = how_many_fit(lines, self._notes, budget=self._budget, max_shown=limit)
        return with_notes(lines[:shown], self._notes(shown)) if shown else self._cut()

    @cached_property
    def _count(self) -> tuple[int, bool]:
        return self._file.count_lines(self._start)

    def _notes(self, shown: int) -> list[str]:
        notes = []
        if not (self._is_whole and shown == len(self._lines)):
            count, is_all = self._count
            end, qualifier = self._offset + shown, "" if is_all else "more than "
            left_bytes = self._file.size - self._start - sum(line.used_bytes for line in self._lines[:shown])
            notes.append(
                f"[lines {self._offset + 1}-{end} of {qualifier}{self._offset + count:,} shown, "
                f"{qualifier}{plural(count - shown, 'line')} ({plural(max(left_bytes, 0), 'byte')}) left out: "
                f"read on with offset={end}]"
            )
        return notes + _replaced_note(sum(line.replaced for line in self._lines[:shown]))

    def _cut(self) -> str:
        """Show the beginning of a line that does not fit as a whole."""
        part = decode_beginning(self._raw, max_bytes=max(self._budget.max_bytes - _NOTES_BYTES, 1))
        end = self._file.line_end(self._line_start)
        length = "unknown length" if end is None else plural(end - self._line_start, "byte")
        begin = self._start - self._line_start
        until = begin + part.used_bytes
        count, is_all = self._count
        qualifier = "" if is_all else "more than "
        follow = (
            f"; {qualifier}{plural(count - 1, 'line')} after it, from offset={self._offset + 1}" if count > 1 else ""
        )
        note = (
            f"[line {self._offset + 1} of {length} is cut, bytes {begin}-{until} are shown: "
            f"read on in it with offset={self._offset}, column_bytes={until}{follow}]"
        )
        return with_notes([part.text], [note, *_replaced_note(part.replaced)])


def _split(raw: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in raw.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _replaced_note(count: int) -> list[str]:
    return [f"[not valid UTF-8 text: {plural(count, 'place')} shown as U+FFFD]"] if count else []
