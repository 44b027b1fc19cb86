"""One open database: its engine, the writer's connection, the lock that orders writers, and its transactions."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Generator, Hashable, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from weakref import WeakSet

from sqlalchemy import Table
from sqlalchemy.engine import Engine
from sqlalchemy.sql import ClauseElement

from lash_host.errors import StoreError
from lash_host.store.dialects import Catalog, Dialect, Driver, StoreUrl
from lash_host.store.ownership import Ownership

__all__ = ["Database", "Transaction", "compiled_statements"]

_log = logging.getLogger(__name__)


@cache
def compiled_statements(dialect_name: str) -> dict[Hashable, tuple[str, tuple[str, ...]]]:  # noqa: ARG001
    """Give what was compiled for a kind of database. Statements are made once, so that it stays small."""
    return {}


class Transaction:
    """What may be done inside a transaction. It begins with its first statement: one without any costs nothing."""

    __slots__ = ("_database", "_driver", "has_begun")

    def __init__(self, database: Database, driver: Driver) -> None:
        self._database, self._driver = database, driver
        self.has_begun = False

    def begin(self, *, read_only: bool = False) -> None:
        """Begin, if that has not happened yet."""
        if not self.has_begun:
            self._driver.begin(read_only=read_only)
            self.has_begun = True

    def commit(self) -> None:
        """Commit what was done, if anything was."""
        if self.has_begun:
            self._driver.commit()

    def rows(self, statement: ClauseElement, params: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement; give all its rows."""
        sql, names = self._database.compiled(statement)
        self.begin()
        return self._driver.rows(sql, [params[name] for name in names] if params else ())

    def row(self, statement: ClauseElement, params: dict[str, Any] | None = None) -> tuple[Any, ...] | None:
        """Run a statement; give its first row."""
        found = self.rows(statement, params)
        return found[0] if found else None

    def insert(
        self, table: Table, rows: Sequence[tuple[Any, ...]], *, ignore_existing: bool = False, alone: bool = False
    ) -> None:
        """Insert rows whose values are in the table's own order of columns.

        Args:
            table: Where.
            rows: What.
            ignore_existing: Leave rows of the same key as they are.
            alone: Nothing else happens in the transaction, so that it need not be begun and committed. Where more than
                one statement is needed, or something has happened already, this changes nothing.
        """
        if rows:
            if not alone or len(rows) > self._database.dialect.rows_per_insert:
                self.begin()
            for sql, params in self._database.dialect.inserts(table, rows, ignore_existing=ignore_existing):
                self._driver.rows(sql, params)

    def driver_rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run one statement in the database's own words; its text is one of a bounded number."""
        self.begin()
        return self._driver.rows(sql, params)

    def catalog(self) -> Catalog:
        """Say whether the database is empty, ours or another program's."""
        self.begin()
        return self._database.dialect.catalog(self._driver)

    def script(self, sql: str) -> None:
        """Run SQL text of our own that needs no parameters."""
        self.begin()
        self._driver.script(sql)


