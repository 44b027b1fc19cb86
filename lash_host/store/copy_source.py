"""The store that is copied: its rows in batches, and what tells whether it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, func, literal_column, select

from lash_host.store import schema
from lash_host.store.database import Transaction
from lash_host.store.gc import blob_sizes
from lash_host.store.schema import metadata, rows_of
from lash_host.store.spans import ROWS_A_SPAN, Span, rows_in, spans

__all__ = ["COPIED", "Batch", "CopySource"]

COPIED: tuple[Table, ...] = (
    schema.blobs,
    *(
        table
        for table in metadata.sorted_tables
        if table not in {schema.blobs, schema.meta, schema.commit_log, schema.sessions}
    ),
    schema.sessions,
)
"""The tables that are copied, in this order: sessions are the last, so that none is seen before all of it is there."""

_BLOBS_A_BATCH = 500
_BYTES_A_BATCH = 8 << 20
_blobs = rows_of(schema.blobs)
_BODIES = (
    select(_blobs).where(_blobs.c.ref >= bindparam("first"), _blobs.c.ref <= bindparam("last")).order_by(_blobs.c.ref)
)
_ATTACHMENT_IDS = select(rows_of(schema.attachments).c.attachment_id).distinct()
_CREATED = select(schema.meta.c.value).where(schema.meta.c.key == literal_column("'created_at_us'"))

_FREE = {"lease_token": None, "lease_owner": None, "lease_claimed_at_ms": 0, "lease_expires_at_ms": 0}
_COUNTS = {table.name: select(func.count()).select_from(rows_of(table)) for table in COPIED}
_CHANGING = (
    (schema.sessions, ("session_id", "head_revision", "last_key", "live_nodes", "updated_at_us", "meta")),
    (schema.turn_inputs, ("input_id", "state", "ingress", "claim_fencing_token", "claim_token")),
    (schema.queued_work, ("batch_id", "claim_fencing_token", "claim_token")),
    (schema.attachments, ("attachment_id", "intent_at_us", "committed_at_us", "label", "media_type")),
)
"""What of rows changes without their number changing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to be written together.

    Attributes:
        rows: How many they are.
        read: Reads them, in their table's order of columns.
    """

    rows: int
    read: Callable[[], list[tuple[Any, ...]]]


class CopySource:
    """One snapshot of a store that is copied.

    Attributes:
        counts: How many rows each table has.
        fingerprint: Differs when anything was changed that is copied.
        created_at_us: When the store was made, as it is stored.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.counts = {name: int(transaction.rows(statement)[0][0]) for name, statement in _COUNTS.items()}
        self.created_at_us: str = (transaction.row(_CREATED) or ("0",))[0]
        self.fingerprint = self._fingerprint()

    def batches(self, table: Table) -> Iterator[Batch]:
        """Cut a table into batches: the same ones again where nothing has changed."""
        if table is schema.blobs:
            yield from self._blob_batches()
            return
        for span in spans(self._transaction, rows_of(table)):
            yield Batch(span.rows, lambda span=span: self._rows(table, span))  # type: ignore[misc]

    def attachment_ids(self) -> frozenset[str]:
        """Give the attachments that any session refers to."""
        return frozenset(row[0] for row in self._transaction.rows(_ATTACHMENT_IDS))

    def _rows(self, table: Table, span: Span) -> list[tuple[Any, ...]]:
        rows = rows_in(self._transaction, rows_of(table), span)
        if table is not schema.sessions:
            return rows
        names = table.columns.keys()
        return [tuple(_FREE.get(name, value) for name, value in zip(names, row, strict=True)) for row in rows]

    def _blob_batches(self) -> Iterator[Batch]:
        refs: list[str] = []
        size = 0
        for ref, size_bytes in blob_sizes(self._transaction):
            refs.append(ref)
            size += size_bytes
            if len(refs) >= _BLOBS_A_BATCH or size >= _BYTES_A_BATCH:
                yield self._blobs(refs)
                refs, size = [], 0
        if refs:
            yield self._blobs(refs)

    def _blobs(self, refs: list[str]) -> Batch:
        bounds = {"first": refs[0], "last": refs[-1]}
        return Batch(len(refs), lambda: self._transaction.rows(_BODIES, bounds))

    def _fingerprint(self) -> str:
        """Hash how many rows there are, how they are cut into batches, and what of them changes."""
        cut = (ROWS_A_SPAN, _BLOBS_A_BATCH, _BYTES_A_BATCH)
        digest = hashlib.sha256(repr((cut, [*self.counts.items()])).encode())
        for table, columns in _CHANGING:
            for span in spans(self._transaction, rows_of(table)):
                for row in rows_in(self._transaction, rows_of(table), span, columns=columns):
                    digest.update(repr(row).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
