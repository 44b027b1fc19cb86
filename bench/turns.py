"""A whole durable turn with a scripted model and one tool call, in one session, beside openai-agents.

Every case runs in a process of its own; rounds are interleaved.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.tables import median, milliseconds, print_table, quantile

TURNS, ROUNDS = 100, 3


async def lash(folder: Path) -> list[float]:
    """Our host: DuckDB, lease, one commit a turn."""
    from lash_host import SessionPlugin, tool
    from lash_host.testing import host_plugin, scripted_host, text, tool_call

    class Adder(SessionPlugin[None]):
        @tool
        async def add(self, a: int, b: int) -> int:
            """Add two integers."""
            return a + b

    script = [reply for _ in range(TURNS) for reply in (tool_call("add", {"a": 1, "b": 2}), text("three"))]
    times = []
    async with scripted_host(*script, plugins=[host_plugin(Adder)], store=folder / "s.duckdb") as host:
        async with host.session("s") as session:
            for number in range(TURNS):
                started = time.perf_counter()
                result = await session.turn(f"q {number}")
                times.append(time.perf_counter() - started)
                assert result.text == "three"
    return times


async def openai_agents(folder: Path) -> list[float]:
    """openai-agents with its SQLite session."""
    from agents import Agent, Runner, SQLiteSession, function_tool
    from agents.testing import ScriptedModel, assistant_message, function_call

    @function_tool
    def add(a: int, b: int) -> int:
        """Add two integers."""
        return a + b

    session = SQLiteSession("s", str(folder / "s.db"))
    times = []
    for number in range(TURNS):
        call = function_call("add", {"a": 1, "b": 2}, call_id=f"c{number}")
        agent = Agent(name="a", model=ScriptedModel([[call], [assistant_message("three")]]), tools=[add])
        started = time.perf_counter()
        result = await Runner.run(agent, f"q {number}", session=session)
        times.append(time.perf_counter() - started)
        assert result.final_output == "three"
    return times


CASES = {"lash": lash, "openai_agents": openai_agents}


def measure(name: str) -> list[float]:
    """Run a case in a process of its own; give seconds by turn."""
    command = [sys.executable, "-m", "bench.turns", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times


def main(*, quick: bool = False) -> None:
    """Measure every case that is installed."""
    names = [name for name in CASES if name == "lash" or importlib.util.find_spec("agents")]
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    for _ in range(1 if quick else ROUNDS):
        for name in names:
            found[name].append(measure(name))
    rows = []
    for name, rounds in found.items():
        fifth = TURNS // 5
        rows.append(
            (
                name,
                milliseconds(median([t for times in rounds for t in times])),
                milliseconds(quantile([t for times in rounds for t in times], 0.95)),
                milliseconds(median([t for times in rounds for t in times[:fifth]])),
                milliseconds(median([t for times in rounds for t in times[-fifth:]])),
            )
        )
    columns = ["", "p50 ms", "p95 ms", "first fifth", "last fifth"]
    note = "" if len(names) > 1 else "install openai-agents to see it beside"
    print_table(
        f"A turn with one tool call, {TURNS} turns of one session, {len(found[names[0]])} rounds",
        columns,
        rows,
        note=note,
    )


if __name__ == "__main__":
    import os

    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(asyncio.run(CASES[sys.argv[1]](Path(place)))))
