"""The walk over a folder tree, within limits and without following links."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from lash_host_tools_files.budget import plural, shown_path
from lash_host_tools_files.resolving import swapped
from lash_host_tools_files.root import Root

__all__ = ["Allowance", "Folder", "WalkLimits", "WalkReport", "walk"]

_PASSED_OVER: Final = ".git"
_NAMED: Final = 3


class Allowance:
    """How long a tool may go on.

    Args:
        seconds: From now.
        clock: Gives seconds that only grow.
        stop: Set from outside to end the work early.
    """

    def __init__(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        stop: threading.Event | None = None,
    ) -> None:
        self.seconds = seconds
        self._clock, self._stop = clock, stop
        self._ends = clock() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the work must end now."""
        return self._clock() >= self._ends or (self._stop is not None and self._stop.is_set())


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkLimits:
    """How far a walk goes."""

    max_entries: int = 50_000
    max_depth: int = 100


@dataclass(slots=True, kw_only=True)
class WalkReport:
    """What a walk left out."""

    entries: int = 0
    unreadable: list[str] = field(default_factory=list)
    too_deep: int = 0
    stopped: str | None = None

    def notes(self) -> list[str]:
        """Say what was left out, a line each."""
        notes = []
        if self.unreadable:
            names = ", ".join(shown_path(name, max_bytes=100) for name in self.unreadable[:_NAMED])
            more = ", …" if len(self.unreadable) > _NAMED else ""
            notes.append(f"[{plural(len(self.unreadable), 'folder')} could not be read: {names}{more}]")
        if self.too_deep:
            notes.append(f"[{plural(self.too_deep, 'folder')} left out: nested too deeply]")
        if self.stopped:
            notes.append(f"[stopped after {self.stopped}: what comes later was not looked at; narrow path or glob]")
        return notes


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder of a walk: its real path from the root, itself open until the next, and its entries by name."""

    parts: tuple[str, ...]
    fd: int
    entries: Sequence[os.DirEntry[str]]


def walk(
    root: Root,
    start: Sequence[str],
    *,
    recursive: bool,
    allowance: Allowance,
    limits: WalkLimits,
    report: WalkReport,
) -> Generator[Folder]:
    """Give a folder and, where wanted, those below it, each before its subfolders.

    `.git` is passed over below the start. What could not be looked at goes into ``report``.

    Raises:
        ChangedMeanwhile: The first folder is none any more.
        OSError: The first folder may not be read.
    """
    pending = [tuple(start)]
    while pending and not report.stopped:
        parts = pending.pop()
        try:
            with root.open_folder(parts) as fd:
                entries = _entries(fd, limits=limits, report=report)
                below = [(*parts, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
                yield Folder(parts=parts, fd=fd, entries=entries)
        except OSError:
            if parts == tuple(start):
                with swapped():
                    raise
            report.unreadable.append("/".join(parts))
            continue
        if recursive:
            if below and len(parts) - len(start) >= limits.max_depth:
                report.too_deep += len(below)
            else:
                pending.extend(reversed(below))
        if pending and allowance.is_over:
            report.stopped = report.stopped or f"{allowance.seconds:g} s"


def _entries(fd: int, *, limits: WalkLimits, report: WalkReport) -> list[os.DirEntry[str]]:
    left = limits.max_entries - report.entries
    with os.scandir(fd) as found:
        entries = list(islice((entry for entry in found if entry.name != _PASSED_OVER), left + 1))
    if len(entries) > left:
        report.stopped = plural(limits.max_entries, "entry", many="entries")
        entries.pop()
    report.entries += len(entries)
    return sorted(entries, key=lambda entry: entry.name)
