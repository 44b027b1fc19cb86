"""One PostgreSQL connection, through psycopg, and the rows that a query left on the server."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format, TransactionStatus
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper, IntBinaryDumper, IntDumper

from lash_host.errors import MissingExtra
from lash_host.store.dialects.postgresql_sql import bind, is_explain

__all__ = [
    "BEGIN",
    "BEGIN_READ",
    "CONNECT_ARGUMENTS",
    "STATEMENT_ERRORS",
    "Connection",
    "PostgresDriver",
    "PostgresRows",
    "connect",
]

Connection = psycopg.Connection[tuple[Any, ...]]

STATEMENT_ERRORS: tuple[type[Exception], ...] = (psycopg.Error, UnicodeEncodeError)
"""What running a statement raises; the second where UTF-8 cannot hold a parameter."""

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
BEGIN_READ = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    " SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)
"""Begins a transaction that sees one snapshot, and may take its time."""

_CURSOR = "lash_query"
_resets = count()
_CANCEL_AGAIN_S = 0.05
_CANCEL_TIMEOUT_S = 5.0


class _Int8Dumper(Dumper):
    """Sends every integer as a bigint, so that a statement has one plan whatever the values are."""

    oid = Int8BinaryDumper.oid
    format = Format.BINARY

    def dump(self, obj: int) -> Buffer:
        try:
            return obj.to_bytes(8, "big", signed=True)
        except OverflowError as exc:
            raise psycopg.DataError(f"{obj} does not fit in 64 bits") from exc


class _Context:
    """What psycopg takes a connection's adapters from."""

    def __init__(self) -> None:
        self.connection = None
        self.adapters = psycopg.adapt.AdaptersMap(psycopg.adapters)
        self.adapters.register_dumper(int, Int8Dumper)
        self.adapters.register_dumper(int, _Int8Dumper)
        self.adapters.register_dumper(list, ListBinaryDumper)  # escapes nothing


CONNECT_ARGUMENTS: Mapping[str, Any] = {
    "autocommit": True, "cursor_factory": psycopg.RawCursor, "context": _Context(),
}  # fmt: skip
"""How connections are made: parameters are written ``$1``, and statements begin and end transactions."""


def connect(conninfo: str) -> Connection:
    """Make a connection."""
    return cast("Connection", psycopg.connect(conninfo, **CONNECT_ARGUMENTS))


