"""DuckDB, through duckdb-engine for its tables and its own connection where every statement counts."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
from sqlalchemy import Table, create_engine
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from lash_host.errors import ForeignStore, StoreError, StoreLocked, StoreUnwritable, UsageFault
from lash_host.store.dialects.base import Catalog, ConstraintViolated, Driver, TransactionConflict
from lash_host.store.dialects.duckdb_backup import write_backup
from lash_host.store.dialects.duckdb_sql import VIEW_FUNCTIONS, vet_query
from lash_host.store.dialects.duckdb_wal import log_size, tell_what_was_left_out
from lash_host.store.dialects.url import StoreUrl
from lash_host.store.logged.sql import rows_views

__all__ = ["DuckDBDialect", "DuckDBDriver"]

_NEVER = "1TB"
_CONFIG = {
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",  # SQL does not see Python variables
    "python_scan_all_frames": "false",
    "checkpoint_threshold": _NEVER,  # see `DuckDBDialect.checkpoint_is_due`
}
_STORAGE_VERSION = "v1.5.0"
"""Of a new file, so that DuckDB 1.5 reads it too."""

_NAME = "lash_store"
"""What the attached file is called here. It is no schema's name, so that no name in SQL is ambiguous."""

_LOCK_DOWN = (
    "PRAGMA disable_checkpoint_on_shutdown;"
    "SET enable_external_access = false"  # SQL reaches no file, no network, no other database, and never will again
)
_ROWS_PER_GROUP = 2048
"""A checkpoint writes the last group of each table's rows anew, so that a group bounds what it costs; DuckDB's own size
of 122,880 rows is for tables that are loaded once."""

_CHECKPOINT_AFTER_BYTES = 4 << 20
_CHECKPOINT_AFTER_PART = 256
"""A checkpoint writes what tells where every group of rows is, so that it costs more in a larger file: there it waits
until the write-ahead log is such a part of the file."""

_CHECKPOINT_ROOM = 2
_MOST_REWRITTEN_BYTES = 256 << 20
"""A checkpoint is not begun unless so many times the write-ahead log's size is free on the disk, and the file's size up
to this much."""

_ROWS_PER_INSERT = 4096
_INTERRUPT_AGAIN_S = 0.05
_INTERRUPTED = "Query interrupted"
_UNWRITABLE = re.compile(
    r"No space left|File too large|[Dd]isk quota|Permission denied|Read-only file system|Operation not permitted"
    r"|Not a directory|No such file or directory|Input/output error|read-only mode"
)
_FOREIGN = re.compile(
    r"not a valid DuckDB database|Is a directory|database file with version|Loading external extensions is disabled"
    r"|[Ee]ncrypt|[Cc]orrupt|[Cc]hecksum"
)
_CONSTRAINT = re.compile(r"Constraint Error|constraint violation|[Dd]uplicate key")
_CONFLICT = re.compile(r"[Cc]onflict|write-write")


class _CtrlC:
    """DuckDB ends a call on Ctrl-C, and hides that it was one: this says so.

    Entered after the lock on the connection, which is left whatever happens here.
    """

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is RuntimeError and str(error) == _INTERRUPTED:
            raise KeyboardInterrupt from error


_CTRL_C = _CtrlC()


class DuckDBDriver:
    """One DuckDB connection. What was parsed once is not parsed again.

    A connection in the middle of a call refuses every other; so a call holds it, and closing waits for the call.
    """

    __slots__ = ("__weakref__", "_held", "_is_closed", "_parsed", "raw")

    def __init__(self, connection: Any, parsed: dict[str, Any]) -> None:
        self.raw, self._parsed = connection, parsed
        self._held = threading.Lock()
        self._is_closed = False

    def begin(self, *, read_only: bool) -> None:
        """Start a transaction."""
        with self._held, _CTRL_C:
            self.raw.execute("BEGIN TRANSACTION READ ONLY" if read_only else "BEGIN TRANSACTION")

    def commit(self) -> None:
        """Commit; DuckDB syncs its write-ahead log before it returns."""
        with self._held, _CTRL_C:
            self.raw.commit()

    def rollback(self) -> None:
        """End the transaction. A failed commit has ended it already."""
        try:
            with self._held, _CTRL_C:
                self.raw.rollback()
        except duckdb.TransactionException as exc:
            if "no transaction is active" not in str(exc):
                raise

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything: an open result would own the connection."""
        with self._held, _CTRL_C:
            statement = self._parsed.get(sql)
            if statement is None:
                statement = self._parsed[sql] = self.raw.extract_statements(sql)[0]
            result: list[tuple[Any, ...]] = self.raw.execute(statement, params).fetchall()
        return result

    def script(self, sql: str) -> None:
        """Run any number of statements without parameters."""
        with self._held, _CTRL_C:
            self.raw.execute(sql)

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None) -> Any:
        """Run a query; give the relation that holds its rows."""
        with self._held, _CTRL_C:
            relation = self.raw.sql(sql) if params is None else self.raw.sql(sql, params=params)
            if hasattr(relation, "materialize"):
                return relation.materialize()
            return relation.execute()  # DuckDB 1.5's word for it

    def batches(self, rows: Any, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Read a relation's rows some at a time."""
        iterator = rows.iter_rows(size) if hasattr(rows, "iter_rows") else None
        while True:
            with self._held, _CTRL_C:  # DuckDB 1.5 has no iter_rows
                batch = rows.fetchmany(size) if iterator is None else list(islice(iterator, size))
            if not batch:
                return
            yield batch

    @contextmanager
    def held(self) -> Generator[None]:
        """Keep the connection open during the body."""
        with self._held, _CTRL_C:
            yield

    def close(self) -> None:
        """Interrupt what is running, then close the connection."""
        if not self._is_closed:
            self._is_closed = True
            self.raw.interrupt()
            while not self._held.acquire(timeout=_INTERRUPT_AGAIN_S):
                self.raw.interrupt()  # the first came before the call it was meant for
            try:
                self.raw.close()
            finally:
                self._held.release()


