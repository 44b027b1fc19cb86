"""Opening a store and loading a session of it, short and long, and all of a session beside openai-agents.

Every figure is of a process of its own in which everything is imported before the clock starts. Cold: the system was
told to forget the file's pages, which needs no rights; what the disk itself remembers is out of reach.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import openai_agents_sessions
from bench.cells import Cases, Cell, measure, median_of, serve
from bench.filled_stores import Filling, fill
from bench.lash_commits import EVENTS, Session
from bench.tables import milliseconds, print_table, ratio
from bench.texts import texts
from lash_host.contracts.store import ReadScope
from lash_host.store import open_store

FRAME_EVENTS = 200
FULL_EVENTS = 10_000
_EVENTS_BEFORE_A_COMPACTION = 2_000


def frame(path: str, session_id: str, *, cold: bool) -> dict[str, float]:
    """Open the store and load the current frame."""
    _import_all()
    if cold:
        _forget(Path(path))
    started = time.perf_counter()
    store = open_store(Path(path))
    opened = time.perf_counter()
    loaded = store.load_session(session_id, scope=ReadScope.CURRENT_FRAME)
    done = time.perf_counter()
    assert loaded is not None
    assert len(loaded.graph) == FRAME_EVENTS
    store.close()
    return {"open": opened - started, "load": done - opened, "all": done - started}


def graph(_: Path, path: str) -> dict[str, float]:
    """Open the store, load the full graph, read every message of it."""
    _import_all()
    started = time.perf_counter()
    store = open_store(Path(path))
    opened = time.perf_counter()
    loaded = store.load_session("s", scope=ReadScope.FULL_GRAPH)
    done = time.perf_counter()
    assert loaded is not None
    messages = [node.message for node in loaded.graph.nodes]
    read = time.perf_counter()
    assert len(messages) == FULL_EVENTS
    store.close()
    return {"open": opened - started, "load": done - opened, "all": done - started, "read": read - started}


def openai_agents(folder: Path, path: str) -> dict[str, float]:
    """Open a SQLiteSession, get all its items."""
    openai_agents_sessions.SQLite(folder / "other.db").close()
    started = time.perf_counter()
    session = openai_agents_sessions.SQLite(Path(path))
    opened = time.perf_counter()
    items = session.load()
    done = time.perf_counter()
    assert len(items) == FULL_EVENTS
    session.close()
    return {"open": opened - started, "load": done - opened, "all": done - started, "read": done - started}


def _import_all() -> None:
    """Import what opening and loading do. No file of DuckDB's is opened before the one that is timed."""
    store = open_store("duckdb:///:memory:")
    store.load_session("none")
    store.close()


def _forget(path: Path) -> None:
    """Have the system forget what it holds of a file that this process has not opened yet."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


CASES: Cases = {
    "warm": lambda _, path, session_id: frame(path, session_id, cold=False),
    "cold": lambda _, path, session_id: frame(path, session_id, cold=True),
    "graph": graph,
    "openai_agents": openai_agents,
}


def main(*, quick: bool = False) -> None:
    """Print both tables."""
    rounds, long = (1, 20_000) if quick else (11, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="lash-bench-") as place:
        folder = Path(place)
        paths = {events: _with_a_session_of(events, folder) for events in (10_000, long)}
        found = measure(_frame_cells(paths), rounds=rounds)
        print_table(
            f"Opening a store and loading the current frame, {FRAME_EVENTS} events of 2 KiB, {rounds} rounds",
            ["", "opening ms", "loading ms", "both ms"],
            [_row(name, one) for name, one in found.items()],
            note=f"Files of {' and '.join(f'{path.stat().st_size / 1e6:,.0f}' for path in paths.values())} MB;"
            f" {_EVENTS_BEFORE_A_COMPACTION:,} events between compactions. {_compared(found, long)}",
        )
        found = measure(_graph_cells(folder, quick=quick), rounds=rounds)
    print_table(
        f"All of a session of {FULL_EVENTS:,} events of 2 KiB, {rounds} rounds",
        ["", "opening ms", "loading ms", "both ms", "every message read ms"],
        [(*_row(name, one), milliseconds(median_of(one, "read"))) for name, one in found.items()],
    )


def _with_a_session_of(events: int, folder: Path) -> Path:
    """Make a store with a session of so many events whose current frame, committed as ever, holds the last ones."""
    path = folder / f"{events}.duckdb"
    compactions = max(events // _EVENTS_BEFORE_A_COMPACTION, 1)
    fill(path, Filling(sessions=1, events=events - FRAME_EVENTS, frames=compactions))
    store = open_store(path)
    session, made = Session(store, "old-0").resume(), texts(64)
    session.open_frame()
    for _ in range(FRAME_EVENTS // EVENTS):
        session.commit(session.new_nodes(EVENTS, made))
    store.close()
    return path


def _frame_cells(paths: dict[int, Path]) -> dict[str, Cell]:
    return {
        f"lash, {events:,} events, {case}": Cell("bench.opening", case, (str(path), "old-0"))
        for case in ("warm", "cold")
        for events, path in paths.items()
    }


def _graph_cells(folder: Path, *, quick: bool) -> dict[str, Cell]:
    made, ours, theirs = texts(256), folder / "full.duckdb", folder / "full.db"
    store = open_store(ours)
    session = Session(store)
    while not quick and session.nodes < FULL_EVENTS:
        session.commit(session.new_nodes(EVENTS, made))
    session.prefill(FULL_EVENTS, made)
    store.close()
    cells = {"lash": Cell("bench.opening", "graph", (str(ours),))}
    if openai_agents_sessions.is_installed():
        prefilled = openai_agents_sessions.SQLite(theirs)
        prefilled.prefill(FULL_EVENTS, made)
        prefilled.close()
        cells["openai-agents SQLiteSession"] = Cell("bench.opening", "openai_agents", (str(theirs),))
    return cells


def _row(name: str, found: list[Any]) -> tuple[str, ...]:
    return (name, *(milliseconds(median_of(found, figure)) for figure in ("open", "load", "all")))


def _compared(found: dict[str, list[Any]], long: int) -> str:
    short = found["lash, 10,000 events, warm"]
    return f"{long:,} / 10,000 events, warm: {ratio(found[f'lash, {long:,} events, warm'], short, 'all')}"


if __name__ == "__main__":
    serve(CASES)
