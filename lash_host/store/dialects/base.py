"""What a dialect provides. It is the only place that knows a database's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Table
from sqlalchemy.engine import Engine

from lash_host.errors import StoreError
from lash_host.store.dialects.url import StoreUrl

__all__ = [
    "Catalog",
    "ConstraintViolated",
    "Dialect",
    "Driver",
    "Rows",
    "TransactionConflict",
]


class Catalog(StrEnum):
    """What is in a database that was just opened."""

    EMPTY = "empty"
    OURS = "ours"
    FOREIGN = "foreign"


class TransactionConflict(StoreError):
    """Another transaction wrote the same rows first; nothing was written."""

    code = "store_conflict"
    retryable = True


class ConstraintViolated(StoreError):
    """A row broke a unique key; nothing was written."""

    code = "store_constraint"


class Rows(Protocol):
    """The rows of a query, with the ways to read them."""

    @property
    def columns(self) -> Sequence[str]:
        """The column names."""
        ...

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give all rows as tuples."""
        ...

    def to_arrow_table(self) -> Any:
        """Give a `pyarrow.Table`."""
        ...

    def df(self) -> Any:
        """Give a `pandas.DataFrame`."""
        ...

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give an Arrow stream in a PyCapsule. Asked again, it starts anew."""
        ...


class Driver(Protocol):
    """One connection. Used by one thread at a time; outside a transaction unless said."""

    def begin(self, *, read_only: bool) -> None:
        """Start a transaction. A read-only one cannot write, whatever the SQL says."""
        ...

    def commit(self) -> None:
        """Make the transaction durable."""
        ...

    def rollback(self) -> None:
        """End the transaction without a trace. No error when there is none."""
        ...

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement with positional parameters; give all its rows.

        Its text is one of a bounded number: a driver may keep what it made of it.
        """
        ...

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None) -> Rows:
        """Run a query of the user's; give its rows, which need this connection until they are read."""
        ...

    def batches(self, rows: Rows, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Give what `query` gave as tuples, at most ``size`` at a time."""
        ...

    def script(self, sql: str) -> None:
        """Run any number of statements without parameters."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Keep the connection from being closed while rows that need it are read."""
        ...

    def close(self) -> None:
        """Stop what is running and let go of the connection. Closing twice is no error."""
        ...


class Dialect(Protocol):
    """One database, as the store needs it."""

    name: str
    errors: tuple[type[Exception], ...]
    leisure: str
    """SQL that lets the statements of a transaction take as long as they need; empty where they may anyway."""
    rows_per_insert: int
    """How many rows one statement inserts at most."""

    def open_engine(self, url: StoreUrl) -> Engine:
        """Open the database for good: no SQL can change its configuration afterwards.

        A file that is not there is made; one that is there is not changed.
        """
        ...

    def connect(self, engine: Engine) -> Driver:
        """Give another connection to the same database. Called by one thread at a time."""
        ...

    def process_wide(self) -> Sequence[object]:
        """Give the driver's objects that a forked child must not destroy, besides the store's own."""
        ...

    def catalog(self, driver: Driver) -> Catalog:
        """Say whether the database is empty, ours or another program's."""
        ...

    def rows_views(self) -> Iterator[str]:
        """Give the statements that make schema ``lash_rows`` anew: see `lash_host.store.schema.ROWS_SCHEMA`."""
        ...

    def checkpoint(self, driver: Driver) -> None:
        """Fold the write-ahead log into the database file, where there is one."""
        ...

    def checkpoint_is_due(self, url: StoreUrl) -> bool:
        """Whether the write-ahead log has grown long, and there is room for a checkpoint."""
        ...

    def checkpoint_has_room(self, url: StoreUrl) -> bool:
        """Whether a checkpoint may be tried: one that fails for want of room could do harm."""
        ...

    def commit_into_file(self, driver: Driver) -> None:
        """Commit a transaction and checkpoint in one, so that what it wrote is written once."""
        ...

    def reclaim_space(self, driver: Driver) -> None:
        """Give the space of removed rows back, outside of any transaction."""
        ...

    def back_up(self, url: StoreUrl, target: Path) -> None:
        """Copy the database, which nobody has open, to a file; complete and synced when this returns.

        Raises:
            UsageFault: The database is not a file; says what to do instead.
            StoreUnwritable: The copy cannot be written, or something is there.
            ForeignStore: The database is damaged.
        """
        ...

    def inserts(
        self, table: Table, rows: Sequence[tuple[Any, ...]], *, ignore_existing: bool = False
    ) -> Iterator[tuple[str, Sequence[Any]]]:
        """Give the statements, with parameters, that insert ``rows``, in as few as the database allows."""
        ...

    def finishing(self, number: int) -> str:
        """Give the SQL that a migration's step needs in this database besides what every one runs; may be empty."""
        ...

    def view_functions(self) -> str:
        """Give the SQL that makes the functions, in schema ``lash_rows``, which built-in views are written with."""
        ...

    def vet_query(self, sql: str) -> None:
        """Accept one read-only statement.

        Raises:
            QueryRefused: It is not exactly one, or not a read-only one.
            QueryFailed: It is not SQL.
        """
        ...

    def is_fatal(self, error: BaseException) -> bool:
        """Whether the database must be opened anew after this error."""
        ...

    def translate(self, error: Exception, *, url: StoreUrl) -> StoreError:
        """Turn a driver's error into one of ours."""
        ...

    def size_bytes(self, url: StoreUrl) -> int | None:
        """Tell how much disk the database takes, without opening its file; None in memory."""
        ...
