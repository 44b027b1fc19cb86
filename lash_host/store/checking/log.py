"""Checking the log: its entries decoded here, against what `lash_rows` makes of them and the tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, bindparam, func, literal_column, select

from lash_host.store import schema
from lash_host.store.checking.findings import Findings
from lash_host.store.database import Transaction
from lash_host.store.logged.entries import of_today
from lash_host.store.logged.sql import ADDED_TABLES, LOGGED_STATE
from lash_host.store.schema import commit_log, rows_of
from lash_host.store.spans import rows_in, spans
from lash_host.store.state import StateTable

__all__ = ["Logged", "check_log", "read_entries"]

Row = tuple[Any, ...]
Key = tuple[Any, ...]

_PAGE = 200
_TABLES = {**ADDED_TABLES, **{state.table.name: state.table for state in LOGGED_STATE}}
_STATES = {state.table.name: state for state in LOGGED_STATE}
_log = rows_of(commit_log)
_COUNT = select(func.count()).select_from(_log)
_next = (
    select(_log.c.entry_key)
    .distinct()
    .where(_log.c.entry_key > bindparam("after"))
    .order_by(_log.c.entry_key)
    .limit(literal_column(str(_PAGE)))
    .subquery()
)
_ENTRIES = (
    select(_log.c.entry_key, _log.c.state, _log.c.facts, _log.c.nodes)
    .where(_log.c.entry_key.in_(select(_next.c.entry_key)))
    .order_by(_log.c.entry_key)
)


@dataclass(slots=True)
class Logged:
    """What the log does to one table.

    Attributes:
        added: Rows it adds, for a table whose rows never change.
        changes: Its changes of rows by key, in order, for a state table; None is a removal.
        sessions: The sessions it is about.
    """

    added: Counter[Row] = field(default_factory=Counter)
    changes: dict[Key, list[Row | None]] = field(default_factory=dict)
    sessions: set[int] = field(default_factory=set)


def read_entries(transaction: Transaction, findings: Findings) -> dict[str, Logged]:
    """Decode every entry of the log; give what they do, by the table's name."""
    total = transaction.rows(_COUNT)[0][0]
    logged: dict[str, Logged] = {}
    for entry_key, member, rows in _members(transaction, findings, total):
        problem = _take(logged, member, rows)
        if problem is not None:
            findings.problem("log_entry", None, f"entry {entry_key}: {problem}")
    if schema.commits.name in logged:
        findings.counts["unfolded_commits"] = logged[schema.commits.name].added.total()
    return logged


def check_log(transaction: Transaction, findings: Findings, logged: Mapping[str, Logged]) -> None:
    """Check that folding shows exactly what the entries say."""
    for name, its in logged.items():
        _compare(transaction, findings, _TABLES[name], its)


def _members(
    transaction: Transaction, findings: Findings, total: int
) -> Iterator[tuple[int, str, Sequence[Sequence[Any]]]]:
    """Give the members of every entry: a table's name, with a minus where its rows are removed, and the rows."""
    done, after = 0, -1
    while page := transaction.rows(_ENTRIES, {"after": after}):
        for entry_key, *texts in page:
            for text in texts:
                if text is None:
                    continue
                try:
                    members = json.loads(text)
                    found = [(str(name), [[*row] for row in rows]) for name, rows in members.items()]
                except (ValueError, TypeError, AttributeError) as exc:
                    findings.problem("log_entry", None, f"entry {entry_key} cannot be read: {exc}")
                    continue
                yield from ((entry_key, name, rows) for name, rows in found)
        done, after = done + len(page), page[-1][0]
        findings.tell("log", done, total)


def _take(logged: dict[str, Logged], member: str, rows: Sequence[Sequence[Any]]) -> str | None:
    """Take in what a member does; say what is wrong with it."""
    name = member.removeprefix("-")
    table, state = _TABLES.get(name), _STATES.get(name)
    if table is None or (state is None and member != name):
        return f"it holds {member!r}, which is no table of the log"
    its = logged.setdefault(name, Logged())
    width = len(table.columns) if member == name else len(_key_names(_STATES[name]))
    for row in (of_today(table, row) for row in rows):
        if len(row) != width or type(row[0]) is not int:
            return f"a row of {member} does not fit it: {len(row)} values where {width} belong"
        its.sessions.add(row[0])
        if state is None:
            its.added[tuple(row)] += 1
        elif member == name:
            its.changes.setdefault(_key_of(state, row), []).append(tuple(row))
        else:
            its.changes.setdefault(tuple(row), []).append(None)
    return None


def _compare(transaction: Transaction, findings: Findings, table: Table, logged: Logged) -> None:
    """Compare what `lash_rows` shows of a table with the table and the log."""
    shown, held = Counter[Row](), Counter[Row]()
    state = _STATES.get(table.name)
    for span in spans(transaction, rows_of(table)):
        if any(span.first_session <= session_key <= span.last_session for session_key in logged.sessions):
            both = [rows_in(transaction, source, span) for source in (rows_of(table), table)]
            more, less = (Counter(row for row in rows if row[0] in logged.sessions) for rows in both)
            same = Counter[Row]() if state is not None else more & less
            shown += more - same
            held += less - same
    if state is not None:
        _compare_state(findings, state, logged, shown=_by_key(state, shown), held=_by_key(state, held))
        return
    _report(findings, table, shown - logged.added, "is shown, and neither in the table nor in the log")
    _report(findings, table, logged.added - shown, "is in the log, and not shown")
    _report(findings, table, held, "is in the table, and not shown")


def _compare_state(
    findings: Findings, state: StateTable, logged: Logged, *, shown: Mapping[Key, Row], held: Mapping[Key, Row]
) -> None:
    """Compare the rows of the sessions in question with what the log makes of the table's."""
    for key in sorted(shown.keys() | held.keys() | logged.changes.keys()):
        expected = held.get(key)
        for change in logged.changes.get(key, []):
            expected = None if change is None else _completed(state, change, expected)
        if expected != shown.get(key):
            detail = f"a row of {state.table.name} is not shown as the log has it: key {key}"
            findings.problem("log_entry", key[0], detail)


def _completed(state: StateTable, change: Row, before: Row | None) -> Row:
    """Fill in the columns that a change does not repeat."""
    if before is None:
        return change
    names = state.table.columns.keys()
    return tuple(
        old if new is None and name in state.fixed else new
        for name, new, old in zip(names, change, before, strict=True)
    )


def _report(findings: Findings, table: Table, rows: Counter[Row], what: str) -> None:
    for row in rows:
        findings.problem("log_entry", row[0], f"a row of {table.name} {what}: it begins with {row[1:3]!r}")


def _by_key(state: StateTable, rows: Counter[Row]) -> dict[Key, Row]:
    return {_key_of(state, row): row for row in rows}


def _key_names(state: StateTable) -> tuple[str, ...]:
    return ("session_key", *state.key)


def _key_of(state: StateTable, row: Sequence[Any]) -> Key:
    names = state.table.columns.keys()
    return tuple(row[names.index(name)] for name in _key_names(state))
