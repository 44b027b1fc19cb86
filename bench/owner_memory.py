"""The memory of a process that commits to very many sessions, one after another; beside openai-agents."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from bench import openai_agents_sessions
from bench.cells import Cases, Cell, measure, median_of, serve
from bench.filled_stores import Filling, fill
from bench.lash_commits import EVENTS, OWNER, Session
from bench.openai_agents_sessions import turn_items
from bench.tables import print_table
from bench.texts import texts
from lash_host.store import open_store
from lash_host.store.logged.memory import _MOST_SESSIONS

_EVENTS_BEFORE = 12
_DUCKDB = "SELECT sum(memory_usage_bytes) FROM duckdb_memory()"


def committing(_: Path, marks: list[int], path: str) -> dict[str, float]:
    """Our store: a turn in each of many sessions that it holds; leases end with the turns."""
    made = texts(64)

    def touch(session: Session) -> None:
        session.revision, session.nodes = _EVENTS_BEFORE // EVENTS, _EVENTS_BEFORE
        session.leaf = f"n{session.nodes - 1}"
        session.commit(session.new_nodes(EVENTS, made))

    return _in_our_store(Path(path), marks, touch)


def leasing(_: Path, marks: list[int], path: str) -> dict[str, float]:
    """Our store: a lease on each of many sessions, and all of them kept, which nobody should do."""
    return _in_our_store(
        Path(path), marks, lambda session: session.store.claim_lease(session.session_id, OWNER, ttl_ms=3_600_000)
    )


def _in_our_store(path: Path, marks: Sequence[int], touch: Callable[[Session], object]) -> dict[str, float]:
    store = open_store(path)
    found = _at_marks(marks, lambda number: touch(Session(store, f"old-{number}")))
    found["database"] = float(store.query(_DUCKDB).fetchall()[0][0])
    store.close()
    return found


def openai_agents(folder: Path, marks: list[int]) -> dict[str, float]:
    """SQLiteSession of openai-agents: one an own session, closed after its turn."""
    made = texts(64)

    def touch(number: int) -> None:
        session = openai_agents_sessions.SQLite(folder / "s.db", f"s{number}")
        session.add_turn(turn_items(number, made), writes=1)
        session.close()

    return _at_marks(marks, touch)


CASES: Cases = {"committing": committing, "leasing": leasing, "openai_agents": openai_agents}


def _at_marks(marks: Sequence[int], touch: Callable[[int], object]) -> dict[str, float]:
    """Touch sessions; give the resident memory before the first and after some of them."""
    process = psutil.Process()
    found = {"0": float(process.memory_info().rss)}
    for number in range(marks[-1]):
        touch(number)
        if number + 1 in marks:
            found[str(number + 1)] = float(process.memory_info().rss)
    return found


def main(*, quick: bool = False) -> None:
    """Print the table."""
    marks = [100, 200, 400] if quick else [1_000, 10_000, 20_000]
    module = "bench.owner_memory"
    with tempfile.TemporaryDirectory(prefix="lash-bench-") as place:
        cells = {}
        for name, case in {"lash, a turn in each": "committing", "lash, a lease on each, all kept": "leasing"}.items():
            path = Path(place) / f"{case}.duckdb"
            fill(path, Filling(sessions=marks[-1], events=_EVENTS_BEFORE))
            cells[name] = Cell(module, case, (marks, str(path)))
        if openai_agents_sessions.is_installed():
            cells["openai-agents SQLiteSession, a turn in each"] = Cell(module, "openai_agents", (marks,))
        found = measure(cells, rounds=1)
    print_table(
        "Resident memory after so many sessions, MB",
        ["", "none", *(f"{mark:,}" for mark in marks), "at the end, DuckDB's own"],
        [
            (
                name,
                *(f"{median_of(one, str(mark)) / 1e6:,.0f}" for mark in (0, *marks)),
                f"{one[0]['database'] / 1e6:,.0f}" if "database" in one[0] else "",
            )
            for name, one in found.items()
        ],
        note=f"{_MOST_SESSIONS:,} sessions are remembered, and those whose lease is held. What DuckDB keeps of its file"
        " goes up to its own limit.",
    )


if __name__ == "__main__":
    serve(CASES)
