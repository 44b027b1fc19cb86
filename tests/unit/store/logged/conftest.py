"""Stores whose log is folded only when a test says so, and calls that are decided together."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.store.logged.engine import SharedLog
from lash_host.store.logged.memory import Memory
from lash_host.store.points import watch
from lash_host.store.schema import ROWS_SCHEMA, commit_log, metadata

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def _folded_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the idle moment away that has the log folded."""
    monkeypatch.setattr("lash_host.store.logged.folding._IDLE_S", 3_600.0)


@pytest.fixture
def log_of() -> Callable[[SessionStore], SharedLog]:
    return lambda store: store._engine._log


@pytest.fixture
def memory_of(log_of: Callable[[SessionStore], SharedLog]) -> Callable[[SessionStore], Memory]:
    return lambda store: log_of(store)._memory


@pytest.fixture
def fold() -> Callable[[SessionStore], None]:
    """Fold a store's log."""

    def fold(store: SessionStore) -> None:
        assert store._engine.fold()

    return fold


@pytest.fixture
def rows_in() -> Callable[..., Rows]:
    """Read every row of every table: all that was committed, or in schema `lash_tables` what is folded."""

    def read(store: SessionStore, schema: str = ROWS_SCHEMA) -> Rows:
        names = [table.name for table in metadata.sorted_tables if table is not commit_log]
        return {name: store.query(f"SELECT * FROM {schema}.{name} ORDER BY ALL").fetchall() for name in names}

    return read


@pytest.fixture
def entries_in() -> Callable[[SessionStore], int]:
    """Count the entries of the log."""
    return lambda store: store.query("SELECT count(*) FROM lash_rows.commit_log").fetchall()[0][0]


@pytest.fixture
def crash_copy(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a store's file, open as it is, with its write-ahead log: what a crash at this moment would leave."""

    def copy(path: Path) -> Path:
        folder = tmp_path / "crashed"
        folder.mkdir(exist_ok=True)
        target = folder / path.name
        for suffix in ("", ".wal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copyfile(f"{path}{suffix}", f"{target}{suffix}")
        return target

    return copy


@pytest.fixture
def together(log_of: Callable[[SessionStore], SharedLog]) -> Callable[..., list[Any]]:
    """Make calls in threads, in this order, so that all wait before the first is decided; give what came of each."""

    def run(store: SessionStore, *calls: Callable[[], object]) -> list[Any]:
        log = log_of(store)
        outcomes: list[Any] = [None] * len(calls)

        def make(number: int) -> None:
            try:
                outcomes[number] = calls[number]()
            except Exception as error:  # noqa: BLE001 - it is what is asked for
                outcomes[number] = error

        threads = [threading.Thread(target=make, args=(number,)) for number in range(len(calls))]
        with log._deciding:
            for number, thread in enumerate(threads):
                thread.start()
                while len(log._waiting) <= number:
                    os.sched_yield()
        for thread in threads:
            thread.join()
        return outcomes

    return run


@pytest.fixture
def at_point() -> Iterator[Callable[[str, Callable[[], None]], None]]:
    """Have something done when a named point is reached for the first time."""

    def at(point: str, action: Callable[[], None]) -> None:
        def told(reached: str) -> None:
            if reached == point:
                watch(None)
                action()

        watch(told)

    yield at
    watch(None)
