"""Copying a whole store to another database, table by table and batch by batch, so that it can be taken up again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, literal_column, select, update

from lash_host.contracts.clock import Clock, SystemClock
from lash_host.contracts.maintenance import Progress
from lash_host.domain.maintenance import CheckReport
from lash_host.errors import StoreError, UsageFault
from lash_host.store.checking import check_store
from lash_host.store.copy_mark import CopyMark, refuse_unfinished_copy
from lash_host.store.copy_source import COPIED, CopySource
from lash_host.store.database import Transaction
from lash_host.store.dialects import parse_store_url
from lash_host.store.liveness import is_dead
from lash_host.store.opening import open_engine
from lash_host.store.points import reached
from lash_host.store.schema import meta
from lash_host.store.surroundings import Surroundings
from lash_host.store.work import Engine

__all__ = ["CopyReport", "copy_store"]

_SET_CREATED = (
    update(meta).where(meta.c.key == literal_column("'created_at_us'")).values(value=bindparam("created_at_us"))
)
_COUNTS = {table.name: select(func.count()).select_from(table) for table in COPIED}
_EMPTY = {table.name: delete(table) for table in COPIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """What a copy did.

    Attributes:
        rows: How many rows the target holds of each table.
        attachments: How many attachments' bytes it holds.
        resumed: Whether an earlier copy was taken up where it stopped.
        check: What checking the target found.
    """

    rows: dict[str, int]
    attachments: int
    resumed: bool
    check: CheckReport


def copy_store(
    source: str | Path, target: str | Path, *, clock: Clock | None = None, progress: Progress | None = None
) -> CopyReport:
    """Copy a store: sessions with all that belongs to them, blobs, attachments; then check the copy.

    A copy that was interrupted goes on where it stopped when it is asked for again, and begins anew where the source
    has changed since. Leases are not copied: nobody holds the copy's sessions, and their fencing tokens go on.

    Args:
        source: Where the store is.
        target: Where it goes: a store that is new, empty, or an interrupted copy.
        clock: Where times come from; the machine's by default.
        progress: Told how far it is.

    Raises:
        UsageFault: The source is not there, both are the same, or the target holds something else.
        StoreError: Either store says no.
    """
    source_url, target_url = parse_store_url(source), parse_store_url(target)
    if source_url == target_url:
        raise UsageFault(f"{source_url.text} cannot be copied to itself")
    if target_url.is_in_memory:
        raise UsageFault("a copy in memory would be gone at once: name a file or a server")
    surroundings = Surroundings(clock=clock or SystemClock(), owner_is_dead=is_dead)
    with ExitStack() as opened:
        engines = []
        for url, create in ((source_url, False), (target_url, True)):
            engines.append(opened.enter_context(closing(open_engine(url, surroundings, create=create))))
        return _Copy(*engines, progress=progress).run()


class _Copy:
    """One run of a copy."""

    def __init__(self, source: Engine, target: Engine, *, progress: Progress | None) -> None:
        self._source, self._target = source, target
        self._progress = progress

    def run(self) -> CopyReport:
        """Copy what is not there yet, on one snapshot of the source; then check."""
        with self._source.database.read_at_leisure() as transaction:
            refuse_unfinished_copy(transaction, place=self._source.database.url.text)
            source = CopySource(transaction)
            mark, resumed = self._begin(source)
            self._copy_rows(source, mark)
            attachments = self._copy_attachments(source)
            rows = source.counts
        report = check_store(self._target, progress=self._progress)
        with self._target.exclusive() as writing:
            _compare(writing, rows)
            writing.rows(_SET_CREATED, {"created_at_us": source.created_at_us})
            CopyMark.remove(writing)
        return CopyReport(rows=rows, attachments=attachments, resumed=resumed, check=report)

    def _begin(self, source: CopySource) -> tuple[CopyMark, bool]:
        """Find out how far the target is; mark it as a copy that is not finished.

        Raises:
            UsageFault: The target holds something else.
        """
        with self._target.exclusive() as transaction:
            known = CopyMark.read(transaction)
            if known is not None and known.source == source.fingerprint:
                return known, any(known.done.values())
            if known is None and (held := [table.name for table in COPIED if _count(transaction, table)]):
                raise UsageFault(f"the target holds a store already: {', '.join(held)}; copy to a new one")
            for table in COPIED:
                transaction.rows(_EMPTY[table.name])
            mark = CopyMark(source=source.fingerprint)
            mark.write(transaction, is_new=known is None)
            return mark, False

    def _copy_rows(self, source: CopySource, mark: CopyMark) -> None:
        for table in COPIED:
            done, total = 0, source.counts[table.name]
            self._tell(table.name, 0, total)
            for number, batch in enumerate(source.batches(table)):
                done += batch.rows
                if number >= mark.done.get(table.name, 0):
                    self._write(table, batch.read(), mark, number)
                self._tell(table.name, done, total)

    def _write(self, table: Table, rows: Sequence[tuple[Any, ...]], mark: CopyMark, number: int) -> None:
        """Write a batch together with the mark that says so."""
        mark.done[table.name] = number + 1
        with self._target.exclusive() as transaction:
            transaction.insert(table, rows)
            mark.write(transaction)
        reached("in_copy")

    def _copy_attachments(self, source: CopySource) -> int:
        wanted = source.attachment_ids()
        there = {one.attachment_id for one in self._target.attachment_bytes.stored()}
        found = [one for one in self._source.attachment_bytes.stored() if one.attachment_id in wanted]
        for done, one in enumerate(found, start=1):
            body = None if one.attachment_id in there else self._source.attachment_bytes.get(one.attachment_id)
            if body is not None:
                self._target.attachment_bytes.put(one.attachment_id, body, now_us=one.modified_at_us)
                reached("in_copy")
            self._tell("attachment bytes", done, len(found))
        return len(found)

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(f"copying {what}", min(done, total), total)


def _compare(transaction: Transaction, expected: dict[str, int]) -> None:
    """Compare the target's counts with the source's.

    Raises:
        StoreError: The copy is not complete.
    """
    counts = {table.name: _count(transaction, table) for table in COPIED}
    if counts != expected:
        raise StoreError(f"the copy holds {counts} rows, and the source {expected}")


def _count(transaction: Transaction, table: Table) -> int:
    row = transaction.row(_COUNTS[table.name])
    return 0 if row is None else int(row[0])
