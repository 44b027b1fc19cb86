"""The SQL of an operation, in PostgreSQL's own words: made once, the same text for any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Table

from lash_host.store.dialects.postgresql import arrays
from lash_host.store.head import HEAD_COLUMNS
from lash_host.store.schema import SCHEMA, nodes, sessions
from lash_host.store.state import StateTable

__all__ = [
    "CLOCK",
    "INSERT_HEAD",
    "KNOWN_NODES",
    "LOCK_HEAD",
    "NEXT_SESSION",
    "NOTIFY",
    "STORED_BLOBS",
    "STORED_TURN",
    "WORK_CHANNEL",
    "delete_rows",
    "find_rows",
    "following_rows",
    "live_rows",
    "update_head",
    "upsert_rows",
]

WORK_CHANNEL = "lash_work"
"""Where it is announced that something waits for a session."""

NOTIFY = f"SELECT pg_notify('{WORK_CHANNEL}', '')"
CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""The database's clock in microseconds: `numeric` until the cast, so nothing is rounded away."""

_SESSIONS, _NODES = f"{SCHEMA}.{sessions.name}", f"{SCHEMA}.{nodes.name}"
LOCK_HEAD = f"SELECT {', '.join(HEAD_COLUMNS)} FROM {_SESSIONS} WHERE session_id = $1::text FOR UPDATE"
NEXT_SESSION = f"SELECT nextval('{SCHEMA}.session_numbers')"
"""A number that goes round: sessions which hosts make in the same microsecond get different keys."""

INSERT_HEAD = (
    f"INSERT INTO {_SESSIONS} ({', '.join(HEAD_COLUMNS)})"
    f" VALUES ({', '.join(f'${n}' for n in range(1, len(HEAD_COLUMNS) + 1))})"
    " ON CONFLICT DO NOTHING RETURNING session_key"
)
STORED_TURN = f"SELECT commit_hash, result FROM {SCHEMA}.turns WHERE session_key = $1::bigint AND turn_id = $2::text"
KNOWN_NODES = (
    f"SELECT node_id FROM {_NODES} WHERE session_key = $1::bigint AND node_key >= $2::bigint"
    " AND node_id = ANY ($3::text[]) AND NOT tombstoned"
)
STORED_BLOBS = f"SELECT ref FROM {SCHEMA}.blobs WHERE ref = ANY ($1::text[])"


@lru_cache(maxsize=256)
def update_head(columns: tuple[str, ...]) -> str:
    """Write some of a head's columns; their values come first, the session's key last."""
    changes = ", ".join(f"{name} = ${n}" for n, name in enumerate(columns, start=1))
    return f"UPDATE {_SESSIONS} SET {changes} WHERE session_key = ${len(columns) + 1}"


@lru_cache(maxsize=64)
def live_rows(state: StateTable) -> str:
    """Read a session's rows that are not settled, in order."""
    settled = ""
    if state.settled is not None:
        column, values = state.settled
        settled = f" AND {column} NOT IN ({', '.join(repr(value) for value in sorted(values))})"
    return f"{_of_session(state)}{settled} ORDER BY {state.order}"


@lru_cache(maxsize=64)
def find_rows(state: StateTable, column: str) -> str:
    """Read a session's rows by a column."""
    return f"{_of_session(state)} AND {state.table.c[column].name} = $2::text"


@lru_cache(maxsize=64)
def following_rows(state: StateTable) -> str:
    """Read a session's rows from a place on, in order."""
    return f"{_of_session(state)} AND {state.order} >= $2::bigint ORDER BY {state.order}"


@lru_cache(maxsize=64)
def upsert_rows(state: StateTable) -> str:
    """Write rows whole, one array a column: new ones, and those that are there."""
    key = ("session_key", *state.key)
    changes = ", ".join(
        f"{name} = excluded.{name}" for name in _columns(state.table) if name not in key and name not in state.fixed
    )
    return (
        f"INSERT INTO {SCHEMA}.{state.table.name} ({_names(state.table)}) SELECT * FROM unnest({arrays(state.table)})"
        f" ON CONFLICT ({', '.join(key)}) DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"
    )


@lru_cache(maxsize=64)
def delete_rows(state: StateTable) -> str:
    """Remove rows by their keys, one array a column."""
    key = ("session_key", *state.key)
    return (
        f"DELETE FROM {SCHEMA}.{state.table.name}"
        f" WHERE ({', '.join(key)}) IN (SELECT * FROM unnest({arrays(state.table, key)}))"
    )


def _of_session(state: StateTable) -> str:
    return f"SELECT {_names(state.table)} FROM {SCHEMA}.{state.table.name} WHERE session_key = $1::bigint"


def _names(table: Table) -> str:
    return ", ".join(_columns(table))


def _columns(table: Table) -> Sequence[str]:
    return table.columns.keys()
