"""The processes that are killed: ``python -m crashing.worker`` makes one for each order that it reads, and kills it.

Programs take seconds to start where everything is busy, so the one that reads orders imports what is needed once and
forks. It has no database open and one thread, so that what it forks is like a process that was just started.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from crashing.keeper import Keeper
from crashing.kept import Kept
from crashing.model import Expected
from crashing.writer import Notes, Writer
from lash_host.store import open_store, sql_store  # noqa: F401 - imports the database now
from lash_host.store.backing_up import back_up_store
from lash_host.store.dialects import duckdb as dialect
from lash_host.store.logged import folding
from lash_host.store.points import watch
from lash_host.usage.views import builtin_views

__all__: list[str] = []

_GIVE_UP_S = 60.0
_LOOK_EVERY_S = 0.001


def main() -> None:
    """Take orders: for each a process that writes until it is killed; answer with its status."""
    for line in sys.stdin:
        orders = json.loads(line)
        writer = os.fork()
        if writer == 0:
            (_back_up if "backup" in orders else _write_for_ever)(orders)
        sys.stdout.write(f"{_kill_in_time(writer, orders)}\n")
        sys.stdout.flush()


def _kill_in_time(writer: int, orders: dict[str, Any]) -> int:
    """Wait until a writer dies, or kill it when its time has come."""
    counts_from = time.monotonic()
    if orders["after_first_answer"]:
        while time.monotonic() < counts_from + _GIVE_UP_S and not os.path.getsize(orders["notes"]):  # noqa: PTH202
            if (status := _ended(writer)) is not None:
                return status
            time.sleep(_LOOK_EVERY_S)
        counts_from = time.monotonic()
    while time.monotonic() < counts_from + orders["after_s"]:
        if (status := _ended(writer)) is not None:
            return status
        time.sleep(_LOOK_EVERY_S)
    os.kill(writer, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1])


def _ended(writer: int) -> int | None:
    pid, status = os.waitpid(writer, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _write_for_ever(orders: dict[str, Any]) -> None:
    """Open the store and write with several threads. Whatever goes wrong ends the process as no kill does."""
    try:
        folding._ENTRIES = orders["fold_entries"]
        dialect._CHECKPOINT_AFTER_BYTES = orders["checkpoint_after_bytes"]
        notes = Notes(orders["notes"])
        kept = (
            Kept.load(orders["kept"]) if "kept" in orders else Kept(old=[], expected=Expected.load(orders["expected"]))
        )
        if orders["point"] is not None:
            watch(_Killer(orders["point"], orders["nth"], orders["delay_s"], notes).reached)
        store = open_store(orders["url"])
        if not kept.old:
            store.install_views(builtin_views())
        writers = [
            Writer(store, session_ids, expected=kept.expected, notes=notes, seed=orders["seed"])
            for session_ids in orders["sessions"]
        ]
        steps = [writer.step for writer in writers]
        if kept.old:
            upkeep = {"notes": notes, "seed": orders["seed"], "first": orders["first_upkeep"]}
            steps.append(Keeper(store, orders["url"], kept=kept, **upkeep).step)
        threads = [threading.Thread(target=_run, args=(step,), daemon=True) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        _end()


def _back_up(orders: dict[str, Any]) -> None:
    """Back a store up, and end well if nothing kills the process on the way."""
    try:
        notes = Notes(orders["notes"])
        if orders["point"] is not None:
            watch(_Killer(orders["point"], orders["nth"], orders["delay_s"], notes).reached)
        back_up_store(orders["url"], orders["backup"])
        os._exit(0)
    finally:
        _end()


def _run(step: Callable[[], None]) -> None:
    try:
        while True:
            step()
    finally:
        _end()


def _end() -> None:
    sys.excepthook(*sys.exc_info())
    os._exit(3)


class _Killer:
    """Kills its process when it comes by a point for the nth time, or a while later."""

    def __init__(self, point: str, nth: int, delay_s: float, notes: Notes) -> None:
        self._point, self._nth, self._delay_s, self._notes = point, nth, delay_s, notes
        self._seen = Counter[str]()

    def reached(self, point: str) -> None:
        self._seen[point] += 1
        if point == self._point and self._seen[point] == self._nth:
            self._notes.write({"killed_at": point})
            if self._delay_s:
                threading.Thread(target=self._kill, daemon=True).start()
            else:
                self._kill()

    def _kill(self) -> None:
        time.sleep(self._delay_s)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
