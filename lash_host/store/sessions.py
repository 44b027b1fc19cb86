"""Sessions as a whole: what they are, how many, and their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, delete, func, literal_column, select
from sqlalchemy.sql.dml import ReturningDelete

from lash_host.contracts.store import DeletionReport, StoreInfo
from lash_host.domain.session import SessionInfo
from lash_host.store import schema
from lash_host.store.database import Transaction
from lash_host.store.dialects import StoreUrl
from lash_host.store.schema import metadata, rows_of
from lash_host.store.upkeep import upkeep
from lash_host.store.work import Engine

__all__ = ["delete_session", "list_sessions", "session_info", "store_info"]

_INFO_COLUMNS = tuple(name for name in SessionInfo.model_fields)
_NO_LIMIT = 2**62


class _Queries:
    """What is asked about sessions, of the tables or of the views over every committed row."""

    def __init__(self, of: Callable[[Table], Table]) -> None:
        sessions, turns = of(schema.sessions), of(schema.turns)
        is_session = sessions.c.head_revision > literal_column("0")
        info = select(*(sessions.c[name] for name in _INFO_COLUMNS)).where(is_session)
        newest_first = (sessions.c.last_turn_at_us.desc().nulls_last(), sessions.c.session_key.desc())
        of_parent = sessions.c.parent_session_id == bindparam("parent")
        self.all = info.order_by(*newest_first).limit(bindparam("limit"))
        self.children = info.where(of_parent).order_by(*newest_first).limit(bindparam("limit"))
        zero: ColumnElement[int] = literal_column("0")
        self.counts: tuple[Select[Any], ...] = (
            select(func.count(), func.coalesce(func.sum(sessions.c.live_nodes), zero)).where(is_session),
            select(func.count()).select_from(turns).where(turns.c.outcome.is_not(None)),
            select(func.count(), func.coalesce(func.sum(schema.blobs.c.size_bytes), zero)).select_from(schema.blobs),
        )


_TABLES, _ROWS = _Queries(lambda table: table), _Queries(rows_of)
_META = select(schema.meta.c.key, schema.meta.c.value)


def _delete(table: Table) -> ReturningDelete[Any]:
    key = table.c.session_key
    return delete(table).where(key == bindparam("its_session_key")).returning(key)


_DELETE = {
    table.name: _delete(table)
    for table in metadata.sorted_tables
    if "session_key" in table.columns and table not in {schema.sessions, schema.commit_log}
}
_DELETE_SESSION = _delete(schema.sessions)
_KEY = select(schema.sessions.c.session_key, schema.sessions.c.head_revision).where(
    schema.sessions.c.session_id == bindparam("session_id")
)


def session_info(engine: Engine, session_id: str) -> SessionInfo | None:
    """Tell what a session is; see `SessionDirectory.session_info`."""
    head = engine.peek(session_id)
    return _info([head.row[name] for name in _INFO_COLUMNS]) if head is not None and head.is_session else None


def list_sessions(engine: Engine, *, parent_session_id: str | None, limit: int | None) -> list[SessionInfo]:
    """List sessions; see `CommitStore.list_sessions`."""
    params: dict[str, Any] = {"limit": _NO_LIMIT if limit is None else limit}
    queries = _TABLES if engine.fold() else _ROWS
    with engine.read() as transaction:
        if parent_session_id is None:
            rows = transaction.rows(queries.all, params)
        else:
            rows = transaction.rows(queries.children, params | {"parent": parent_session_id})
    return [_info(row) for row in rows]


def delete_session(engine: Engine, session_id: str) -> DeletionReport:
    """Delete a session; see `SessionDirectory.delete_session`."""
    with upkeep(engine) as transaction:
        return delete_rows(transaction, session_id)


def delete_rows(transaction: Transaction, session_id: str) -> DeletionReport:
    """Delete every row of a session from the tables."""
    found = transaction.row(_KEY, {"session_id": session_id})
    if found is None:
        return DeletionReport(session_id=session_id, existed=False)
    params = {"its_session_key": found[0]}
    removed = {name: len(transaction.rows(statement, params)) for name, statement in _DELETE.items()}
    transaction.rows(_DELETE_SESSION, params)
    return DeletionReport(
        session_id=session_id,
        existed=found[1] > 0,
        nodes=removed["nodes"],
        turns=removed["turns"],
        model_calls=removed["model_calls"],
        tool_calls=removed["tool_calls"],
        queued_batches=removed["queued_work"],
        turn_inputs=removed["turn_inputs"],
        attachments=removed["attachments"],
    )


def store_info(engine: Engine, *, url: StoreUrl, size_bytes: int | None) -> StoreInfo:
    """Tell what the store is; see `SessionStore.info`."""
    queries = _TABLES if engine.fold() else _ROWS
    with engine.read() as transaction:
        facts = dict(transaction.rows(_META))
        session_counts, turn_count, blob_count = (transaction.rows(query)[0] for query in queries.counts)
    return StoreInfo(
        url=url.text,
        dialect=url.dialect,
        durability="ephemeral" if url.is_in_memory else "durable",
        schema_version=int(facts["schema_version"]),
        created_at_us=int(facts["created_at_us"]),
        size_bytes=size_bytes,
        sessions=session_counts[0],
        nodes=int(session_counts[1]),
        turns=turn_count[0],
        blobs=blob_count[0],
        blob_bytes=int(blob_count[1]),
    )


def _info(row: Sequence[Any]) -> SessionInfo:
    return SessionInfo(**dict(zip(_INFO_COLUMNS, row, strict=True)))
