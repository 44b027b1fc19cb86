"""The folder that the tools work in."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from lash_host_tools_files.budget import shown_path
from lash_host_tools_files.errors import FileToolError, reported_for
from lash_host_tools_files.resolving import ChangedMeanwhile, Cursor, Place, resolve, swapped

__all__ = ["Root", "not_found", "open_at", "open_regular", "require_regular"]

_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ATTEMPTS: Final = 16
_NAMES_COMPARED: Final = 2000
_SUGGESTIONS: Final = 3

T = TypeVar("T")


class Root:
    """A folder that tools may work in, and no way out of it.

    Args:
        path: The folder. It is resolved once, here; what is above it is trusted.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.realpath(path)
        self._aliases = (str(Path(path).absolute()),)

    def attempt(self, path: str, action: Callable[[Place], T]) -> T:
        """Walk to a path, do something there, and give its answer.

        Args:
            path: As the model wrote it.
            action: What to do with the place, whose folder is open meanwhile. Where it raises `ChangedMeanwhile`,
                walk and action are begun again, a few times.

        Raises:
            FileToolError: The path is malformed or leads outside, a folder on the way is none or may not be entered,
                or the action failed. That nothing is at the path is no error by itself.
        """
        with reported_for(shown_path(path)):
            for _ in range(_ATTEMPTS):
                try:
                    return self._once(path, action)
                except ChangedMeanwhile:
                    continue
        raise FileToolError(f"{shown_path(path)}: was replaced while it was opened", code="changed_meanwhile")

    @contextmanager
    def open_file(self, path: str) -> Iterator[int]:
        """Open a regular file for reading and give its descriptor. Never waits for a writer.

        Raises:
            FileToolError: As `attempt`, and where there is no regular file.
        """
        fd = self.attempt(path, lambda place: open_at(place, path=path))
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def open_folder(self, parts: Sequence[str]) -> Iterator[int]:
        """Open a folder by its real path, no component of which may be a symbolic link.

        Raises:
            OSError: It is not there, not a folder, or may not be entered.
        """
        cursor = Cursor(self.path)
        try:
            for part in parts:
                cursor.enter(part)
            yield cursor.fd
        finally:
            cursor.close()

    def _once(self, path: str, action: Callable[[Place], T]) -> T:
        place = resolve(path, root=self.path, aliases=self._aliases)
        try:
            return action(place)
        finally:
            os.close(place.folder_fd)


def open_at(place: Place, *, path: str) -> int:
    """Open the regular file at a place for reading; the caller closes it.

    Raises:
        FileToolError: There is none.
        ChangedMeanwhile: It was replaced since the place was looked at.
        OSError: It may not be read.
    """
    if place.info is None:
        raise not_found(path, place=place)
    require_regular(place.info, path=path)
    with swapped():
        return open_regular(place.name, dir_fd=place.folder_fd, path=path)


def open_regular(name: str, *, dir_fd: int, path: str) -> int:
    """Open an entry of an open folder for reading, never through a link and never waiting for a writer.

    Raises:
        FileToolError: It is not a regular file.
        OSError: It is gone, a link, or may not be read.
    """
    fd = os.open(name, _FILE_FLAGS, dir_fd=dir_fd)
    try:
        require_regular(os.fstat(fd), path=path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def require_regular(info: os.stat_result, *, path: str) -> None:
    """Refuse what is not a regular file: folders, FIFOs, sockets, devices.

    Raises:
        FileToolError: `is_a_folder` or `not_a_regular_file`.
    """
    if stat.S_ISREG(info.st_mode):
        return
    if stat.S_ISDIR(info.st_mode):
        raise FileToolError(f"{shown_path(path)}: is a folder, not a file; use list_files", code="is_a_folder")
    kind = "a FIFO" if stat.S_ISFIFO(info.st_mode) else "a socket" if stat.S_ISSOCK(info.st_mode) else "a device"
    raise FileToolError(f"{shown_path(path)}: is {kind}, not a regular file", code="not_a_regular_file")


def not_found(path: str, *, place: Place) -> FileToolError:
    """Make the error for a path at which nothing is. It names what is nearest."""
    wanted = (*place.missing, place.name)[0]
    near = _nearest(wanted, _names(place.folder_fd))
    if near:
        hint = "did you mean " + " or ".join(shown_path("/".join((*place.folder, name))) for name in near) + "?"
    else:
        hint = f"the nearest existing folder is {shown_path('/'.join(place.folder) or '.')}"
    return FileToolError(f"{shown_path(path)}: not found; {hint}", code="not_found")


def _names(folder_fd: int) -> list[str]:
    with os.scandir(folder_fd) as entries:
        return sorted(entry.name for entry in islice(entries, _NAMES_COMPARED))


def _nearest(wanted: str, names: Sequence[str]) -> list[str]:
    by_folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wanted.casefold(), by_folded, n=_SUGGESTIONS)
    return [by_folded[name] for name in close]
