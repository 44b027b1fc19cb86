"""The tool that searches files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from lash_host_tools_files.budget import (
    DEFAULT_BUDGET,
    OutputBudget,
    clip,
    how_many_fit,
    plural,
    shown_path,
    with_notes,
)
from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.globs import Glob
from lash_host_tools_files.matching import FileMatches
from lash_host_tools_files.patterns import Pattern, compile_pattern
from lash_host_tools_files.resolving import Place
from lash_host_tools_files.root import Root, not_found, open_at, open_regular
from lash_host_tools_files.textfile import binary_file
from lash_host_tools_files.walking import Allowance, Folder, WalkLimits, WalkReport, walk

__all__ = ["SearchQuery", "search_files"]

_MAX_MATCHES: Final = 10_000
_MAX_LINE_BYTES: Final = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What is searched for.

    Attributes:
        pattern: A text, or with `regex` an expression in RE2's syntax.
        glob: Only in files that match.
        regex: Whether the pattern is an expression.
        ignore_case: Whether upper and lower case are the same.
        offset: Pass over so many matches.
    """

    pattern: str
    glob: str | None = None
    regex: bool = False
    ignore_case: bool = False
    offset: int = 0


def search_files(
    root: Root,
    query: SearchQuery,
    path: str = ".",
    *,
    allowance: Allowance,
    limits: WalkLimits | None = None,
    budget: OutputBudget = DEFAULT_BUDGET,
) -> str:
    """Find the lines that a pattern is in, one answer line each: path, line number, text.

    Binary files, `.git` and links are passed over.

    Args:
        root: Where.
        query: What to look for.
        path: The folder to search with all below it, or one file.
        allowance: How long it may take.
        limits: How far it goes.
        budget: How much it may answer.

    Raises:
        FileToolError: There is nothing at the path, or the query is impossible.
    """
    if query.offset < 0:
        raise FileToolError("offset must not be negative", code="invalid_argument")
    pattern = compile_pattern(query.pattern, regex=query.regex, ignore_case=query.ignore_case)
    glob = None if query.glob is None else Glob(query.glob)

    def look(place: Place) -> _Search:
        if place.info is None:
            raise not_found(path, place=place)
        search = _Search(pattern, kept=range(query.offset, query.offset + budget.max_lines), allowance=allowance)
        if not stat.S_ISDIR(place.info.st_mode):
            search.look_at_only(place, path=path)
            return search
        report = search.report
        folders = walk(
            root, place.parts, recursive=True, allowance=allowance, limits=limits or WalkLimits(), report=report
        )
        with closing(folders):
            search.look_in(folders, glob=glob, depth=len(place.parts))
        return search

    return root.attempt(path, look).answer(query, path=path, budget=budget)


class _Search:
    """A search under way: what was found, and what was not looked at."""

    def __init__(self, pattern: Pattern, *, kept: range, allowance: Allowance) -> None:
        self.report = WalkReport()
        self._pattern, self._kept, self._allowance = pattern, kept, allowance
        self._lines: list[str] = []
        self._matches = self._files = self._binary_files = self._unreadable = self._cut_lines = 0

    def look_in(self, folders: Iterable[Folder], *, glob: Glob | None, depth: int) -> None:
        for folder in folders:
            for entry in folder.entries:
                parts = (*folder.parts, entry.name)
                if not entry.is_file(follow_symlinks=False) or not (glob is None or glob.matches(parts[depth:])):
                    continue
                self._look_at_entry(entry.name, dir_fd=folder.fd, path="/".join(parts))
                if self.report.stopped:
                    return

    def look_at_only(self, place: Place, *, path: str) -> None:
        fd = open_at(place, path=path)
        try:
            self._look_at(fd, "/".join(place.parts))
            if self._binary_files:
                raise binary_file(path, size=os.fstat(fd).st_size)
        finally:
            os.close(fd)

    def _look_at(self, fd: int, path: str) -> None:
        file = FileMatches(fd, is_over=lambda: self._allowance.is_over)
        for match in file.find(self._pattern):
            if self._matches in self._kept:
                self._lines.append(clip(f"{shown_path(path)}:{match.line}: {match.excerpt()}", _MAX_LINE_BYTES))
            self._matches += 1
            if self._matches >= _MAX_MATCHES:
                self.report.stopped = plural(_MAX_MATCHES, "match", many="matches")
                break
        self._files += not file.is_binary
        self._binary_files += file.is_binary
        self._cut_lines += file.cut_lines
        if file.was_stopped:
            self.report.stopped = f"{self._allowance.seconds:g} s"

    def _look_at_entry(self, name: str, *, dir_fd: int, path: str) -> None:
        try:
            fd = open_regular(name, dir_fd=dir_fd, path=path)
        except (OSError, FileToolError):
            self._unreadable += 1
            return
        try:
            self._look_at(fd, path)
        except OSError:
            self._unreadable += 1
        finally:
            os.close(fd)

    def answer(self, query: SearchQuery, *, path: str, budget: OutputBudget) -> str:
        if not self._matches:
            return with_notes([self._nothing(query, path=path)], self._notes())
        if not self._lines:
            message = f"offset {query.offset} is past the last of {plural(self._matches, 'match', many='matches')}"
            raise FileToolError(message, code="past_end")
        page = [f"{line}\n" for line in self._lines]
        page[-1] = page[-1].removesuffix("\n")

        def notes(shown: int) -> list[str]:
            end = query.offset + shown
            if end == self._matches:
                return self._notes()
            left = plural(self._matches - end, "match", many="matches")
            more = (
                f"[matches {query.offset + 1}-{end} of {self._matches:,} shown, {left} left out: "
                f"go on with offset={end}, or narrow the pattern, path or glob]"
            )
            return [more, *self._notes()]

        shown = how_many_fit(page, notes, budget=budget)
        return with_notes(page[:shown], notes(shown))

    def _nothing(self, query: SearchQuery, *, path: str) -> str:
        kind = "expression" if query.regex else "text"
        files = plural(self._files, "file")
        binary = f", {plural(self._binary_files, 'binary file')} passed over" if self._binary_files else ""
        wanted = shown_path(query.pattern, max_bytes=200)
        return f"[no match for the {kind} {wanted} in {shown_path(path)}: {files} searched{binary}]"

    def _notes(self) -> list[str]:
        notes = self.report.notes()
        if self._unreadable:
            notes.append(f"[{plural(self._unreadable, 'file')} could not be read]")
        if self._cut_lines:
            notes.append(f"[{plural(self._cut_lines, 'line')} longer than 64 KiB searched only in that much]")
        return notes
