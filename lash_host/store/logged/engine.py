"""The engine where one process owns the database: operations that wait are decided together and synced once."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import func, select

from lash_host.errors import StoreError, StoreUnwritable
from lash_host.store.attachment_bytes import AttachmentBytes, FileBytes, MemoryBytes, attachments_folder
from lash_host.store.database import Database, Transaction
from lash_host.store.head import Head
from lash_host.store.keys import KeySequence
from lash_host.store.logged.entries import Entry, LogTexts
from lash_host.store.logged.folding import Folder
from lash_host.store.logged.memory import Memory
from lash_host.store.logged.work import Deferred, LoggedWork
from lash_host.store.points import reached
from lash_host.store.schema import blobs, rows_of, sessions
from lash_host.store.surroundings import Surroundings
from lash_host.store.work import Engine, Work

__all__ = ["LoggedEngine", "SharedLog"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_AT_ONCE = 128
_LOOK_AGAIN_S = 0.05
_LAST_FOLDED_SESSION = select(func.max(sessions.c.session_key))
_LAST_SESSION = select(func.max(rows_of(sessions).c.session_key))


class _Request(Generic[T]):
    """An operation that somebody waits for."""

    __slots__ = ("_answer", "_failure", "_sleeping", "is_done", "operation", "surroundings")

    def __init__(self, operation: Callable[[Work], T], surroundings: Surroundings) -> None:
        self.operation, self.surroundings = operation, surroundings
        self.is_done = False
        self._answer: T | None = None
        self._failure: BaseException | None = None
        self._sleeping = threading.Lock()
        self._sleeping.acquire()

    def succeed(self, answer: T) -> None:
        self._answer, self.is_done = answer, True
        self.wake()

    def fail(self, failure: BaseException) -> None:
        self._failure, self.is_done = failure, True
        self.wake()

    def sleep(self) -> None:
        """Wait to be woken; a wake that an interrupt swallowed is made up for."""
        self._sleeping.acquire(timeout=_LOOK_AGAIN_S)

    def wake(self) -> None:
        """Have whoever waits look: there is an answer, or it is their turn to write."""
        with suppress(RuntimeError):  # nobody has slept since the last time
            self._sleeping.release()

    def result(self) -> T:
        if self._failure is not None:
            raise self._failure
        return cast("T", self._answer)


@dataclass(frozen=True, slots=True)
class _Decided:
    request: _Request[Any]
    work: LoggedWork
    answer: object
    entry: Entry | None
    texts: list[LogTexts]


class SharedLog:
    """What all handles of a process share of one database: memory, the log, its folding.

    Callers queue what they want and take turns at being the one who writes; that one decides everything that waits,
    writes it with one statement and one sync, and the others find theirs done.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._memory = Memory()
        self._folder = Folder(database)
        self._waiting: deque[_Request[Any]] = deque()
        self._deciding = threading.Lock()
        self._announced = threading.Condition()
        self._announcements = 0
        self._is_sure = True
        """Whether memory is as the last write left it, and those who waited for that write were told."""
        path = database.url.path
        self.attachment_bytes: AttachmentBytes = MemoryBytes() if path is None else FileBytes(attachments_folder(path))
        self._entry_keys = KeySequence(self._folder.read_again())
        last_session = _LAST_FOLDED_SESSION if self.fold(None) else _LAST_SESSION
        with database.read() as transaction:
            last = transaction.row(last_session)
        self._session_keys = KeySequence(last[0] if last is not None and last[0] is not None else 0)

    def run(self, operation: Callable[[Work], T], surroundings: Surroundings) -> T:
        """Run an operation; see `Engine.run`."""
        request = _Request(operation, surroundings)
        self._waiting.append(request)
        try:
            while not request.is_done:
                if self._deciding.locked():
                    request.sleep()
                    continue
                with self._deciding:
                    if request in self._waiting:
                        self._serve()
                    elif not request.is_done:
                        raise _interrupted()  # noqa: TRY301 - what follows is for every way out
                self._wake_next()
        except BaseException:
            request.is_done = True
            raise
        return request.result()

    def _wake_next(self) -> None:
        """Have the first that waits write, for itself and all behind it. Who was answered needs no turn."""
        with suppress(IndexError):
            self._waiting[0].wake()

    def fold(self, session_id: str | None) -> bool:
        """Fold the log where it holds something of a session; see `Engine.fold`."""
        if self._folder.is_folded(session_id):
            return True
        if self._folder.is_in_doubt:
            with self._deciding:
                self._be_sure()
        return self._fold()

    def _fold(self) -> bool:
        try:
            self._folder.fold()
        except StoreUnwritable as exc:
            _log.warning("the log of %s could not be folded: %s", self.database.url.text, exc)
            return False
        return True

    @contextmanager
    def exclusive(self, surroundings: Surroundings) -> Generator[Transaction]:
        """Keep operations and folds away; see `Engine.exclusive`."""
        with self._deciding, self._folder.folding:
            self._be_sure()
            self._folder.fold()
            try:
                with self.database.write() as transaction:
                    yield transaction
            finally:
                self._memory.forget_all(now_ms=surroundings.now_us() // 1000)
        self._wake_next()

    def wait_for_work(self, timeout_ms: int) -> bool:
        """Wait for an announcement; see `Engine.wait_for_work`."""
        with self._announced:
            before = self._announcements
            return self._announced.wait_for(lambda: self._announcements != before, timeout_ms / 1000)

    def close(self) -> None:
        """Fold what is left, then close the database."""
        self._folder.close()
        try:
            with self._deciding:
                self._be_sure()
                self._fold()
        finally:
            self.database.close()

    def abandon(self) -> None:
        """Leave everything to the process that opened it; called in a forked child."""
        self._deciding, self._announced = threading.Lock(), threading.Condition()
        self._waiting.clear()
        self._folder.abandon()
        self.database.abandon()

    def _serve(self) -> None:
        """Decide what waits, write it, answer. Interrupts may come between any two steps."""
        batch: list[_Request[Any]] = []
        decided: list[_Decided] = []
        try:
            while self._waiting and len(batch) < _MOST_AT_ONCE:
                batch.append(self._waiting[0])
                self._waiting.popleft()
            self._be_sure()
            self._is_sure = False
            with self.database.write() as transaction:
                decided = self._decide(batch, transaction)
                written = self._write(decided, transaction)
            self._landed(decided, written)
            self._is_sure = True
        except BaseException as failure:
            self._failed(batch, decided, failure)
            if not isinstance(failure, StoreError):
                raise

    def _decide(self, batch: list[_Request[Any]], transaction: Transaction) -> list[_Decided]:
        """Run what waits; what is about a session that another of them is about goes back to the head of the queue."""
        decided: list[_Decided] = []
        deferred: list[_Request[Any]] = []
        busy: set[str] = set()
        unfolded = self._folder.unfolded()
        for request in batch:
            if request.is_done:
                continue
            work = LoggedWork(
                memory=self._memory,
                transaction=transaction,
                surroundings=request.surroundings,
                session_keys=self._session_keys,
                busy=busy,
                unfolded=unfolded,
            )
            try:
                answer = request.operation(work)
                entry = work.entry()
                texts = [] if entry is None else entry.texts()
            except Deferred:
                deferred.append(request)
            except self.database.dialect.errors:
                raise
            except Exception as failure:  # noqa: BLE001 - it is the caller's own, and is raised there
                request.fail(failure)
            else:
                one = _Decided(request, work, answer, entry, texts)
                if entry is None and not work.blobs:
                    self._answer(one)
                else:
                    decided.append(one)
                    busy |= work.touched
        self._waiting.extendleft(reversed(deferred))
        batch[:] = [request for request in batch if request not in deferred]
        return decided

    def _write(self, decided: list[_Decided], transaction: Transaction) -> list[tuple[int, Entry]]:
        entries = [(one.entry, one.texts) for one in decided if one.entry is not None]
        bodies = {ref: row for one in decided for ref, row in one.work.blobs.items()}
        if bodies:
            transaction.insert(blobs, list(bodies.values()), ignore_existing=True)
        if not entries:
            return []
        keys = self._entry_keys.take(len(entries), now_us=decided[0].work.now_us)
        rows = [(key, *texts) for key, (_, its) in zip(keys, entries, strict=True) for texts in its]
        reached("before_sync")
        transaction.insert(self._folder.log, rows, alone=not transaction.has_begun)
        return [(key, entry) for key, (entry, _) in zip(keys, entries, strict=True)]

    def _landed(self, decided: list[_Decided], written: list[tuple[int, Entry]]) -> None:
        if written:
            reached("after_sync")
            self._folder.note(written)
        for one in decided:
            self._answer(one)

    def _answer(self, one: _Decided) -> None:
        one.work.apply()
        one.request.succeed(one.answer)
        if one.work.announces:
            with self._announced:
                self._announcements += 1
                self._announced.notify_all()

    def _failed(self, batch: list[_Request[Any]], decided: list[_Decided], failure: BaseException) -> None:
        """Tell everybody, and have read again what may have been written."""
        if decided:
            self._folder.is_in_doubt = True
        told = failure if isinstance(failure, Exception) else _interrupted()
        for request in batch:
            if not request.is_done:
                request.fail(told)
        self._is_sure = True

    def _be_sure(self) -> None:
        """Read again what nobody knows for certain any more, before anything is decided."""
        if not self._is_sure:
            self._folder.is_in_doubt = True
        if self._folder.is_in_doubt:
            self._memory.forget_all(now_ms=0)
            self._folder.read_again()


def _interrupted() -> StoreError:
    return StoreError("the writer was interrupted: outcome unknown")


class LoggedEngine(Engine):
    """One handle on a shared log, with the clock and the proof of death of its own."""

    def __init__(self, log: SharedLog, surroundings: Surroundings, release: Callable[[], None]) -> None:
        self._log, self._surroundings, self._release = log, surroundings, release

    @property
    def database(self) -> Database:
        """The database."""
        return self._log.database

    @property
    def attachment_bytes(self) -> AttachmentBytes:
        """Where the bytes of attachments are."""
        return self._log.attachment_bytes

    def run(self, operation: Callable[[Work], T]) -> T:
        """Run an operation."""
        return self._log.run(operation, self._surroundings)

    def peek(self, session_id: str) -> Head | None:
        """Give a session's head, from memory where it is remembered."""
        return self.run(lambda work: work.head(session_id))

    def read(self) -> AbstractContextManager[Transaction]:
        """Read on one snapshot."""
        return self._log.database.read()

    def fold(self, session_id: str | None = None) -> bool:
        """Fold the log where that is needed."""
        return self._log.fold(session_id)

    def exclusive(self) -> AbstractContextManager[Transaction]:
        """Change the tables directly."""
        return self._log.exclusive(self._surroundings)

    def wait_for_work(self, *, timeout_ms: int) -> bool:
        """Wait for an announcement."""
        return self._log.wait_for_work(timeout_ms)

    def close(self) -> None:
        """Give this handle back; the last one closes the database."""
        self._release()
