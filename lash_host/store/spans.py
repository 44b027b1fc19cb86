"""Cutting a table into stretches of bounded size, by session and key, so that any amount can be read bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, bindparam, func, literal_column, select

from lash_host.store.database import Transaction

__all__ = ["ROWS_A_SPAN", "Span", "order_within", "rows_in", "spans"]

ROWS_A_SPAN = 5_000
"""So many rows are in memory at once, but for one key that has more."""

_KEYS = ("node_key", "call_key", "head_revision", "enqueue_seq", "turn_id", "attachment_id", "source_key", "plugin_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The rows of neighbouring sessions, whole; or a part of one session's, by the key within the session.

    Attributes:
        first_session: The first session's key.
        last_session: The last one's.
        after: The part begins after this key; None: with the first.
        until: The part ends with this key; None: with the last.
        rows: How many rows there are, where no two have one key.
    """

    first_session: int
    last_session: int
    after: Any = None
    until: Any = None
    rows: int

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of the statement that reads it."""
        return {
            "first_session": self.first_session,
            "last_session": self.last_session,
            "after": self.after,
            "until": self.until,
        }


def spans(transaction: Transaction, table: Table, *, rows: int = ROWS_A_SPAN) -> Iterator[Span]:
    """Cut a table that has sessions' keys into spans of about ``rows`` rows, in order."""
    first = last = count = 0
    for session_key, found in transaction.rows(_counts(table)):
        if count and count + found > rows:
            yield Span(first_session=first, last_session=last, rows=count)
            count = 0
        if found > rows:
            yield from _parts(transaction, table, session_key, found, rows)
            continue
        first, last, count = (session_key if not count else first), session_key, count + found
    if count:
        yield Span(first_session=first, last_session=last, rows=count)


def rows_in(
    transaction: Transaction,
    table: Table,
    span: Span,
    *,
    columns: Sequence[str] = (),
    where: ColumnElement[bool] | None = None,
) -> list[tuple[Any, ...]]:
    """Give a span's rows in order, all columns or some.

    Args:
        transaction: Where to read.
        table: The table or view.
        span: What `spans` gave for it.
        columns: Their names; none for all.
        where: Which of the rows; one of a bounded number of objects.
    """
    bounds = tuple(name for name in ("after", "until") if span.values[name] is not None)
    statement = _reading(table, tuple(columns), where, bounds)
    return transaction.rows(statement, span.values)


def order_within(table: Table) -> ColumnElement[Any]:
    """Give what orders a session's rows. A hook call outside a turn comes first."""
    column: Column[Any] = next((table.c[name] for name in _KEYS if name in table.c), table.c.session_key)
    return func.coalesce(column, literal_column("''")) if column.nullable else column


def _parts(transaction: Transaction, table: Table, session_key: int, found: int, rows: int) -> Iterator[Span]:
    ends = transaction.rows(_ends(table), {"session_key": session_key, "rows": rows, "found": found})
    after, left = None, found
    for end in [*dict.fromkeys(end for (end,) in ends), None]:
        size = left if end is None else rows
        yield Span(first_session=session_key, last_session=session_key, after=after, until=end, rows=size)
        after, left = end, left - size


@cache
def _counts(table: Table) -> Select[Any]:
    return select(table.c.session_key, func.count()).group_by(table.c.session_key).order_by(table.c.session_key)


@cache
def _ends(table: Table) -> Select[Any]:
    key = order_within(table)
    numbered = (
        select(key.label("row_key"), func.row_number().over(order_by=key).label("number"))
        .where(table.c.session_key == bindparam("session_key"))
        .subquery("numbered")
    )
    return (
        select(numbered.c.row_key)
        .where(numbered.c.number % bindparam("rows") == literal_column("0"), numbered.c.number < bindparam("found"))
        .order_by(numbered.c.row_key)
    )


@cache
def _reading(
    table: Table, columns: tuple[str, ...], where: ColumnElement[bool] | None, bounds: tuple[str, ...]
) -> Select[Any]:
    key = order_within(table)
    statement = select(*(table.c[name] for name in columns or table.columns.keys())).where(
        table.c.session_key >= bindparam("first_session"), table.c.session_key <= bindparam("last_session")
    )
    if "after" in bounds:
        statement = statement.where(key > bindparam("after"))
    if "until" in bounds:
        statement = statement.where(key <= bindparam("until"))
    if where is not None:
        statement = statement.where(where)
    return statement.order_by(table.c.session_key, key)
