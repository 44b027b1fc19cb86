"""Sessions as a whole: what they are, how many, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, Table, bindparam, delete, func, literal_column, select
from sqlalchemy.sql.dml import ReturningDelete

from lash_host.contracts.store import DeletionReport, StoreInfo
from lash_host.domain.session import SessionInfo
from lash_host.store import schema
from lash_host.store.database import Transaction
from lash_host.store.dialects import StoreUrl
from lash_host.store.schema import metadata, rows_of
from lash_host.store.work import Engine

__all__ = ["delete_session", "list_sessions", "session_info", "store_info"]

sessions, nodes, turns = rows_of(schema.sessions), rows_of(schema.nodes), rows_of(schema.turns)
blobs, meta = rows_of(schema.blobs), rows_of(schema.meta)

_IS_SESSION = sessions.c.head_revision > literal_column("0")
_INFO = select(
    sessions.c.session_id,
    sessions.c.parent_session_id,
    sessions.c.root_session_id,
    sessions.c.title,
    sessions.c.created_at_us,
    sessions.c.last_turn_at_us,
    sessions.c.head_revision,
    sessions.c.model,
    sessions.c.provider_id,
    sessions.c.turns,
).where(_IS_SESSION)
_ONE = _INFO.where(sessions.c.session_id == bindparam("session_id"))
_NEWEST_FIRST = (sessions.c.last_turn_at_us.desc().nulls_last(), sessions.c.session_key.desc())
_LIST = _INFO.order_by(*_NEWEST_FIRST).limit(bindparam("limit"))
_CHILDREN = (
    _INFO.where(sessions.c.parent_session_id == bindparam("parent")).order_by(*_NEWEST_FIRST).limit(bindparam("limit"))
)
_NO_LIMIT = 2**62

_COUNTS: tuple[Select[Any], ...] = (
    select(func.count()).select_from(sessions).where(_IS_SESSION),
    select(func.coalesce(func.sum(sessions.c.live_nodes), literal_column("0"))).select_from(sessions),
    select(func.count()).select_from(turns).where(turns.c.outcome.is_not(None)),
    select(func.count(), func.coalesce(func.sum(blobs.c.size_bytes), literal_column("0"))).select_from(blobs),
)
_META = select(meta.c.key, meta.c.value)


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
    """Tell what a session is; see `CommitStore.session_info`."""
    with engine.read() as transaction:
        row = transaction.row(_ONE, {"session_id": session_id})
    return None if row is None else _info(row)


def list_sessions(engine: Engine, *, parent_session_id: str | None, limit: int | None) -> list[SessionInfo]:
    """List sessions; see `CommitStore.list_sessions`."""
    params: dict[str, Any] = {"limit": _NO_LIMIT if limit is None else limit}
    with engine.read() as transaction:
        if parent_session_id is None:
            rows = transaction.rows(_LIST, params)
        else:
            rows = transaction.rows(_CHILDREN, params | {"parent": parent_session_id})
    return [_info(row) for row in rows]


def delete_session(engine: Engine, session_id: str) -> DeletionReport:
    """Delete a session; see `SessionDirectory.delete_session`."""
    with engine.exclusive() as transaction:
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
    with engine.read() as transaction:
        facts = dict(transaction.rows(_META))
        session_count, node_count, turn_count, blob_count = (transaction.rows(query)[0] for query in _COUNTS)
    return StoreInfo(
        url=url.text,
        dialect=url.dialect,
        durability="ephemeral" if url.is_in_memory else "durable",
        schema_version=int(facts["schema_version"]),
        created_at_us=int(facts["created_at_us"]),
        size_bytes=size_bytes,
        sessions=session_count[0],
        nodes=node_count[0],
        turns=turn_count[0],
        blobs=blob_count[0],
        blob_bytes=int(blob_count[1]),
    )


def _info(row: Sequence[Any]) -> SessionInfo:
    return SessionInfo(**dict(zip(_INFO.selected_columns.keys(), row, strict=True)))
