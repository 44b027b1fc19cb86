"""A database on a server: connections from a pool, and as many writers as there are connections."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from weakref import WeakSet

from psycopg_pool import ConnectionPool
from sqlalchemy.engine import Engine

from lash_host.errors import LashError
from lash_host.store.database import Database, Transaction, compiled_statements
from lash_host.store.dialects import Driver, StoreUrl
from lash_host.store.dialects.postgresql import PostgresDialect
from lash_host.store.dialects.postgresql_driver import BEGIN, BEGIN_READ, Connection, PostgresDriver
from lash_host.store.schema import SCHEMA, sessions

__all__ = ["PooledDatabase"]

_SCHEMA_LOCK = 0x6C617368_73746F72
"""Key of the advisory lock that a migration takes: "lashstor"."""

_ALONE = f"""
DO $alone$ BEGIN
    IF to_regclass('{SCHEMA}.{sessions.name}') IS NOT NULL THEN
        LOCK TABLE {SCHEMA}.{sessions.name} IN EXCLUSIVE MODE;
    END IF;
END $alone$
"""
"""Keeps operations away, which begin by locking a session's row, and nobody who only reads."""

_UNHURRIED = (
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = 0"
)


class PooledDatabase(Database):
    """One database on a server, shared with any number of other processes and hosts.

    After a fork only the process that opened it may use it.
    """

    def __init__(self, url: StoreUrl, dialect: PostgresDialect) -> None:  # the base class would open a writer
        self.url = url
        self.dialect: PostgresDialect = dialect
        self._pid = os.getpid()
        self._compiled = compiled_statements(dialect.name)
        self._readers: WeakSet[Driver] = WeakSet()
        self._connecting = threading.Lock()
        self._engine: Engine | None = None
        self._pool: ConnectionPool[Connection] | None = None
        try:
            self._engine = dialect.open_engine(url)
            self._pool = dialect.open_pool()
        except dialect.errors as exc:
            raise dialect.translate(exc, url=url) from exc
        _open_now.add(self)

    @contextmanager
    def operation(self, *, begin: str | None = None) -> Generator[PostgresDriver]:
        """Lend a connection. What the body leaves open is rolled back, and a connection that was lost is replaced.

        Args:
            begin: What to run first. If it shows that the connection was lost before, another is taken.

        Raises:
            StoreError: What the database answered, translated.
        """
        driver = self._lend(begin)
        try:
            yield driver
        except BaseException as error:
            self._undo(driver, error)
            if isinstance(error, self.dialect.errors):
                raise self.dialect.translate(error, url=self.url) from error
            raise
        finally:
            self._give_back(driver)

    def drop_lost_connections(self) -> None:
        """Have the pool look which of its connections are still good, as after the server was restarted."""
        if self._pool is not None:
            self._pool.check()

    @contextmanager
    def write(self) -> Generator[Transaction]:
        """Run the body in a transaction while no operation runs, here or elsewhere. For migrations and upkeep.

        Raises:
            StoreError: What the database answered, translated.
        """
        with self.operation(begin=f"{BEGIN}; {_UNHURRIED}; {_ALONE}") as driver:
            transaction = _begun(self, driver)
            yield transaction
            transaction.commit()

    aside = write

    @contextmanager
    def migrating(self) -> Generator[None]:
        """Keep every other process from migrating during the body."""
        with self.operation(begin=f"{BEGIN}; {_UNHURRIED}; SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})") as driver:
            yield
            driver.rollback()

    def connect(self, *, first: str | None = None) -> Connection:
        """Make a connection of its own, which the caller closes.

        Args:
            first: What to run on it.

        Raises:
            StoreError: What the database answered, translated.
        """
        self._check_process()
        try:
            connection = self.dialect.connect_raw()
            if first is not None:
                connection.execute(first)
        except self.dialect.errors as exc:
            raise self.dialect.translate(exc, url=self.url) from exc
        return connection

    @contextmanager
    def read(self) -> Generator[Transaction]:
        """Run the body on one snapshot, while others write.

        Raises:
            StoreError: What the database answered, translated.
        """
        with self.operation(begin=BEGIN_READ) as driver:
            yield _begun(self, driver)
            driver.commit()

    def open_reader(self) -> Driver:
        """Give a connection of its own, not one of the pool: a query that is read slowly holds up nobody."""
        self._check_process()
        if self._engine is None:
            raise self.closed()
        driver = PostgresDriver(self.connect(), own=True)
        with self._connecting:
            self._readers.add(driver)
        return driver

    def reclaim_space(self) -> None:
        """Let the server use the space of removed rows again. It takes the time that it takes."""
        with self.operation() as driver:
            driver.script("SET statement_timeout = 0")
            try:
                self.dialect.reclaim_space(driver)
            finally:
                driver.script("RESET statement_timeout")

    def checkpoint(self) -> None:
        """Nothing: the server does that."""

    def close(self, *, untouched: bool = False) -> None:  # noqa: ARG002
        """Close every connection."""
        if os.getpid() != self._pid:
            return
        pool, self._pool = self._pool, None
        if pool is None:
            return
        self._close_readers()
        pool.close()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def abandon(self) -> None:
        """Leave the connections to the process that opened them; called in a forked child.

        Threads of the pool are gone here, and so may be the holders of its locks: it lives for ever.
        """
        for thing in (self._pool, self._engine, *self._readers):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))

    def _lend(self, begin: str | None) -> PostgresDriver:
        for is_last in (False, True):
            driver = PostgresDriver(self._taken())
            if begin is None:
                return driver
            try:
                driver.script(begin)
            except self.dialect.errors as exc:
                self._undo(driver, exc)
                self._give_back(driver)
                if is_last or not self.dialect.is_fatal(exc):
                    raise self.dialect.translate(exc, url=self.url) from exc
                self.drop_lost_connections()
            else:
                return driver
        raise AssertionError("the second try returns or raises")

    def _taken(self) -> Connection:
        self._check_process()
        pool = self._pool
        if pool is None:
            raise self.closed()
        try:
            return pool.getconn()
        except self.dialect.errors as exc:
            raise self.closed() if self._pool is None else self.dialect.translate(exc, url=self.url) from exc

    def _give_back(self, driver: PostgresDriver) -> None:
        """Give a connection to its pool. Of a pool that was closed meanwhile, it closes the connection."""
        if self._pool is not None:
            self._pool.putconn(driver.raw)
        else:
            driver.raw.close()

    def _undo(self, driver: PostgresDriver, error: BaseException) -> None:
        """Roll back. A connection where that fails is closed, and the pool replaces it."""
        try:
            if isinstance(error, LashError):
                driver.rollback()
            else:
                driver.reset()
        except self.dialect.errors as failure:
            error.add_note(f"the rollback failed too: {failure}")
            with suppress(*self.dialect.errors):
                driver.raw.close()


def _begun(database: Database, driver: Driver) -> Transaction:
    transaction = Transaction(database, driver)
    transaction.has_begun = True
    return transaction


_open_now: WeakSet[PooledDatabase] = WeakSet()


def _abandon_in_child() -> None:
    for database in _open_now:
        database.abandon()


os.register_at_fork(after_in_child=_abandon_in_child)
