"""64 sessions of one store committing at once, each from a thread of its own, beside openai-agents and langgraph.

What is written is made before the clock starts, for everybody.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import openai_agents_sessions
from bench.cells import Cases, Cell, measure, median_of, serve
from bench.lash_commits import EVENTS, Session
from bench.openai_agents_sessions import add_turn, turn_items
from bench.tables import median, milliseconds, print_table, quantile, ratio
from bench.texts import texts
from lash_host.store import open_store

SESSIONS = 64


def lash(folder: Path, turns: int) -> dict[str, float]:
    """Our store, in a file."""
    return lash_at(folder / "s.duckdb", turns, prefix="s")


def lash_at(place: Path | str, turns: int, *, prefix: str) -> dict[str, float]:
    """Our store: every turn claims the lease, commits under it and releases it in the commit."""
    made = texts(64)
    with closing(open_store(place)) as store:

        def begin(number: int) -> Callable[[int], None]:
            session = Session(store, f"{prefix}{number}")
            session.prefill(2 * EVENTS, made)
            nodes = [session.new_nodes(EVENTS, made) for _ in range(turns)]
            return lambda turn: session.commit(nodes[turn])

        return in_threads([begin(number) for number in range(SESSIONS)], turns)


def void(_: object) -> None:
    """Give nothing, whatever was given."""


def in_threads(workers: Sequence[Callable[[int], None]], turns: int) -> dict[str, float]:
    """Let each worker do its turns in a thread of its own, all beginning at once."""
    start, times = threading.Barrier(len(workers) + 1), []

    def work(turn: Callable[[int], None]) -> list[float]:
        start.wait()
        ends = [time.perf_counter()]
        for number in range(turns):
            turn(number)
            ends.append(time.perf_counter())
        return [after - before for before, after in pairwise(ends)]

    with ThreadPoolExecutor(len(workers)) as pool:
        running = [pool.submit(work, worker) for worker in workers]
        cpu = time.process_time()
        start.wait()
        began = time.perf_counter()
        for one in running:
            times += one.result()
        seconds = time.perf_counter() - began
    return _figures(times, seconds, cpu=time.process_time() - cpu)


def _figures(times: Sequence[float], seconds: float, *, cpu: float) -> dict[str, float]:
    count = len(times)
    return {"rate": count / seconds, "p50": median(times), "p95": quantile(times, 0.95), "CPU": cpu / count}


def openai_agents(folder: Path, turns: int, writes: int) -> dict[str, float]:
    """SQLiteSession of openai-agents, all sessions in one file and one event loop, as an asyncio program has them.

    Its sessions of one file share a lock and keep a connection a thread: with a single thread it is at its best.
    """
    from agents import SQLiteSession

    made = texts(64)
    sessions = [SQLiteSession(f"s{number}", str(folder / "s.db")) for number in range(SESSIONS)]
    items = [[turn_items(turn, made) for turn in range(turns)] for _ in sessions]

    async def work(session: Any, mine: list[list[dict[str, Any]]]) -> list[float]:
        ends = [time.perf_counter()]
        for one in mine:
            await add_turn(session, one, writes=writes)
            ends.append(time.perf_counter())
        return [after - before for before, after in pairwise(ends)]

    async def go() -> dict[str, float]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        await asyncio.gather(*(session.add_items(turn_items(turns, made)) for session in sessions))
        cpu, began = time.process_time(), time.perf_counter()
        found = await asyncio.gather(*map(work, sessions, items))
        seconds = time.perf_counter() - began
        return _figures([one for times in found for one in times], seconds, cpu=time.process_time() - cpu)

    figures = asyncio.run(go())
    for session in sessions:
        session.close()
    return figures


def langgraph(folder: Path, turns: int) -> dict[str, float]:
    """SqliteSaver of langgraph: one checkpoint a turn that holds this turn alone, which is the least it can write."""
    from langgraph.checkpoint.base import empty_checkpoint
    from langgraph.checkpoint.sqlite import SqliteSaver

    made = texts(64)
    connection = sqlite3.connect(folder / "s.db", check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()

    def begin(number: int) -> Callable[[int], None]:
        config: Any = {"configurable": {"thread_id": f"s{number}", "checkpoint_ns": ""}}
        values = [{**empty_checkpoint(), "channel_values": {"messages": turn_items(n, made)}} for n in range(turns)]
        return lambda turn: void(saver.put(config, values[turn], {"source": "loop", "step": turn}, {}))

    figures = in_threads([begin(number) for number in range(SESSIONS)], turns)
    connection.close()
    return figures


CASES: Cases = {"lash": lash, "openai_agents": openai_agents, "langgraph": langgraph}


def main(*, quick: bool = False) -> None:
    """Print the table."""
    rounds, turns = (1, 5) if quick else (5, 60)
    module = "bench.group_commits"
    cells = {"lash": Cell(module, "lash", (turns,))}
    if openai_agents_sessions.is_installed():
        cells["openai-agents SQLiteSession, one write"] = Cell(module, "openai_agents", (turns, 1))
        cells["openai-agents SQLiteSession, three writes"] = Cell(module, "openai_agents", (turns, 3))
    if importlib.util.find_spec("langgraph") and importlib.util.find_spec("langgraph.checkpoint.sqlite"):
        cells["langgraph SqliteSaver, one checkpoint"] = Cell(module, "langgraph", (turns,))
    found = measure(cells, rounds=rounds)
    print_table(
        f"{SESSIONS} sessions committing at once, {turns} turns each, {rounds} rounds",
        ["", "commits/s", "p50 ms", "p95 ms", "CPU ms", "lash / it"],
        [
            (
                name,
                f"{median_of(one, 'rate'):,.0f}",
                *(milliseconds(median_of(one, figure)) for figure in ("p50", "p95", "CPU")),
                ratio(found["lash"], one, "rate"),
            )
            for name, one in found.items()
        ],
    )


if __name__ == "__main__":
    serve(CASES)
