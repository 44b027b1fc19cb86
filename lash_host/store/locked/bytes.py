"""The bytes of attachments in the database itself: whoever shares the one shares the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lash_host.store.attachment_bytes import StoredBytes
from lash_host.store.pooled import PooledDatabase
from lash_host.store.schema import SCHEMA

__all__ = ["DatabaseBytes"]

_TABLE = f"{SCHEMA}.attachment_bytes"
_PUT = (
    f"INSERT INTO {_TABLE} (attachment_id, body, modified_at_us) VALUES ($1::text, $2::bytea, $3::bigint)"
    " ON CONFLICT (attachment_id) DO UPDATE SET modified_at_us = excluded.modified_at_us"
)
_GET = f"SELECT body FROM {_TABLE} WHERE attachment_id = $1::text"
_DELETE = (
    f"DELETE FROM {_TABLE} WHERE attachment_id = $1::text AND modified_at_us <= $2::bigint RETURNING attachment_id"
)
_STORED = (
    f"SELECT attachment_id, octet_length(body)::bigint, modified_at_us FROM {_TABLE}"
    " WHERE attachment_id > $1::text ORDER BY attachment_id LIMIT 1000"
)


class DatabaseBytes:
    """Bytes in a table of the store's database."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database

    def put(self, attachment_id: str, body: bytes, *, now_us: int) -> None:
        """Store bytes; those that are there get a new time."""
        self._rows(_PUT, (attachment_id, body, now_us))

    def get(self, attachment_id: str) -> bytes | None:
        """Give bytes."""
        rows = self._rows(_GET, (attachment_id,))
        return bytes(rows[0][0]) if rows else None

    def delete(self, attachment_id: str, *, not_after_us: int) -> bool:
        """Delete bytes unless they were put after this moment."""
        return bool(self._rows(_DELETE, (attachment_id, not_after_us)))

    def stored(self) -> Iterator[StoredBytes]:
        """Give what is stored, some at a time."""
        last = ""
        while rows := self._rows(_STORED, (last,)):
            for attachment_id, size_bytes, modified_at_us in rows:
                yield StoredBytes(attachment_id=attachment_id, size_bytes=size_bytes, modified_at_us=modified_at_us)
            last = rows[-1][0]

    def _rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._database.operation() as driver:
            return driver.rows(sql, params)
