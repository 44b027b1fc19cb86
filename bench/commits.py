"""A turn's commit (4 events of 2 KiB) and loading a session, at several sizes, beside openai-agents' store."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.tables import median, milliseconds, print_table

SIZES, COMMITS, ROUNDS = (10, 1_000, 10_000), 40, 3
TEXT = ("the session store keeps every committed turn as rows of an analytical table " * 40)[:2048]


def lash(folder: Path, size: int) -> tuple[list[float], float]:
    """Our store: claim the lease, commit under it, release it in the commit; then load the current frame."""
    from bench.lash_commits import Session
    from lash_host.contracts.store import ReadScope
    from lash_host.store import open_store

    with_prefill = Session(open_store(folder / "s.duckdb"))
    with_prefill.prefill(size, TEXT)
    times = [with_prefill.timed_turn(TEXT) for _ in range(COMMITS)]
    with_prefill.store.close()
    store = open_store(folder / "s.duckdb")
    store.info()
    started = time.perf_counter()
    loaded = store.load_session("s", scope=ReadScope.CURRENT_FRAME)
    opening = time.perf_counter() - started
    assert loaded is not None
    assert len(loaded.graph) >= size
    store.close()
    return times, opening


def openai_agents(folder: Path, size: int) -> tuple[list[float], float]:
    """openai-agents' SQLite session, with the three writes its runner makes a turn."""
    from agents import SQLiteSession

    path = str(folder / "s.db")

    def events(number: int) -> list[dict[str, object]]:
        call = {
            "type": "function_call",
            "call_id": f"c{number}",
            "name": "search",
            "arguments": json.dumps({"q": TEXT}),
        }
        result = {"type": "function_call_output", "call_id": f"c{number}", "output": TEXT}
        return [{"role": "user", "content": TEXT}, call, result, {"role": "assistant", "content": TEXT}]

    async def go() -> tuple[list[float], float]:
        session, times = SQLiteSession("s", path), []
        for start in range(0, size, 400):
            items = [item for number in range(start // 4, min(start + 400, size) // 4 + 1) for item in events(number)]
            await session.add_items(items[: size - start][:400])
        for number in range(COMMITS):
            user, call, result, answer = events(10**6 + number)
            started = time.perf_counter()
            await session.add_items([user])
            await session.add_items([call, result])
            await session.add_items([answer])
            times.append(time.perf_counter() - started)
        session.close()
        again = SQLiteSession("s", path)
        started = time.perf_counter()
        items = await again.get_items()
        opening = time.perf_counter() - started
        assert len(items) >= size
        again.close()
        return times, opening

    return asyncio.run(go())


CASES = {"lash": lash, "openai_agents": openai_agents}


def measure(name: str, size: int) -> tuple[list[float], float]:
    """Run a case in a process of its own."""
    command = [sys.executable, "-m", "bench.commits", name, str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    times, opening = json.loads(done.stdout.splitlines()[-1])
    return times, opening


def measure_all() -> dict[str, dict[int, list[tuple[list[float], float]]]]:
    """Measure every case that is installed at every size, rounds interleaved."""
    names = [name for name in CASES if name == "lash" or importlib.util.find_spec("agents")]
    found: dict[str, dict[int, list[tuple[list[float], float]]]] = {name: {s: [] for s in SIZES} for name in names}
    for _ in range(ROUNDS):
        for size in SIZES:
            for name in names:
                found[name][size].append(measure(name, size))
    return found


def main() -> None:
    """Print both tables."""
    found = measure_all()
    columns = ["", *(f"{size:,} events" for size in SIZES)]
    commit = [(name, *(milliseconds(_commit(runs)) for runs in sizes.values())) for name, sizes in found.items()]
    opening = [
        (name, *(milliseconds(median([opened for _, opened in runs])) for runs in sizes.values()))
        for name, sizes in found.items()
    ]
    print_table("A turn's commit, median ms, by events in the session", columns, commit)
    print_table("Loading a session from a store just opened, median ms", columns, opening)


def _commit(runs: Sequence[tuple[list[float], float]]) -> float:
    return median([t for times, _ in runs for t in times])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(CASES[sys.argv[1]](Path(place), int(sys.argv[2]))))
