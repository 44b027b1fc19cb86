"""Waiting for work that any process announces."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import psycopg

from lash_host.store.dialects.postgresql_driver import Connection

__all__ = ["Listener"]

_LOOK_UP_S = 0.25
"""How often whoever listens looks whether the store was closed."""


class Listener:
    """One connection that listens, for all threads that wait.

    One of those who wait listens for the others, so that it takes no thread of its own. A thread that waits for the
    first time is told at once: what was announced before it listened, it may have missed.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """Make a connection that listens with ``connect``, once somebody waits."""
        self._connect = connect
        self._connection: Connection | None = None
        self._changed = threading.Condition()
        self._announcements = 1
        self._somebody_listens = False
        self._is_closed = False
        self._seen = threading.local()

    def wait(self, timeout_ms: int) -> bool:
        """Wait for an announcement since this thread last waited; False when the time is up, or it was closed."""
        deadline = monotonic() + timeout_ms / 1000
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_new() or not self._somebody_listens, deadline - monotonic())
                if self._is_new():
                    return self._note()
                if self._is_closed or self._somebody_listens or monotonic() >= deadline:
                    return False
                self._somebody_listens = True
            heard = False
            try:
                heard = self._listen(deadline)
            finally:
                with self._changed:
                    self._somebody_listens = False
                    self._announcements += heard
                    self._changed.notify_all()

    def close(self) -> None:
        """Stop listening. Those who wait are told that nothing came."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: not self._somebody_listens)
            if self._connection is not None:
                self._connection.close()

    def _is_new(self) -> bool:
        return getattr(self._seen, "last", 0) < self._announcements and self._connection is not None

    def _note(self) -> bool:
        self._seen.last = self._announcements
        return True

    def _listen(self, deadline: float) -> bool:
        """Listen until something comes, the time is up or the store is closed. A lost connection is made anew."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
            return True
        try:
            while not self._is_closed and (left := deadline - monotonic()) > 0:
                for _ in self._connection.notifies(timeout=min(left, _LOOK_UP_S), stop_after=1):
                    return True
        except psycopg.OperationalError:
            with suppress(psycopg.Error):
                self._connection.close()
        return False