class PostgresRows:
    """Rows that a query left on the server, behind a cursor."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        self._table: Any = None

    @property
    def columns(self) -> Sequence[str]:
        """The column names."""
        return [column.name for column in self.cursor.description or ()]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give all rows as tuples."""
        rows: list[tuple[Any, ...]] = self.cursor.fetchall()
        return rows

    def to_arrow_table(self) -> Any:
        """Give a `pyarrow.Table`, whose types are the columns' own."""
        if self._table is None:
            arrow = _pyarrow()
            types = [_arrow_type(arrow, column.type_code) for column in self.cursor.description or ()]
            values = list(zip(*self.fetchall(), strict=True)) or [()] * len(types)
            columns = [
                arrow.array([_for_arrow(value) for value in column], type=kind)
                for column, kind in zip(values, types, strict=True)
            ]
            self._table = arrow.Table.from_arrays(columns, names=list(self.columns))
        return self._table

    def df(self) -> Any:
        """Give a `pandas.DataFrame`."""
        return import_module("pandas").DataFrame(self.fetchall(), columns=list(self.columns))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give an Arrow stream in a PyCapsule. Asked again, it starts anew."""
        return self.to_arrow_table().__arrow_c_stream__(requested_schema)


class PostgresDriver:
    """One connection. A call holds it; closing cancels the call and waits for it.

    One that is its ``own`` is closed when nobody refers to it any more; else it goes back to its pool.
    """

    __slots__ = ("__weakref__", "_cursor", "_held", "_is_closed", "_is_own", "raw")

    def __init__(self, connection: Connection, *, own: bool = False) -> None:
        self.raw = connection
        self._is_own = own
        self._held = threading.RLock()
        self._is_closed = False
        self._cursor: Any = None

    def __del__(self) -> None:
        """Close a connection whose rows were dropped unread."""
        if self._is_own:
            self.close()

    def begin(self, *, read_only: bool) -> None:
        """Start a transaction. A read-only one may take its time."""
        self.script(BEGIN_READ if read_only else BEGIN)

    def commit(self) -> None:
        """Commit; PostgreSQL syncs its write-ahead log before it answers."""
        self.commit_with(())

    def commit_with(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Run statements that give no rows, and commit, in one round trip. Nothing is committed if one fails."""
        with self._held:
            cursor = self.raw.cursor()
            with self._pipeline() as failures:
                try:
                    for sql, params in (*statements, ("COMMIT", ())):
                        cursor.execute(cast("Any", sql), params)
                except STATEMENT_ERRORS as exc:
                    failures.append(exc)
            if cursor.statusmessage != "COMMIT":  # what PostgreSQL answers where the transaction had failed before
                raise psycopg.InternalError(f"the transaction had failed before: {cursor.statusmessage}")

    def rollback(self) -> None:
        """End the transaction without a trace."""
        with self._held:
            if not self.raw.closed and self.raw.info.transaction_status != TransactionStatus.IDLE:
                self.raw.execute("ROLLBACK")

    def reset(self) -> None:
        """End whatever there is, after a failure, and have psycopg forget which statements the server has prepared.

        Where several were sent at once and one failed, what it remembers of the others is wrong. It forgets on a
        ROLLBACK whose text it has not seen before.
        """
        with self._held:
            self.raw.execute(cast("Any", f"ROLLBACK /* {next(_resets)} */"))

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement with parameters ``$1``, ``$2``; give all its rows."""
        with self._held:
            return _fetched(self.raw.execute(cast("Any", sql), params))

    def together(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[list[tuple[Any, ...]]]:
        """Run statements in one round trip; give the rows of each. None runs after one that failed."""
        cursors: list[Any] = []
        with self._held:
            with self._pipeline() as failures:
                try:
                    cursors.extend(self.raw.execute(cast("Any", sql), params) for sql, params in statements)
                except STATEMENT_ERRORS as exc:
                    failures.append(exc)
            return [_fetched(cursor) for cursor in cursors]

    @contextmanager
    def _pipeline(self) -> Generator[list[Exception]]:
        """Send what the body runs at once, then raise the first failure: the body's own, else the server's.

        The body gives its failure instead of raising it: psycopg would log what the server says of the rest.
        """
        failures: list[Exception] = []
        try:
            with self.raw.pipeline():
                yield failures
        except psycopg.Error as exc:
            failures.append(exc)
        if failures:
            raise failures[0]

    def script(self, sql: str) -> None:
        """Run any number of statements without parameters."""
        with self._held:
            self.raw.execute(cast("Any", sql))

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None) -> PostgresRows:
        """Declare a cursor for a query, which nothing but a single SELECT gets through; give its rows.

        A cursor cannot explain: EXPLAIN runs as it is, in a transaction that is read-only all the same.
        """
        text, values = bind(sql, params)
        with self._held:
            if is_explain(sql):
                self._cursor = self.raw.cursor()
            else:
                self.raw.execute("SET LOCAL cursor_tuple_fraction = 1")
                self._cursor = psycopg.RawServerCursor(self.raw, _CURSOR)
            for dumper in (IntDumper, IntBinaryDumper):  # functions are found by the size of their integers
                self._cursor.adapters.register_dumper(int, dumper)
            self._cursor.execute(text, values)
        return PostgresRows(self._cursor)

    def batches(self, rows: Any, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Fetch a query's rows some at a time."""
        while True:
            with self._held:
                batch: list[tuple[Any, ...]] = rows.cursor.fetchmany(size)
            if not batch:
                return
            yield batch

    @contextmanager
    def held(self) -> Generator[None]:
        """Keep the connection open during the body."""
        with self._held:
            yield

    def close(self) -> None:
        """Cancel what is running, then close the connection."""
        if not self._is_closed:
            self._is_closed = True
            while not self._held.acquire(timeout=_CANCEL_AGAIN_S):
                self.raw.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
            try:
                self.raw.close()
                if self._cursor is not None:
                    self._cursor.close()
            finally:
                self._held.release()


def _fetched(cursor: Any) -> list[tuple[Any, ...]]:
    if cursor.pgresult is None or not cursor.pgresult.nfields:  # building a description of columns takes longer
        return []
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _pyarrow() -> Any:
    try:
        return import_module("pyarrow")
    except ImportError as exc:
        raise MissingExtra("rows of PostgreSQL as Arrow", extra="arrow") from exc


_ARROW = {
    "bool": "bool_", "int2": "int16", "int4": "int32", "int8": "int64", "oid": "int64", "float4": "float32",
    "float8": "float64", "bytea": "binary", "date": "date32", "text": "string", "varchar": "string",
    "bpchar": "string", "name": "string", "json": "string", "jsonb": "string", "uuid": "string",
}  # fmt: skip


def _arrow_type(arrow: Any, type_code: int) -> Any:
    """Give the Arrow type of a PostgreSQL type; None where the values shall say."""
    info = psycopg.adapters.types.get(type_code)
    name = "" if info is None or info.array_oid == type_code else info.name
    if name in {"timestamp", "timestamptz"}:
        return arrow.timestamp("us", tz="UTC" if name == "timestamptz" else None)
    return getattr(arrow, _ARROW[name])() if name in _ARROW else None


def _for_arrow(value: object) -> object:
    """Give a value as Arrow takes it: it has no type for ids."""
    return str(value) if isinstance(value, UUID) else value
