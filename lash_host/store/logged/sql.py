"""SQL that reads the commit log: views over every committed row, whether or not the log was folded.

The text is DuckDB's. A log row holds the rows it adds or changes as JSON arrays in their table's order of columns:
``facts`` and ``nodes`` rows that are added once, ``state`` rows of state tables as they are now (a column that is fixed
and was written before is null) and, under the table's name with a minus before it, the keys of rows that are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from sqlalchemy import BigInteger, Boolean, Column, Double, Table, Text

from lash_host.store.schema import (
    ROWS_SCHEMA,
    SCHEMA,
    SESSION_NAMES,
    blobs,
    commit_log,
    commit_log_next,
    commits,
    hook_calls,
    meta,
    metadata,
    model_calls,
    nodes,
    sessions,
    tool_calls,
    turns,
)
from lash_host.store.state import STATE_TABLES, StateTable

__all__ = ["ADDED_TABLES", "LOGGED_STATE", "SESSIONS", "fold_added", "rows_views"]

ADDED_TABLES = {"nodes": nodes, "commits": commits, "turns": turns, "model_calls": model_calls,
                "tool_calls": tool_calls, "hook_calls": hook_calls}  # fmt: skip
"""Tables whose rows are only ever added, by name."""

SESSIONS = StateTable(
    table=sessions,
    key=("session_id",),
    order="session_key",
    fixed=frozenset({"frames", "policy", "meta", "created_at_us", "parent_session_id", "root_session_id", "title"}),
)
"""Heads, as a state table. Its fixed columns change, but never to null: where they did not, they are not repeated."""

LOGGED_STATE = (SESSIONS, *STATE_TABLES)

_TYPES: dict[type, str] = {BigInteger: "BIGINT", Text: "VARCHAR", Double: "DOUBLE", Boolean: "BOOLEAN"}
_LOG = f"{ROWS_SCHEMA}.{commit_log.name}"


def rows_views() -> Iterator[str]:
    """Give the statements that make schema `lash_rows`: a view a table, of the committed rows, folded or not."""
    yield f"CREATE SCHEMA IF NOT EXISTS {ROWS_SCHEMA}"
    both = " UNION ALL ".join(_select(log) for log in (commit_log, commit_log_next))
    yield f"CREATE OR REPLACE VIEW {_LOG} AS {both}"
    for table in metadata.sorted_tables:
        name = table.name
        if name in ADDED_TABLES:
            body = f"{_select(table)} UNION ALL {_select_added(table)}"
        elif (state := _state_of(table)) is not None:
            body = _current(state)
        elif table in {meta, blobs}:
            body = _select(table)
        else:
            continue
        yield f"CREATE OR REPLACE VIEW {ROWS_SCHEMA}.{name} AS {body}"
    yield f"CREATE OR REPLACE VIEW {ROWS_SCHEMA}.{SESSION_NAMES} AS {_session_names()}"


@cache
def fold_added(table: Table) -> str:
    """Give the statement that adds to one of `ADDED_TABLES` what the log has for it, up to the entry key `$1`.

    The database reads its own log: of what was committed, only what may change again is kept in this process.
    """
    return f"INSERT INTO {SCHEMA}.{table.name} {_select_added(table, 'AND entry_key <= $1')}"


def _session_names() -> str:
    folded = f"SELECT session_key, session_id FROM {SCHEMA}.{sessions.name}"
    columns = _cast([sessions.c.session_key, sessions.c.session_id])
    logged = f"SELECT DISTINCT {columns} FROM ({_unnested(sessions.name, 'state')})"
    return (
        f"{folded} UNION ALL SELECT * FROM ({logged}) AS l ANTI JOIN {SCHEMA}.{sessions.name} AS t USING (session_key)"
    )


def _state_of(table: Table) -> StateTable | None:
    return next((state for state in LOGGED_STATE if state.table is table), None)


def _names(table: Table) -> str:
    return ", ".join(table.columns.keys())


def _select(table: Table) -> str:
    return f"SELECT {_names(table)} FROM {SCHEMA}.{table.name}"


def _key(state: StateTable) -> tuple[str, ...]:
    return ("session_key", *state.key)


def _unnested(member: str, column: str, only: str = "") -> str:
    """Give the rows under a member of a column's JSON, as arrays of text with the key of their entry."""
    return (
        f"SELECT entry_key, unnest(from_json(json_extract({column}, '$.\"{member}\"'), '[[\"VARCHAR\"]]')) AS r"
        f" FROM {_LOG} WHERE {column} IS NOT NULL {only}"
    )


def _cast(columns: Sequence[Column[object]]) -> str:
    return ", ".join(
        f"CAST(r[{n}] AS {_TYPES[type(column.type)]}) AS {column.name}" for n, column in enumerate(columns, start=1)
    )


def _select_added(table: Table, only: str = "") -> str:
    column = "nodes" if table is nodes else "facts"
    return f"SELECT {_cast(list(table.columns))} FROM ({_unnested(table.name, column, only)})"


def _merged(state: StateTable) -> str:
    """Give the latest of each row that the log changes, completed from the table where it was not repeated."""
    table, key = state.table, _key(state)
    keys = [table.c[name] for name in key]
    puts = f"SELECT entry_key, FALSE AS gone, {_cast(list(table.columns))} FROM ({_unnested(table.name, 'state')})"
    others = ", ".join(f"CAST(NULL AS {_TYPES[type(c.type)]}) AS {c.name}" for c in table.columns if c.name not in key)
    removals = f"SELECT entry_key, TRUE AS gone, {_cast(keys)}, {others} FROM ({_unnested('-' + table.name, 'state')})"
    latest = ", ".join(
        f"arg_max{'' if c.name in state.fixed else '_null'}({c.name}, entry_key) AS {c.name}"
        for c in table.columns
        if c.name not in key
    )
    grouped = (
        f"SELECT {', '.join(key)}, arg_max(gone, entry_key) AS gone, {latest}"
        f" FROM ({puts} UNION ALL BY NAME {removals}) GROUP BY {', '.join(key)}"
    )
    columns = ", ".join(
        f"coalesce(l.{c.name}, t.{c.name}) AS {c.name}" if c.name in state.fixed else f"l.{c.name}"
        for c in table.columns
    )
    same = " AND ".join(f"t.{name} = l.{name}" for name in key)
    return f"SELECT l.gone, {columns} FROM ({grouped}) AS l LEFT JOIN {SCHEMA}.{table.name} AS t ON {same}"


def _current(state: StateTable) -> str:
    table, key = state.table, _key(state)
    same = " AND ".join(f"t.{name} = m.{name}" for name in key)
    names = ", ".join(f"t.{column.name}" for column in table.columns)
    return (
        f"WITH m AS ({_merged(state)})"
        f" SELECT {names} FROM {SCHEMA}.{table.name} AS t ANTI JOIN m ON {same}"
        f" UNION ALL SELECT {_names(table)} FROM m WHERE NOT gone"
    )
