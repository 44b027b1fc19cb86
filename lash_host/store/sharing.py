"""The databases this process has open: a file has one owner, so all handles of a process share it.

This is the store's only state outside objects. It mirrors a fact of the operating system, that files are owned by
processes, and nothing else could tell a second `open_store` of a file that the first is in this very process.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet

from lash_host.store.logged.engine import SharedLog

__all__ = ["release", "share"]


class _OpenStores:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.every: WeakSet[SharedLog] = WeakSet()
        self.by_path: dict[Path, SharedLog] = {}
        self.handles: dict[Path, int] = {}


_open = _OpenStores()


def share(path: Path | None, make: Callable[[], SharedLog]) -> SharedLog:
    """Give the store of ``path``, opened by ``make`` where no handle has it yet. One in memory is never shared."""
    with _open.lock:
        store = _open.by_path.get(path) if path is not None else None
        if store is None:
            store = make()
            _open.every.add(store)
        if path is not None:
            _open.by_path[path] = store
            _open.handles[path] = _open.handles.get(path, 0) + 1
        return store


def release(store: SharedLog) -> None:
    """Give one handle back; the last one closes the database."""
    path = store.database.url.path
    with _open.lock:
        if path is None:
            store.close()
        elif _open.by_path.get(path) is store:
            _open.handles[path] -= 1
            if not _open.handles[path]:
                del _open.by_path[path], _open.handles[path]
                store.close()


def _forget_in_child() -> None:
    for store in _open.every:
        store.abandon()
    _open.reset()


def _close_at_exit() -> None:
    """Let no thread be inside the database when the interpreter ends: Python would abort the process there."""
    for store in list(_open.every):
        store.database.close(untouched=True)


os.register_at_fork(after_in_child=_forget_in_child)
atexit.register(_close_at_exit)
