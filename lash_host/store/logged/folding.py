"""Folding the log into the tables, beside the writer."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple
from weakref import WeakMethod

from sqlalchemy import bindparam, delete, func, select

from lash_host.errors import StoreError
from lash_host.store.database import Database, Transaction
from lash_host.store.logged.entries import Entry, StateChange, read_log
from lash_host.store.logged.sql import ADDED_TABLES, LOGGED_STATE, fold_added
from lash_host.store.points import reached
from lash_host.store.schema import SCHEMA, column_names, commit_log, commit_log_next
from lash_host.store.state import Row, StateTable

__all__ = ["Folder"]

_log = logging.getLogger(__name__)

_ENTRIES = 1024
"""So many entries are folded at once: more would make memory and recovery larger, fewer cost more a commit. A thousand
turns are more nodes than a group of rows has, and what fills groups is written once."""

_CHARACTERS = 10 << 20
"""So much text of entries is, too."""

_IDLE_S = 30.0
_RETRY_S = 5.0

_LOGS = (commit_log, commit_log_next)
_EMPTY_UP_TO = [delete(log).where(log.c.entry_key <= bindparam("last_key")) for log in _LOGS]
_COUNTS_UP_TO = [
    select(func.count(log.c.entry_key.distinct())).where(log.c.entry_key <= bindparam("last_key")) for log in _LOGS
]
_LASTS = [select(func.max(log.c.entry_key)) for log in _LOGS]


class _Noted(NamedTuple):
    """What is kept of an entry. What it adds to tables is in the log alone."""

    key: int
    session_id: str
    changes: list[StateChange]
    size: int

    @classmethod
    def of(cls, key: int, entry: Entry) -> _Noted:
        return cls(key, entry.session_id, entry.changes, entry.size)


class Folder:
    """Folds when enough has come together, when nothing has come for a while, and when it is told to.

    State that is to be folded is remembered since it was written; the log itself is read when the store is opened, and
    when an error leaves open what is in it. A fold is one transaction that also empties the log as far as it folded it:
    a crash leaves all of it done, or none.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.folding = threading.RLock()
        """Held during a fold; whoever holds it has the tables to itself but for the log and the blobs."""
        self._noted = threading.Condition()
        self._entries: deque[_Noted] = deque()
        self._latest: dict[str, int] = {}
        self._characters = 0
        self._due: int | None = None
        """The last entry of a log that is long enough to be folded. What came after it is in the other log."""
        self.log = commit_log
        """The log to write to. It changes when entries are noted, never between a write and its note."""
        self.is_in_doubt = False
        """Whether the log may hold what was never noted: a write of it failed, which may have landed all the same."""
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def read_again(self) -> int:
        """Remember what is in the log, and nothing else; give its greatest key, or 0. Nobody may write meanwhile.

        Raises:
            StoreError: The log cannot be read.
        """
        with self.folding:
            with self._database.read() as transaction:
                is_empty = all(transaction.row(last) == (None,) for last in _LASTS)
                entries = [] if is_empty else [_Noted.of(*entry) for entry in read_log(transaction)]
            with self._noted:
                self._entries = deque(entries)
                self._characters = sum(one.size for one in entries)
                self._latest = {one.session_id: one.key for one in entries}
                self._due = None
                self.is_in_doubt = False
            return entries[-1].key if entries else 0

    def note(self, entries: Iterable[tuple[int, Entry]]) -> None:
        """Take note of entries that were written."""
        with self._noted:
            was = len(self._entries)
            for entry in entries:
                one = _Noted.of(*entry)
                self._entries.append(one)
                self._characters += one.size
                self._latest[one.session_id] = one.key
            if self._due is None and (len(self._entries) >= _ENTRIES or self._characters >= _CHARACTERS):
                self._due = self._entries[-1].key
                self.log = commit_log_next if self.log is commit_log else commit_log
            if self._thread is None and not self._is_closed:
                self._start()
            elif was == 0 or self._due is not None:
                self._noted.notify()

    def is_folded(self, session_id: str | None = None) -> bool:
        """Whether the tables hold all that was written, of one session or of all."""
        if self.is_in_doubt:
            return False
        return session_id not in self._latest if session_id is not None else not self._entries

    def unfolded(self) -> frozenset[str]:
        """Give the sessions of which the tables may lack something; a transaction begun after this has all others."""
        with self._noted:
            return frozenset(self._latest)

    def fold(self, *, due_only: bool = False) -> None:
        """Fold all that was written before the call. It goes into the database file when its log has grown long.

        Args:
            due_only: Where a log is long enough, fold that one, and not what is written beside it.

        Raises:
            StoreError: The database cannot be written; what was committed is in the log as before.
        """
        with self.folding:
            with self._noted:
                last = self._due if due_only and self._due is not None else None
                entries = [one for one in self._entries if last is None or one.key <= last]
            if not entries:
                return
            with self._database.aside() as transaction:
                _fold(transaction, entries)
                reached("in_fold")
            reached("after_fold")
            with self._noted:
                for one in entries:
                    self._entries.popleft()
                    self._characters -= one.size
                last = entries[-1].key
                if self._due is not None and self._due <= last:
                    self._due = None
                for session_id in {one.session_id for one in entries}:
                    if self._latest.get(session_id, last + 1) <= last:
                        del self._latest[session_id]

    def close(self) -> None:
        """Stop folding in the background. Closing twice is no error."""
        with self._noted:
            self._is_closed = True
            self._noted.notify()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def abandon(self) -> None:
        """Leave everything to the process that has the thread; called in a forked child, which may have its locks."""
        self._noted, self.folding = threading.Condition(), threading.RLock()
        self._entries, self._latest, self._due = deque(), {}, None
        self._thread, self._is_closed = None, True

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="lash-fold", daemon=True)
        self._thread.start()
        close = WeakMethod(self.close)
        atexit.register(lambda: (found := close()) and found())

    def _run(self) -> None:
        while self._wait():
            try:
                self.fold(due_only=True)
            except StoreError as exc:
                _log.warning("the log of %s could not be folded: %s", self._database.url.text, exc)
                with self._noted:
                    self._noted.wait_for(lambda: self._is_closed, _RETRY_S)

    def _wait(self) -> bool:
        """Wait until there is something to fold; False when there never will be again."""
        with self._noted:
            self._noted.wait_for(lambda: self._entries or self._is_closed)
            while not self._is_closed and self._due is None:
                before = len(self._entries)
                self._noted.wait_for(lambda: self._is_closed or self._due is not None, _IDLE_S)
                if len(self._entries) == before:
                    break
            return not self._is_closed