class DuckDBDialect:
    """A DuckDB file, or DuckDB in memory."""

    name = "duckdb"
    errors: tuple[type[Exception], ...] = (duckdb.Error, DBAPIError)
    leisure = ""
    rows_per_insert = _ROWS_PER_INSERT

    def __init__(self) -> None:
        self._parsed: dict[str, Any] = {}

    def open_engine(self, url: StoreUrl) -> Engine:
        """Open the file and lock the configuration. Nothing is written to a file that exists, not even its own log.

        DuckDB would checkpoint when its last connection closes; in a forked child that would throw away what the
        parent commits afterwards. So that is off, and `checkpoint` is called when the store is closed.
        """
        engine = create_engine(
            URL.create("duckdb", database=":memory:"),
            poolclass=StaticPool,
            pool_reset_on_return=None,
            connect_args={"config": _CONFIG},
        )
        try:
            opening = self._duplicate(engine)
            log_bytes = 0 if url.path is None else log_size(url.path)
            opening.execute(_attach(url))
            opening.execute(_LOCK_DOWN)
            if url.path is not None:
                tell_what_was_left_out(opening, _NAME, path=url.path, size=log_bytes)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def connect(self, engine: Engine) -> Driver:
        """Give another connection to the same database; that costs microseconds.

        The engine's own connection runs no statement, so that it is never busy when it is asked for another.
        """
        connection = self._duplicate(engine)
        connection.execute(f"USE {_NAME}")
        return DuckDBDriver(connection, self._parsed)

    def _duplicate(self, engine: Engine) -> Any:
        wrapper: Any = engine.raw_connection().driver_connection
        return wrapper.duplicate()

    def process_wide(self) -> Sequence[object]:
        """Give the connection that DuckDB keeps for its module-level functions, which duckdb-engine calls."""
        return (duckdb.default_connection(),)

    def catalog(self, driver: Driver) -> Catalog:
        """Look for `lash_tables.meta` first: listing a catalog takes DuckDB milliseconds."""
        try:
            driver.rows("SELECT 1 FROM lash_tables.meta LIMIT 0")
        except duckdb.CatalogException:
            driver.rollback()
            driver.begin(read_only=True)
            things = driver.rows(
                "SELECT 1 FROM duckdb_tables() WHERE NOT internal UNION ALL"
                " SELECT 1 FROM duckdb_views() WHERE NOT internal UNION ALL SELECT 1 FROM duckdb_sequences() LIMIT 1"
            )
            return Catalog.FOREIGN if things else Catalog.EMPTY
        return Catalog.OURS

    def rows_views(self) -> Iterator[str]:
        """Show what is folded together with what the log holds."""
        return rows_views()

    def finishing(self, number: int) -> str:  # noqa: ARG002
        """Nothing: what every database runs is enough."""
        return ""

    def view_functions(self) -> str:
        """Give the macros that the built-in views are written with."""
        return VIEW_FUNCTIONS

    def checkpoint(self, driver: Driver) -> None:
        """Fold the write-ahead log into the file."""
        driver.rows("CHECKPOINT")

    def checkpoint_is_due(self, url: StoreUrl) -> bool:
        """Look at the write-ahead log's size, and at the room on the disk.

        A commit of DuckDB's makes a checkpoint by itself where its log has grown long. On a full disk that fails. So
        DuckDB makes none by itself.
        """
        if url.path is None:
            return False
        try:
            enough = max(_CHECKPOINT_AFTER_BYTES, url.path.stat().st_size // _CHECKPOINT_AFTER_PART)
        except OSError:
            return False
        return log_size(url.path) >= enough and self.checkpoint_has_room(url)

    def checkpoint_has_room(self, url: StoreUrl) -> bool:
        """Look at the room on the disk.

        A checkpoint that fails invalidates the database under everybody who reads, and what it leaves may take more
        room to be opened again. It writes what is in the log, and the last group of each table's rows anew.
        """
        if url.path is None:
            return True
        try:
            rewritten = min(url.path.stat().st_size, _MOST_REWRITTEN_BYTES)
            needed = _CHECKPOINT_ROOM * log_size(url.path) + rewritten
            return shutil.disk_usage(url.path.parent).free >= needed
        except OSError:
            return False

    def commit_into_file(self, driver: Driver) -> None:
        """Commit with a checkpoint: then DuckDB writes a large transaction into the file and not into its log too."""
        driver.script("SET checkpoint_threshold = '1KB'")
        try:
            driver.commit()
        finally:
            driver.script(f"SET checkpoint_threshold = '{_NEVER}'")

    def reclaim_space(self, driver: Driver) -> None:
        """Checkpoint: blocks that nothing uses any more are used again, and those at the file's end are cut off."""
        driver.rows("CHECKPOINT")

    def back_up(self, url: StoreUrl, target: Path) -> None:
        """Copy the file through SQL, under another name until it is complete."""
        if url.path is None:
            raise UsageFault("a store in memory cannot be backed up: copy it to a file with lash store copy")
        try:
            write_backup(url.path, target)
        except FileExistsError as exc:
            raise StoreUnwritable(str(target), problem="something is there, and nothing is overwritten") from exc
        except OSError as exc:
            raise StoreUnwritable(str(target), problem=exc.strerror or str(exc)) from exc
        except duckdb.Error as exc:
            raise self.translate(exc, url=url) from exc

    def inserts(
        self, table: Table, rows: Sequence[tuple[Any, ...]], *, ignore_existing: bool = False
    ) -> Iterator[tuple[str, Sequence[Any]]]:
        """Insert columns rather than rows: one parameter a column, so the SQL is the same for any number of rows."""
        columns = ", ".join(table.columns.keys())
        numbers = range(1, len(table.columns) + 1)
        suffix = " ON CONFLICT DO NOTHING" if ignore_existing else ""
        head = f"INSERT INTO {table.schema}.{table.name} ({columns})"
        if len(rows) == 1:
            yield f"{head} VALUES ({', '.join(f'${n}' for n in numbers)}){suffix}", rows[0]
            return
        sql = f"{head} SELECT {', '.join(f'unnest(${n})' for n in numbers)}{suffix}"
        iterator = iter(rows)
        while chunk := list(islice(iterator, _ROWS_PER_INSERT)):
            yield sql, [list(column) for column in zip(*chunk, strict=True)]

    def vet_query(self, sql: str) -> None:
        """Accept a single SELECT, EXPLAIN or PIVOT without functions that act on the database."""
        vet_query(sql)

    def is_fatal(self, error: BaseException) -> bool:
        """Whether DuckDB invalidated the database: a failed checkpoint does that."""
        return isinstance(_driver_error(error), duckdb.FatalException) or "has been invalidated" in str(error)

    def translate(self, error: Exception, *, url: StoreUrl) -> StoreError:
        """Read DuckDB's message: its exception types alone do not tell a full disk from a foreign file."""
        cause = _driver_error(error)
        message = str(cause)
        path = url.text if url.path is None else str(url.path)
        if isinstance(cause, duckdb.ConstraintException) or _CONSTRAINT.search(message):
            return ConstraintViolated(message)
        if "Could not set lock on file" in message:
            return StoreLocked(path, holder=_lock_holder(message))
        if "Unique file handle conflict" in message:
            return StoreLocked(path, holder=f"this process ({os.getpid()}), which opened it with DuckDB itself")
        if isinstance(cause, duckdb.TransactionException) and _CONFLICT.search(message):
            return TransactionConflict(message)
        if _UNWRITABLE.search(message):
            return StoreUnwritable(url.text, problem=message)
        if _FOREIGN.search(message):
            return ForeignStore(url.text, problem=message)
        return StoreError(f"{url.text}: {message}")

    def size_bytes(self, url: StoreUrl) -> int | None:
        """Add up the file and its write-ahead log by their directory entries; opening the file would drop its lock."""
        if url.path is None:
            return None
        files = (url.path, Path(f"{url.path}.wal"))
        return sum(file.stat().st_size for file in files if file.exists())


def _attach(url: StoreUrl) -> str:
    options = f"TYPE duckdb, ROW_GROUP_SIZE {_ROWS_PER_GROUP}"
    if url.path is None:
        return f"ATTACH ':memory:' AS {_NAME} ({options})"
    place = str(url.path).replace("'", "''")
    if not url.path.exists():
        options += f", STORAGE_VERSION '{_STORAGE_VERSION}'"
    return f"ATTACH '{place}' AS {_NAME} ({options}); SET temp_directory = '{place}.tmp'"


def _driver_error(error: BaseException) -> BaseException:
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error


def _lock_holder(message: str) -> str:
    found = re.search(r"held in (.+?) \(PID (\d+)\)", message)
    return f"process {found[2]} ({found[1]})" if found else "another process"
