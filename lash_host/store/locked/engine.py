"""The engine where many processes share a database: each operation is a transaction on rows that it locks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from lash_host.contracts.clock import SystemClock
from lash_host.store.attachment_bytes import AttachmentBytes
from lash_host.store.database import Database, Transaction
from lash_host.store.dialects import TransactionConflict
from lash_host.store.locked.bytes import DatabaseBytes
from lash_host.store.locked.listening import Listener
from lash_host.store.locked.work import LockedWork
from lash_host.store.points import reached
from lash_host.store.pooled import PooledDatabase
from lash_host.store.surroundings import Surroundings
from lash_host.store.work import Engine, Work

__all__ = ["LockedEngine"]

T = TypeVar("T")

_TRIES = 4
_FIRST_PAUSE_S = 0.02


class LockedEngine(Engine):
    """One handle on a database that others use too.

    The database's clock decides what has expired, unless the handle brings another clock than the system's.
    """

    def __init__(self, database: PooledDatabase, surroundings: Surroundings) -> None:
        self._database, self._surroundings = database, surroundings
        self._listener = Listener(database.connect)
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
        """Run an operation; again, after a pause, when another transaction was in its way.

        Raises:
            TransactionConflict: Others were in its way every time.
        """
        pause_s = _FIRST_PAUSE_S
        for _ in range(_TRIES - 1):
            try:
                return self._run(operation)
            except TransactionConflict:
                time.sleep(random.uniform(0, pause_s))  # noqa: S311 - it only keeps hosts apart
                pause_s *= 2
        return self._run(operation)

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
        with self._database.operation() as driver:
            work = LockedWork(
                driver,
                inserts=self._database.dialect.inserts,
                now_us=None if self._asks_the_database else self._surroundings.now_us(),
                new_token=self._surroundings.new_token,
                owner_is_dead=self._surroundings.owner_is_dead,
            )
            answer = operation(work)
            reached("before_sync")
            work.land()
        reached("after_sync")
        return answer
