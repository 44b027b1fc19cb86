"""Backing up a store that is a file: database and attachments, as they are, while nobody has them open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lash_host.contracts.clock import Clock, SystemClock
from lash_host.contracts.maintenance import Progress
from lash_host.errors import StoreError, UsageFault
from lash_host.store.attachment_bytes import bytes_beside
from lash_host.store.dialects import dialect_of, parse_store_url
from lash_host.store.ownership import Ownership
from lash_host.store.points import reached

__all__ = ["BackupReport", "back_up_store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup wrote.

    Attributes:
        path: The database file, complete and synced. Its attachments lie beside it, as they do with any store.
        size_bytes: Its size.
        attachments: How many attachments' bytes there are.
    """

    path: Path
    size_bytes: int
    attachments: int


def back_up_store(
    url: str | Path, target: str | Path, *, clock: Clock | None = None, progress: Progress | None = None
) -> BackupReport:
    """Copy a store's file through SQL, with its attachments. Its schema stays as it is, and so does the store.

    The database gets its name when all of it is there: a backup that was interrupted leaves none.

    Args:
        url: The store.
        target: The file to make.
        clock: Where times come from; the machine's by default.
        progress: Told how far it is.

    Raises:
        UsageFault: The store is not a file, is not there, or something is at ``target`` already, be it a log.
        StoreLocked: A process has it open.
        StoreUnwritable: The backup cannot be written.
    """
    source, copy = parse_store_url(url), parse_store_url(target)
    dialect = dialect_of(source)
    if copy.path is None:
        raise UsageFault(f"{copy.text} is not a file to back up to")
    if source.path is None:
        dialect.back_up(source, copy.path)
        return BackupReport(path=copy.path, size_bytes=copy.path.stat().st_size, attachments=0)
    if not source.path.exists():
        raise UsageFault(f"there is no store at {source.path}")
    for there in (copy.path, Path(f"{copy.path}.wal")):
        if there.exists():
            raise UsageFault(f"{there} is there already, and nothing is overwritten")
    ownership = Ownership(source.path, now_us=(clock or SystemClock()).now_us())
    try:
        attachments = _copy_attachments(source.path, copy.path, progress)
        dialect.back_up(source, copy.path)
    finally:
        ownership.release()
    return BackupReport(path=copy.path, size_bytes=copy.path.stat().st_size, attachments=attachments)


def _copy_attachments(source: Path, target: Path, progress: Progress | None) -> int:
    stored, copies = bytes_beside(source), bytes_beside(target)
    found = [*stored.stored()]
    for done, one in enumerate(found, start=1):
        body = stored.get(one.attachment_id)
        if body is None:
            raise StoreError(f"the bytes of attachment {one.attachment_id} went away during the backup")
        copies.put(one.attachment_id, body, now_us=one.modified_at_us)
        reached("in_backup")
        if progress is not None:
            progress("backing up attachments", done, len(found))
    return len(found)
