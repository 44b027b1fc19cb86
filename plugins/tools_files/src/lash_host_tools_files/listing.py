"""The tool that lists files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing

from lash_host_tools_files.budget import DEFAULT_BUDGET, OutputBudget, how_many_fit, plural, shown_path, with_notes
from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.globs import Glob
from lash_host_tools_files.resolving import Place, lstat
from lash_host_tools_files.root import Root, not_found
from lash_host_tools_files.walking import Allowance, Folder, WalkLimits, WalkReport, walk

__all__ = ["list_files"]


def list_files(
    root: Root,
    path: str = ".",
    *,
    recursive: bool = False,
    glob: str | None = None,
    offset: int = 0,
    allowance: Allowance,
    limits: WalkLimits | None = None,
    budget: OutputBudget = DEFAULT_BUDGET,
) -> str:
    """List a folder, one entry a line, as paths from the root; folders end with `/`, files have their size in bytes.

    Args:
        root: Where.
        path: The folder, or a single file.
        recursive: Also what is below its subfolders. A glob with `/` or `**` implies it.
        glob: Only what matches.
        offset: Pass over so many entries.
        allowance: How long it may take.
        limits: How far it goes.
        budget: How much it may answer.

    Raises:
        FileToolError: There is nothing at the path, or an argument is impossible.
    """
    if offset < 0:
        raise FileToolError("offset must not be negative", code="invalid_argument")
    pattern = None if glob is None else Glob(glob)
    walks_down = recursive or (pattern is not None and pattern.spans_folders)
    report = WalkReport()

    def collect(place: Place) -> list[str]:
        if place.info is None:
            raise not_found(path, place=place)
        if not stat.S_ISDIR(place.info.st_mode):
            return [_line(place.parts, place.info, dir_fd=place.folder_fd)]
        folders = walk(
            root, place.parts, recursive=walks_down, allowance=allowance, limits=limits or WalkLimits(), report=report
        )
        with closing(folders):
            return [line for folder in folders for line in _lines(folder, pattern, depth=len(place.parts))]

    lines = root.attempt(path, collect)
    if not lines:
        what = "empty" if glob is None else f"without an entry that matches {shown_path(glob)}"
        return with_notes([f"[{shown_path(path)} is {what}]"], report.notes())
    return _page(lines, offset=offset, report=report, budget=budget)


def _page(lines: list[str], *, offset: int, report: WalkReport, budget: OutputBudget) -> str:
    total = len(lines)
    if offset >= total:
        message = f"offset {offset} is past the last of {plural(total, 'entry', many='entries')}"
        raise FileToolError(message, code="past_end")
    page = [*(f"{line}\n" for line in lines[offset:-1]), lines[-1]]

    def notes(shown: int) -> list[str]:
        end = offset + shown
        if end == total:
            return report.notes()
        left = plural(total - end, "entry", many="entries")
        more = (
            f"[entries {offset + 1}-{end} of {total:,} shown, {left} left out: "
            f"go on with offset={end}, or narrow path or glob]"
        )
        return [more, *report.notes()]

    shown = how_many_fit(page, notes, budget=budget)
    return with_notes(page[:shown], notes(shown))


def _lines(folder: Folder, pattern: Glob | None, *, depth: int) -> Iterator[str]:
    for entry in folder.entries:
        parts = (*folder.parts, entry.name)
        if pattern is not None and not pattern.matches(parts[depth:]):
            continue
        try:
            info = lstat(entry.name, dir_fd=folder.fd)
        except OSError as exc:
            yield f"{shown_path('/'.join(parts))} ({exc.strerror})"
            continue
        if info is not None:
            yield _line(parts, info, dir_fd=folder.fd)


def _line(parts: tuple[str, ...], info: os.stat_result, *, dir_fd: int) -> str:
    name = shown_path("/".join(parts))
    if stat.S_ISDIR(info.st_mode):
        return f"{name}/"
    if stat.S_ISREG(info.st_mode):
        return f"{name} ({plural(info.st_size, 'byte')})"
    if stat.S_ISLNK(info.st_mode):
        return f"{name} -> {_target(parts[-1], dir_fd)}"
    return f"{name} (not a regular file)"


def _target(name: str, dir_fd: int) -> str:
    try:
        return shown_path(os.readlink(name, dir_fd=dir_fd))
    except OSError as exc:
        return f"({exc.strerror})"
