"""Where the bytes of attachments lie: files beside the database, or memory."""

from __future__ import annotations

import errno
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lash_host.errors import StoreError, StoreUnwritable

__all__ = ["AttachmentBytes", "FileBytes", "MemoryBytes", "StoredBytes", "attachments_folder", "bytes_beside"]

_NAME = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = "unfinished"
_US_TO_NS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBytes:
    """Bytes that are stored.

    Attributes:
        attachment_id: SHA-256 of the bytes, hex.
        size_bytes: How many.
        modified_at_us: When they were last put; UTC microseconds, by the store's clock.
    """

    attachment_id: str
    size_bytes: int
    modified_at_us: int


class AttachmentBytes(Protocol):
    """Content-addressed bytes, with the time they were last put. One object a store; usable from any thread.

    `put` and `delete` exclude each other for one id: bytes that are put while somebody is about to delete them stay.
    """

    def put(self, attachment_id: str, body: bytes, *, now_us: int) -> None:
        """Store bytes durably. Bytes that are there are not written again, but their time is new.

        Raises:
            StoreUnwritable: They cannot be written.
        """
        ...

    def get(self, attachment_id: str) -> bytes | None:
        """Give bytes; None where there are none."""
        ...

    def delete(self, attachment_id: str, *, not_after_us: int) -> bool:
        """Delete bytes unless they were put after this moment; say whether they were deleted.

        Raises:
            StoreUnwritable: They cannot be deleted.
        """
        ...

    def stored(self) -> Iterator[StoredBytes]:
        """Give what is stored, in no order. What is put or deleted meanwhile may be left out."""
        ...


class MemoryBytes:
    """Bytes in memory, for a store that ends with its process."""

    def __init__(self) -> None:
        self._bodies: dict[str, tuple[bytes, int]] = {}
        self._changing = threading.Lock()

    def put(self, attachment_id: str, body: bytes, *, now_us: int) -> None:
        """Store bytes."""
        with self._changing:
            self._bodies[attachment_id] = (body, now_us)

    def get(self, attachment_id: str) -> bytes | None:
        """Give bytes."""
        found = self._bodies.get(attachment_id)
        return None if found is None else found[0]

    def delete(self, attachment_id: str, *, not_after_us: int) -> bool:
        """Delete bytes unless they were put after this moment."""
        with self._changing:
            found = self._bodies.get(attachment_id)
            if found is None or found[1] > not_after_us:
                return False
            del self._bodies[attachment_id]
            return True

    def stored(self) -> Iterator[StoredBytes]:
        """Give what is stored."""
        with self._changing:
            found = list(self._bodies.items())
        for attachment_id, (body, modified_at_us) in found:
            yield StoredBytes(attachment_id=attachment_id, size_bytes=len(body), modified_at_us=modified_at_us)


def attachments_folder(database: Path) -> Path:
    """Give the folder that lies beside a database file."""
    return database.with_name(f"{database.name}.attachments")


class FileBytes:
    """Bytes in files of a folder, ``ab/cdef…`` by their SHA-256. Only the process that owns the store writes there.

    A file is written under another name, synced, and renamed: under its own name it is whole. Its modification time is
    the store's clock's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changing = threading.Lock()
        self._durable: set[Path] = set()

    def put(self, attachment_id: str, body: bytes, *, now_us: int) -> None:
        """Store bytes."""
        if not _NAME.fullmatch(attachment_id):
            raise StoreError(f"attachment {attachment_id!r} is not named by the SHA-256 of its bytes")
        path = self._path(attachment_id)
        with self._writing():
            self._make_folders(path)
            if not self._refresh(path, body, now_us):
                self._write(path, body, now_us)
            _sync_folder(path.parent)

    def get(self, attachment_id: str) -> bytes | None:
        """Give bytes."""
        if not _NAME.fullmatch(attachment_id):
            return None
        path = self._path(attachment_id)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StoreError(f"{path} cannot be read: {exc.strerror or exc}") from exc

    def delete(self, attachment_id: str, *, not_after_us: int) -> bool:
        """Delete bytes unless they were put after this moment."""
        if not _NAME.fullmatch(attachment_id):
            return False
        path = self._path(attachment_id)
        with self._changing, self._writing():
            try:
                if path.stat().st_mtime_ns // _US_TO_NS > not_after_us:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
            return True

    def stored(self) -> Iterator[StoredBytes]:
        """Give what is stored."""
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            attachment_id = path.parent.name + path.name
            with suppress(FileNotFoundError):
                status = path.stat()
                if _NAME.fullmatch(attachment_id):
                    yield StoredBytes(
                        attachment_id=attachment_id,
                        size_bytes=status.st_size,
                        modified_at_us=status.st_mtime_ns // _US_TO_NS,
                    )

    def _path(self, attachment_id: str) -> Path:
        return self._folder / attachment_id[:2] / attachment_id[2:]

    def _refresh(self, path: Path, body: bytes, now_us: int) -> bool:
        with self._changing:
            try:
                is_there = path.stat().st_size == len(body) and path.read_bytes() == body
            except FileNotFoundError:
                return False
            if is_there:
                _set_time(path, now_us)
            return is_there

    def _write(self, path: Path, body: bytes, now_us: int) -> None:
        draft = self._folder / _UNFINISHED / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with draft.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            _set_time(draft, now_us)
            with self._changing:
                draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def _make_folders(self, path: Path) -> None:
        """Make what folders there are to be, durably, and remove what was left unfinished in them."""
        unfinished = self._folder / _UNFINISHED
        for folder in (self._folder, unfinished, path.parent):
            if folder not in self._durable:
                folder.mkdir(exist_ok=True)
                _sync_folder(folder.parent)
                if folder == unfinished:
                    _tidy(unfinished)
                self._durable.add(folder)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise StoreUnwritable(str(self._folder), problem=exc.strerror or str(exc)) from exc


def bytes_beside(database: Path | None) -> AttachmentBytes:
    """Give the place of a DuckDB store's attachments: the folder ``<file>.attachments``, or memory."""
    return MemoryBytes() if database is None else FileBytes(database.with_name(f"{database.name}.attachments"))


def _set_time(path: Path, now_us: int) -> None:
    os.utime(path, ns=(now_us * _US_TO_NS, now_us * _US_TO_NS))


def _tidy(unfinished: Path) -> None:
    """Remove what processes that owned the store before have left."""
    for left in unfinished.iterdir():
        if not left.name.startswith(f"{os.getpid()}-"):
            left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make names in a folder durable, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)
