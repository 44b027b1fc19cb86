"""Folding the log into the tables, beside the writer."""

from __future__ import annotations

import atexit
import logging
import threading
from weakref import WeakMethod

from sqlalchemy import literal_column, select

from lash_host.errors import StoreError
from lash_host.store.database import Database
from lash_host.store.logged.sql import fold_statements
from lash_host.store.points import reached
from lash_host.store.schema import commit_log

__all__ = ["Folder"]

_log = logging.getLogger(__name__)

_ANYTHING = select(commit_log.c.entry_key).limit(literal_column("1"))

_ENTRIES = 256
"""So many entries are folded at once: more would make reads slower, fewer cost more a commit."""

_IDLE_S = 0.5
_RETRY_S = 5.0


class Folder:
    """Folds when enough has come together, when nothing has come for a while, and when it is told to.

    A fold reads the log as its transaction sees it, and deletes just that. What is written meanwhile is for the next
    one; a crash anywhere leaves either all of it or none of it done.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = tuple(fold_statements())
        self.folding = threading.RLock()
        """Held during a fold; whoever holds it has the tables to itself but for the log and the blobs."""
        self._waiting = 0
        self._noted = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def note(self, entries: int) -> None:
        """Take note of entries that were written."""
        with self._noted:
            was, self._waiting = self._waiting, self._waiting + entries
            if self._thread is None and not self._is_closed:
                self._start()
            elif was == 0 or self._waiting >= _ENTRIES:
                self._noted.notify()

    def fold(self) -> None:
        """Fold all that was committed before the call.

        Raises:
            StoreError: The database cannot be written; what was committed is in the log as before.
        """
        with self.folding:
            with self._noted:
                self._waiting = 0
            with self._database.aside() as transaction:
                if transaction.row(_ANYTHING) is None:
                    return
                for statement in self._statements:
                    transaction.script(statement)
                reached("in_fold")
            reached("after_fold")

    def close(self) -> None:
        """Stop folding in the background. Closing twice is no error."""
        with self._noted:
            self._is_closed = True
            self._noted.notify()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="lash-fold", daemon=True)
        self._thread.start()
        close = WeakMethod(self.close)
        atexit.register(lambda: (found := close()) and found())

    def _run(self) -> None:
        while self._wait():
            try:
                self.fold()
            except StoreError as exc:
                _log.warning("the log of %s could not be folded: %s", self._database.url.text, exc)
                with self._noted:
                    self._waiting += 1
                    self._noted.wait_for(lambda: self._is_closed, _RETRY_S)

    def _wait(self) -> bool:
        """Wait until there is something to fold; False when there never will be again."""
        with self._noted:
            self._noted.wait_for(lambda: self._waiting or self._is_closed)
            while not self._is_closed and self._waiting < _ENTRIES:
                before = self._waiting
                self._noted.wait_for(lambda: self._is_closed or self._waiting >= _ENTRIES, _IDLE_S)
                if self._waiting == before:
                    break
            return not self._is_closed
