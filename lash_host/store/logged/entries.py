"""Entries of the log: what one operation changed, as text for the log and as rows for the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Select, Table, bindparam, select

from lash_host.errors import StoreError
from lash_host.store.database import Transaction
from lash_host.store.logged.sql import ADDED_TABLES, LOGGED_STATE, SESSIONS
from lash_host.store.schema import column_names, commit_log, nodes, rows_of, sessions
from lash_host.store.state import Row, StateTable

__all__ = ["Entry", "LogTexts", "StateChange", "of_today", "read_log"]

_STATE = {state.table.name: state for state in LOGGED_STATE}
_NODES = str(nodes.name)
_PAYLOAD = column_names(nodes).index("payload")
_log = rows_of(commit_log)
_LOG = select(*_log.columns).order_by(_log.c.entry_key)
_FOLDED_IDS = select(sessions.c.session_key, sessions.c.session_id).where(
    sessions.c.session_key.in_(select(_log.c.session_key))
)


LogTexts = tuple[int, str | None, str | None, str | None]
"""What a row of the log holds besides the key of its entry: session key, state, facts, nodes."""

_PIECE_BYTES = 4_000
"""Texts of nodes are not joined beyond this. DuckDB keeps a text of over 4,096 bytes apart, and looks up all of those
that lie before it in a group of rows whenever it writes another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A row of a state table as it is now, or that it is gone.

    Attributes:
        state: The table.
        session_key: The session.
        key: What tells the row apart among the session's.
        row: The row; None: it is gone.
        before: The row as it was written last, where it was; what of it is fixed is not repeated.
    """

    state: StateTable
    session_key: int
    key: tuple[Any, ...]
    row: Row | None
    before: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one operation changed.

    Attributes:
        session_id: The session it is about.
        session_key: Its key.
        changes: Rows of state tables.
        added: Rows added to other tables, by the table's name.
    """

    session_id: str
    session_key: int
    changes: list[StateChange] = field(default_factory=list)
    added: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How much it is, about: the characters of its nodes."""
        return sum(len(row[_PAYLOAD]) for row in self.added.get(_NODES, ()))

    def texts(self) -> list[LogTexts]:
        """Give the rows that the log is to hold for it: one, and more where its nodes are long."""
        facts = {name: rows for name, rows in self.added.items() if name != _NODES}
        state = _json(self._state()) if self.changes else None
        pieces = _pieces(self.added.get(_NODES, ()))
        return [
            (self.session_key, state, _json(facts) if facts else None, pieces[0] if pieces else None),
            *((self.session_key, None, None, piece) for piece in pieces[1:]),
        ]

    def _state(self) -> dict[str, list[list[Any]]]:
        members: dict[str, list[list[Any]]] = {}
        for change in self.changes:
            name = str(change.state.table.name)
            if change.row is None:
                members.setdefault(f"-{name}", []).append([change.session_key, *change.key])
            else:
                row = _not_repeated(change.state, change.row, change.before)
                members.setdefault(name, []).append([row[column] for column in column_names(change.state.table)])
        return members


def read_log(transaction: Transaction) -> list[tuple[int, Entry]]:
    """Read the log, completed with what it does not repeat, in order, with the entries' keys.

    Raises:
        StoreError: An entry is not what was written.
    """
    found: list[tuple[int, Entry]] = []
    known: dict[tuple[Any, ...], Row] = {}
    ids: dict[int, str] = dict(transaction.rows(_FOLDED_IDS))
    for entry_key, rows in groupby(transaction.rows(_LOG), key=itemgetter(0)):
        session_key, *texts = _joined(rows)
        try:
            changes, added = _decoded(transaction, texts, known)
            ids.update((one.session_key, one.key[0]) for one in changes if one.state is SESSIONS)
            session_id = ids[session_key]
        except (ValueError, KeyError, TypeError) as exc:
            raise StoreError(f"entry {entry_key} of the log cannot be read: {exc}") from exc
        entry = Entry(session_id=session_id, session_key=session_key, changes=changes, added=added)
        found.append((entry_key, entry))
    return found


def of_today(table: Table, row: Sequence[Any]) -> Sequence[Any]:
    """Give a state row of the log with today's columns: schema version 2 had no ledger at the end of a session's."""
    return [*row, None] if table is sessions and len(row) == len(sessions.columns) - 1 else row


def _joined(rows: Iterable[tuple[Any, ...]]) -> tuple[int, list[str], list[str], list[str]]:
    """Give an entry's session key, and all texts of each kind."""
    _, session_keys, *texts = zip(*rows, strict=True)
    state, facts, new_nodes = ([text for text in column if text is not None] for column in texts)
    return session_keys[0], state, facts, new_nodes


def _decoded(
    transaction: Transaction, texts: Iterable[list[str]], known: dict[tuple[Any, ...], Row]
) -> tuple[list[StateChange], dict[str, list[tuple[Any, ...]]]]:
    state, facts, new_nodes = (_members(of_a_kind) for of_a_kind in texts)
    changes = [
        _change(transaction, _STATE[name.removeprefix("-")], value, known, is_gone=name.startswith("-"))
        for name, values in state.items()
        for value in values
    ]
    added = {
        name: [tuple(row) for row in rows] for name, rows in {**facts, **new_nodes}.items() if name in ADDED_TABLES
    }
    return changes, added


def _change(
    transaction: Transaction, state: StateTable, value: list[Any], known: dict[tuple[Any, ...], Row], *, is_gone: bool
) -> StateChange:
    if is_gone:
        session_key, *key = value
        known.pop((state.table.name, session_key, *key), None)
        return StateChange(state=state, session_key=session_key, key=tuple(key), row=None)
    row: Row = dict(zip(column_names(state.table), of_today(state.table, value), strict=True))
    key_of = state.key_of(row)
    name = (state.table.name, row["session_key"], *key_of)
    if any(row[column] is None for column in state.fixed):
        before = known.get(name) or _stored(transaction, state, row)
        row |= {column: before[column] for column in state.fixed if row[column] is None} if before else {}
    known[name] = row
    return StateChange(state=state, session_key=row["session_key"], key=key_of, row=row)


def _stored(transaction: Transaction, state: StateTable, row: Row) -> Row | None:
    found = transaction.row(_by_key(state), {f"its_{name}": row[name] for name in ("session_key", *state.key)})
    return None if found is None else dict(zip(column_names(state.table), found, strict=True))


@cache
def _by_key(state: StateTable) -> Select[Any]:
    columns = state.table.c
    return select(*columns).where(*(columns[name] == bindparam(f"its_{name}") for name in ("session_key", *state.key)))


def _not_repeated(state: StateTable, row: Row, before: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if before is None:
        return row
    same = {name: None for name in state.fixed if row[name] == before[name]}
    return {**row, **same} if same else row


def _members(texts: Iterable[str]) -> dict[str, list[list[Any]]]:
    members: dict[str, list[list[Any]]] = {}
    for text in texts:
        for name, rows in json.loads(text).items():
            members.setdefault(name, []).extend(rows)
    return members


def _pieces(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Write nodes, as many in a text as stay short together."""
    pieces: list[list[bytes]] = []
    size = 0
    for row in rows:
        written = to_json(row)
        if not pieces or size + len(written) > _PIECE_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(written)
        size += len(written)
    return [f'{{"{_NODES}":[{b",".join(piece).decode()}]}}' for piece in pieces]


def _json(members: Mapping[str, Any]) -> str:
    return to_json(members).decode()