def _fold(transaction: Transaction, entries: Sequence[_Noted]) -> None:
    """Fold entries as far as the log has them: a fold that failed may have landed all the same."""
    last_key = entries[-1].key
    up_to = {"last_key": last_key}
    if sum(transaction.rows(count, up_to)[0][0] for count in _COUNTS_UP_TO) != len(entries):
        entries = [_Noted.of(*entry) for entry in read_log(transaction) if entry[0] <= last_key]
    for table in ADDED_TABLES.values():
        transaction.driver_rows(fold_added(table), [last_key])
    for state in LOGGED_STATE:
        latest: dict[tuple[Any, ...], Row | None] = {}
        for one in entries:
            for change in one.changes:
                if change.state is state:
                    latest[change.session_key, *change.key] = change.row
        if latest:
            _write_state(transaction, state, latest)
    for empty in _EMPTY_UP_TO:
        transaction.rows(empty, up_to)


def _write_state(transaction: Transaction, state: StateTable, latest: dict[tuple[Any, ...], Row | None]) -> None:
    transaction.driver_rows(_delete_keys(state), [list(column) for column in zip(*latest, strict=True)])
    names = column_names(state.table)
    transaction.insert(state.table, [tuple(row[name] for name in names) for row in latest.values() if row is not None])


@cache
def _delete_keys(state: StateTable) -> str:
    key = ("session_key", *state.key)
    wanted = ", ".join(f"unnest(${n}) AS {name}" for n, name in enumerate(key, start=1))
    same = " AND ".join(f"t.{name} = w.{name}" for name in key)
    return f"DELETE FROM {SCHEMA}.{state.table.name} AS t USING (SELECT {wanted}) AS w WHERE {same}"
