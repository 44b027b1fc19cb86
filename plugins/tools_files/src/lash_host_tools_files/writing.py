"""The tool that writes a whole file, at once or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from lash_host_tools_files.budget import plural, shown_path
from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.resolving import FOLDER_FLAGS, ChangedMeanwhile, Place, lstat, swapped
from lash_host_tools_files.root import Root, require_regular

__all__ = ["write_file"]

_MAX_BYTES: Final = 8 * 1024 * 1024
_PROTECTED: Final = ".git"
_NEW_MODE: Final = 0o666
_PRIVATE_MODE: Final = 0o600
_PERMISSIONS: Final = 0o777
_WRITE_BITS: Final = 0o222
_TEMPORARY_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


def write_file(
    root: Root,
    path: str,
    content: str,
    *,
    overwrite: bool = False,
    new_name: Callable[[], str] = lambda: secrets.token_hex(8),
) -> str:
    """Write a text file as UTF-8, making the folders it needs.

    The content goes to a temporary file in the same folder, which then takes the name: a reader sees the old file or
    the new one, and so does everyone after a crash. A file that is replaced keeps its permissions.

    Args:
        root: Where.
        path: The file.
        content: All of it.
        overwrite: Whether a file that is there may be replaced.
        new_name: Gives a word that makes the temporary name unique.

    Raises:
        FileToolError: It cannot be written, or is there and may not be replaced. Then nothing has changed, except
            that folders may have been made.
    """
    if path.endswith("/") or path.rpartition("/")[2] in {"", ".", ".."}:
        raise FileToolError(f"{shown_path(path)}: names a folder, not a file", code="is_a_folder")
    data = _encoded(path, content)

    def write(place: Place) -> str:
        _require_writable(place, path=path, overwrite=overwrite)
        folder_fd = _make_folders(place)
        try:
            _put(data, place, folder_fd=folder_fd, overwrite=overwrite, temporary=f".lash-{new_name()}.tmp")
        finally:
            os.close(folder_fd)
        verb = "created" if place.info is None else "replaced"
        return f"{verb} {shown_path('/'.join(place.parts))} ({plural(len(data), 'byte')})"

    return root.attempt(path, write)


def _encoded(path: str, content: str) -> bytes:
    try:
        data = content.encode()
    except UnicodeEncodeError as exc:
        message = f"{shown_path(path)}: the content holds a lone surrogate, which UTF-8 has no bytes for"
        raise FileToolError(message, code="invalid_argument") from exc
    if len(data) > _MAX_BYTES:
        message = (
            f"{shown_path(path)}: {plural(len(data), 'byte')} are more than the {_MAX_BYTES:,} that can be written"
        )
        raise FileToolError(message, code="too_large")
    return data


def _require_writable(place: Place, *, path: str, overwrite: bool) -> None:
    shown = shown_path(path)
    if any(part.casefold() == _PROTECTED for part in place.parts):
        raise FileToolError(
            f"{shown}: {_PROTECTED} is not written to, as git runs what it holds", code="protected_path"
        )
    if place.info is None:
        return
    require_regular(place.info, path=path)
    if not overwrite:
        message = f"{shown}: exists already ({plural(place.info.st_size, 'byte')}); pass overwrite=true to replace it"
        raise FileToolError(message, code="already_exists")
    if not place.info.st_mode & _WRITE_BITS:
        raise FileToolError(f"{shown}: is read-only", code="read_only")


def _make_folders(place: Place) -> int:
    """Make the missing folders and give the last one, open; the caller closes it."""
    fd = os.dup(place.folder_fd)
    try:
        for name in place.missing:
            with swapped():
                os.mkdir(name, dir_fd=fd)
                below = os.open(name, FOLDER_FLAGS, dir_fd=fd)
            _sync_folder(fd)
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd


def _put(data: bytes, place: Place, *, folder_fd: int, overwrite: bool, temporary: str) -> None:
    mode = _NEW_MODE if place.info is None else _PRIVATE_MODE
    fd = os.open(temporary, _TEMPORARY_FLAGS, mode, dir_fd=folder_fd)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if place.info is not None:
                _take_over(place.info, fd)
            os.fsync(fd)
        _publish(temporary, place.name, folder_fd=folder_fd, overwrite=overwrite)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder_fd)
        raise
    _sync_folder(folder_fd)


def _take_over(info: os.stat_result, fd: int) -> None:
    """Give a new file the owner, where that is allowed, and the permissions of the one that it replaces."""
    with suppress(PermissionError):
        os.fchown(fd, info.st_uid, info.st_gid)
    os.fchmod(fd, stat.S_IMODE(info.st_mode) & _PERMISSIONS)


def _publish(temporary: str, name: str, *, folder_fd: int, overwrite: bool) -> None:
    if overwrite:
        with swapped():
            os.replace(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        return
    try:
        # A hard link refuses a name that is taken; a rename does not.
        os.link(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
    except FileExistsError as exc:
        raise ChangedMeanwhile from exc
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS:
            raise
        if lstat(name, dir_fd=folder_fd) is not None:
            raise ChangedMeanwhile from exc
        os.rename(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    else:
        os.unlink(temporary, dir_fd=folder_fd)


def _sync_folder(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as exc:
        # Some file systems cannot sync a folder; there the name is as durable as they make it.
        if exc.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:
            raise
