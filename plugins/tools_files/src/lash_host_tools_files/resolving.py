"""The walk to a path: component by component on open folders, never through a symbolic link.

Links are read, and their targets walked in the same way. A folder once open stays the folder that was looked at,
whatever its name is made to mean meanwhile, so no moment between a check and a use lets a link lead outside.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lash_host_tools_files.budget import shown_path
from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.paths import components, inside, outside_root

__all__ = ["FOLDER_FLAGS", "ChangedMeanwhile", "Cursor", "Place", "lstat", "resolve", "swapped"]

FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS: Final = 40
_SWAPPED: Final = frozenset(
    {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENXIO}
)


class ChangedMeanwhile(Exception):
    """Something on the way was replaced between being looked at and being opened: begin again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a path leads: the deepest existing folder on the way, open, and what is wanted in it.

    Attributes:
        folder_fd: The open folder; whoever has the place closes it.
        folder: The folder's real path from the root, by component.
        name: The entry in the folder, or `.` for the folder itself; with `missing`, the last component wanted.
        info: What is there, never a symbolic link; None if nothing is.
        missing: The folders that do not exist between `folder` and `name`.
    """

    folder_fd: int
    folder: tuple[str, ...]
    name: str
    info: os.stat_result | None
    missing: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The real path from the root, by component."""
        return self.folder + self.missing + (() if self.name == "." else (self.name,))


class Cursor:
    """An open folder at or below the root that moves one component at a time. It begins at the root."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.parts: list[str] = []
        self.fd = self._open_root()

    def enter(self, name: str) -> None:
        """Move into a folder.

        Raises:
            OSError: It is gone, not a folder (a link is none) or may not be entered. The cursor stays where it was.
        """
        fd = os.open(name, FOLDER_FLAGS, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = fd
        self.parts.append(name)

    def restart(self, parts: Iterable[str] = ()) -> None:
        """Move to a real path, from the root again.

        Raises:
            OSError: As `enter`; the cursor stays on the way.
        """
        fd = self._open_root()
        os.close(self.fd)
        self.fd, self.parts = fd, []
        for part in parts:
            self.enter(part)

    def close(self) -> None:
        """Close the folder."""
        os.close(self.fd)

    def _open_root(self) -> int:
        try:
            return os.open(self._root, FOLDER_FLAGS)
        except OSError as exc:
            raise FileToolError(f"the root folder cannot be opened: {exc.strerror}", code="root_missing") from exc


def resolve(path: str, *, root: str, aliases: Sequence[str]) -> Place:
    """Walk to a path.

    Args:
        path: As the model wrote it.
        root: The root's real path.
        aliases: Other absolute paths by which the root is called.

    Raises:
        FileToolError: The path is malformed or leads outside, or something on the way is not a folder.
        ChangedMeanwhile: Something was replaced during the walk.
        OSError: A folder on the way may not be entered.
    """
    roots = (root, *aliases)
    todo = components(path, roots=roots)
    cursor = Cursor(root)
    try:
        return _Walk(path, cursor=cursor, todo=todo, roots=roots).run()
    except BaseException:
        cursor.close()
        raise


class _Walk:
    def __init__(self, path: str, *, cursor: Cursor, todo: Iterable[str], roots: Sequence[str]) -> None:
        self._path, self._cursor, self._roots = path, cursor, roots
        self._todo = deque(todo)
        self._links = 0

    def run(self) -> Place:
        while self._todo:
            part = self._todo.popleft()
            if part in {"", "."}:
                continue
            if part == "..":
                self._leave()
                continue
            info = lstat(part, dir_fd=self._cursor.fd)
            if info is None:
                return self._absent(part)
            if stat.S_ISLNK(info.st_mode):
                self._follow(part)
            elif not self._todo:
                return self._place(part, info)
            else:
                self._enter(part, info)
        return self._place(".", os.fstat(self._cursor.fd))

    def _place(self, name: str, info: os.stat_result | None, *, missing: Sequence[str] = ()) -> Place:
        folder = tuple(self._cursor.parts)
        return Place(folder_fd=self._cursor.fd, folder=folder, name=name, info=info, missing=tuple(missing))

    def _leave(self) -> None:
        if not self._cursor.parts:
            raise outside_root(self._path)
        with swapped():
            self._cursor.restart(self._cursor.parts[:-1])

    def _follow(self, name: str) -> None:
        self._links += 1
        if self._links > _MAX_LINKS:
            raise FileToolError(f"{shown_path(self._path)}: too many symbolic links", code="symlink_loop")
        with swapped():
            target = os.readlink(name, dir_fd=self._cursor.fd)
        parts = inside(target, roots=self._roots, path=self._path)
        if target.startswith("/"):
            self._cursor.restart()
        self._todo.extendleft(reversed(parts))

    def _enter(self, name: str, info: os.stat_result) -> None:
        if not stat.S_ISDIR(info.st_mode):
            here = shown_path("/".join((*self._cursor.parts, name)))
            raise FileToolError(f"{shown_path(self._path)}: {here} is not a folder", code="not_a_folder")
        with swapped():
            self._cursor.enter(name)

    def _absent(self, name: str) -> Place:
        wanted = [part for part in (name, *self._todo) if part not in {"", "."}]
        if ".." in wanted:
            raise FileToolError(f"{shown_path(self._path)}: {shown_path(name)} does not exist", code="not_found")
        return self._place(wanted[-1], None, missing=wanted[:-1])


def lstat(name: str, *, dir_fd: int) -> os.stat_result | None:
    """Give the status of an entry itself, links not followed, or None if there is none."""
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextmanager
def swapped() -> Iterator[None]:
    """Turn the errors of an entry that was replaced after it was looked at into `ChangedMeanwhile`."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in _SWAPPED:
            raise
        raise ChangedMeanwhile from exc
