"""The databases this process has open: a file has one owner, so all handles of a process share it.

This is the store's only state outside objects. It mirrors a fact of the operating system, that files are owned by
processes, and nothing else could tell a second `open_store` of a file that the first is in this very process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet

from lash_host.store.database import Database
from lash_host.store.heads import Heads
from lash_host.store.keys import KeySequence
from lash_host.store.known_ids import KnownIds

__all__ = ["SharedStore", "release", "share"]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class SharedStore:
    """What all handles of a process share of one open store."""

    database: Database
    heads: Heads
    ids: KnownIds
    keys: KeySequence


class _OpenStores:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.every: WeakSet[SharedStore] = WeakSet()
        self.by_path: dict[Path, SharedStore] = {}
        self.handles: dict[Path, int] = {}


_open = _OpenStores()


def share(path: Path | None, make: Callable[[], SharedStore]) -> SharedStore:
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


def release(store: SharedStore) -> None:
    """Give one handle back; the last one closes the database."""
    path = store.database.url.path
    with _open.lock:
        if path is None:
            store.database.close()
        elif _open.by_path.get(path) is store:
            _open.handles[path] -= 1
            if not _open.handles[path]:
                del _open.by_path[path], _open.handles[path]
                store.database.close()


def _forget_in_child() -> None:
    for store in _open.every:
        store.database.abandon()
    _open.reset()


os.register_at_fork(after_in_child=_forget_in_child)