class Database:
    """One open database, shared by all handles of this process.

    Writers take turns. Readers have connections of their own and see one snapshot each. After a fork only the process
    that opened it may use it.
    """

    def __init__(self, url: StoreUrl, dialect: Dialect, *, ownership: Ownership | None) -> None:
        self.url, self.dialect = url, dialect
        self._ownership = ownership
        self._pid = os.getpid()
        self._writing = threading.RLock()
        """An interrupt while it is taken leaves it held until that was dealt with, also by whoever deals with it."""
        self._compiled = compiled_statements(dialect.name)
        self._readers: WeakSet[Driver] = WeakSet()
        self._connecting = threading.Lock()
        self._engine: Engine | None = None
        self._writer: Driver | None = None
        self._is_writer_idle = True
        """False also where an interrupt came between beginning a transaction and knowing of it, or in its rollback."""
        self._must_reopen = False
        self._connect()

    @contextmanager
    def write(self) -> Generator[Transaction]:
        """Run the body in a transaction of the one writer; commit durably, or leave no trace.

        Raises:
            StoreError: What the database answered, translated.
        """
        self._check_process()
        with self._writing:
            driver = self._usable_writer()
            transaction = Transaction(self, driver)
            self._is_writer_idle = False
            try:
                yield transaction
                transaction.commit()
            except BaseException as error:
                self._roll_back(driver, error)
                if isinstance(error, self.dialect.errors):
                    raise self.dialect.translate(error, url=self.url) from error
                raise
            self._is_writer_idle = True

    @contextmanager
    def read(self) -> Generator[Transaction]:
        """Run the body on one snapshot, while others write.

        Raises:
            StoreError: What the database answered, translated.
        """
        driver = self.open_reader()
        try:
            transaction = Transaction(self, driver)
            transaction.begin(read_only=True)
            yield transaction
        except self.dialect.errors as error:
            self._note_fatal(error)
            raise self.dialect.translate(error, url=self.url) from error
        finally:
            self.close_reader(driver)

    @contextmanager
    def read_at_leisure(self) -> Generator[Transaction]:
        """Read on one snapshot, however long a statement takes.

        Raises:
            StoreError: What the database answered, translated.
        """
        with self.read() as transaction:
            if self.dialect.leisure:
                transaction.script(self.dialect.leisure)
            yield transaction

    @contextmanager
    def aside(self) -> Generator[Transaction]:
        """Run the body in a writing transaction on a connection of its own, beside the writer.

        It goes straight into the database file where the write-ahead log has grown long and there is room.

        Raises:
            StoreError: What the database answered, translated.
        """
        driver = self.open_reader()
        transaction = Transaction(self, driver)
        try:
            transaction.begin()
            yield transaction
            if self.dialect.checkpoint_is_due(self.url):
                with self._writing:  # what a transaction of the writer still saw would be written too
                    self.dialect.commit_into_file(driver)
            else:
                transaction.commit()
        except BaseException as error:
            self._roll_back(driver, error)
            if isinstance(error, self.dialect.errors):
                raise self.dialect.translate(error, url=self.url) from error
            raise
        finally:
            self.close_reader(driver)

    def open_reader(self) -> Driver:
        """Give a connection of its own; the caller gives it back with `close_reader`."""
        self._check_process()
        if self._must_reopen:
            with self._writing:
                self._usable_writer()
        with self._connecting:
            if self._engine is None:
                raise self.closed()
            try:
                driver = self.dialect.connect(self._engine)
            except self.dialect.errors as exc:
                self._note_fatal(exc)
                raise self.dialect.translate(exc, url=self.url) from exc
            self._readers.add(driver)
        return driver

    def close_reader(self, driver: Driver) -> None:
        """Close a reader's connection, with whatever transaction it has open."""
        if os.getpid() != self._pid:
            return
        with self._connecting:
            self._readers.discard(driver)
        driver.close()

    def compiled(self, statement: ClauseElement) -> tuple[str, tuple[str, ...]]:
        """Give a statement's SQL with the names of its parameters in order; compiled once in a process."""
        known = self._compiled.get(statement)
        if known is None:
            if self._engine is None:
                raise self.closed()
            compiled: Any = statement.compile(self._engine)
            known = (str(compiled), tuple(compiled.positiontup or ()))
            self._compiled[statement] = known
        return known

    @contextmanager
    def let_go(self) -> Generator[None]:
        """Close every connection during the body, its file's log left as it is, and keep the file's ownership.

        For what needs the file to itself, such as a copy of it.
        """
        self._check_process()
        with self._writing:
            self._disconnect()
            try:
                yield
            finally:
                self._connect()

    def reclaim_space(self) -> None:
        """Give the space of removed rows back, as far as the database can while others use it."""
        with self._writing:
            driver = self._usable_writer()
            try:
                self.dialect.reclaim_space(driver)
            except self.dialect.errors as exc:
                self._note_fatal(exc)
                _log.warning("the space of removed rows of %s was not given back: %s", self.url.text, exc)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the database file. What it holds is safe in either place."""
        with self._writing:
            self._checkpoint(self._usable_writer())

    def close(self, *, untouched: bool = False) -> None:
        """Close every connection, then give the file up. Data is safe before this is called.

        Args:
            untouched: Leave the file as it is, its write-ahead log included.
        """
        if os.getpid() != self._pid:
            return
        with self._writing:
            if self._engine is None:
                return
            try:
                self._close_readers()
                if self._writer is not None and not self._must_reopen and not untouched:
                    self._checkpoint(self._writer)
            finally:
                self._disconnect()
                if self._ownership is not None:
                    self._ownership.release()

    def abandon(self) -> None:
        """Leave the connections to the process that opened them; called in a forked child.

        Closing them here would crash, or write to the parent's file: so they live for ever.
        """
        for connection in (self._engine, self._writer, *self._readers, *self.dialect.process_wide()):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))

    def _connect(self) -> None:
        try:
            self._engine = self.dialect.open_engine(self.url)
            self._writer = self.dialect.connect(self._engine)
        except self.dialect.errors as exc:
            raise self.dialect.translate(exc, url=self.url) from exc
        self._must_reopen = False
        self._is_writer_idle = True

    def _checkpoint(self, writer: Driver) -> None:
        if not self.dialect.checkpoint_has_room(self.url):
            _log.warning("no checkpoint of %s: too little room on the disk", self.url.text)
            return
        try:
            self.dialect.checkpoint(writer)
        except self.dialect.errors as exc:
            self._note_fatal(exc)
            _log.warning("no checkpoint of %s: %s", self.url.text, exc)

    def _disconnect(self) -> None:
        with self._connecting:
            engine, writer, self._engine, self._writer = self._engine, self._writer, None, None
        self._close_readers()
        if writer is not None:
            writer.close()
        if engine is not None:
            engine.dispose()

    def _close_readers(self) -> None:
        with self._connecting:
            open_now = list(self._readers)
        for driver in open_now:
            self.close_reader(driver)

    def _usable_writer(self) -> Driver:
        if self._must_reopen:
            if self.url.path is None:
                raise StoreError(f"{self.url.text} failed, and what was in memory is lost")
            self._disconnect()
            self._connect()
        if self._writer is None:
            raise self.closed()
        if not self._is_writer_idle:
            self._writer.rollback()
            self._is_writer_idle = True
        return self._writer

    def _roll_back(self, driver: Driver, error: BaseException) -> None:
        self._note_fatal(error)
        if not self._must_reopen:
            try:
                driver.rollback()
            except self.dialect.errors as failure:
                self._note_fatal(failure)
                error.add_note(f"the rollback failed too: {failure}")

    def _note_fatal(self, error: BaseException) -> None:
        self._must_reopen = self._must_reopen or self.dialect.is_fatal(error)

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise StoreError(
                f"{self.url.text} was opened by process {self._pid} and cannot be used in its fork {os.getpid()}: "
                "open the store after forking"
            )

    def closed(self) -> StoreError:
        """Give the error of whoever uses it after it was closed."""
        return StoreError(f"{self.url.text} was closed; open it again with open_store")
