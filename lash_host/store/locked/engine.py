"""The engine where many processes share a database: each operation is a transaction on rows that it locks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

from lash_host.contracts.clock import SystemClock
from lash_host.errors import StoreUnreachable
from lash_host.store.attachment_bytes import AttachmentBytes
from lash_host.store.database import Database, Transaction
from lash_host.store.dialects import TransactionConflict
from lash_host.store.dialects.postgresql_driver import PostgresDriver
from lash_host.store.locked.bytes import DatabaseBytes
from lash_host.store.locked.listening import Listener
from lash_host.store.locked.statements import WORK_CHANNEL
from lash_host.store.locked.work import LockedWork
from lash_host.store.points import reached
from lash_host.store.pooled import PooledDatabase
from lash_host.store.surroundings import Surroundings
from lash_host.store.work import Engine, Work

__all__ = ["LockedEngine"]

T = TypeVar("T")

_TRIES = 4
_FIRST_PAUSE_S = 0.02
_LONGEST_S = 15.0
"""No try begins later than this after the first: a wait for a lock may take 10 s by itself."""


class _LostBeforeLandingError(Exception):
    """The connection was lost before anything was sent that could have landed."""

    def __init__(self, cause: StoreUnreachable) -> None:
        super().__init__(str(cause))
        self.cause = cause


class LockedEngine(Engine):
    """One handle on a database that others use too.

    The database's clock decides what has expired, unless the handle brings another clock than the system's.
    """

    def __init__(self, database: PooledDatabase, surroundings: Surroundings) -> None:
        self._database, self._surroundings = database, surroundings
        self._listener = Listener(partial(database.connect, first=f"LISTEN {WORK_CHANNEL}"))
        self._bytes = DatabaseBytes(database)
        self._asks_the_database = isinstance(surroundings.clock, SystemClock)

    @property
    def database(self) -> Database:
        """The database."""
        return self._database

    @property
    def attachment_bytes(self) -> AttachmentBytes:
        """Where the bytes of attachments are."""
        return self._bytes

    def run(self, operation: Callable[[Work], T]) -> T:
        """Run an operation; again when another transaction was in its way, or the connection had been lost.

        Raises:
            TransactionConflict: Others were in its way every time.
            StoreUnreachable: There is no connection, or it was lost while the changes were sent: they may have landed.
        """
        pause_s, give_up_at = _FIRST_PAUSE_S, time.monotonic() + _LONGEST_S
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._run(operation)
            except TransactionConflict:
                if not tries_left or time.monotonic() > give_up_at:
                    raise
                time.sleep(random.uniform(0, pause_s))  # noqa: S311 - it only keeps hosts apart
                pause_s *= 2
            except _LostBeforeLandingError as lost:
                if not tries_left:
                    raise lost.cause from None
                self._database.drop_lost_connections()
        raise AssertionError("the last try returns or raises")

    def read(self) -> AbstractContextManager[Transaction]:
        """Read on one snapshot."""
        return self._database.read()

    def fold(self, session_id: str | None = None) -> bool:  # noqa: ARG002
        """Nothing: the tables hold everything."""
        return True

    def exclusive(self) -> AbstractContextManager[Transaction]:
        """Change the tables while no operation runs, on any host."""
        return self._database.write()

    def wait_for_work(self, *, timeout_ms: int) -> bool:
        """Wait for an announcement by any process."""
        return self._listener.wait(timeout_ms)

    def close(self) -> None:
        """Close every connection."""
        self._listener.close()
        self._database.close()

    def _run(self, operation: Callable[[Work], T]) -> T:
        may_have_landed = False
        try:
            with self._database.operation() as driver:
                work = self._work(driver)
                answer = operation(work)
                reached("before_sync")
                may_have_landed = True
                work.land()
        except StoreUnreachable as lost:
            if may_have_landed:
                raise
            raise _LostBeforeLandingError(lost) from lost
        reached("after_sync")
        return answer

    def _work(self, driver: PostgresDriver) -> LockedWork:
        return LockedWork(
            driver,
            inserts=self._database.dialect.inserts,
            now_us=None if self._asks_the_database else self._surroundings.now_us(),
            new_token=self._surroundings.new_token,
            owner_is_dead=self._surroundings.owner_is_dead,
        )
