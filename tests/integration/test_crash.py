"""Killing the process: nothing that was acknowledged is missing, and the session goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lash_host
from lash_host.testing import scripted_host, text

WRITER = """
import asyncio, sys
from lash_host.testing import scripted_host, text

async def main(store):
    async with scripted_host(*[text(f"answer {n}") for n in range(10_000)], store=store) as host:
        async with host.session("s") as session:
            for n in range(10_000):
                result = await session.turn(f"question {n}")
                print(result.turn_index, flush=True)

asyncio.run(main(sys.argv[1]))
"""

STUCK = """
import asyncio, sys
from lash_host.testing import scripted_host, text

async def main(store):
    async with scripted_host(text("first"), [asyncio.Event()], store=store) as host:
        async with host.session("s") as session:
            await session.turn("one")
            await session.turn("two", on_activity=lambda _: print("in the middle", flush=True))

asyncio.run(main(sys.argv[1]))
"""


@contextlib.contextmanager
def started(program: str, store: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that is killed at the end, if it was not before."""
    command = [sys.executable, "-c", program, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("turns", [1, 7, 23])
async def test_killed_between_turns_nothing_acknowledged_is_missing(tmp_path: Path, turns: int) -> None:
    store = tmp_path / "s.duckdb"
    acknowledged = 0
    with started(WRITER, store) as process:
        while acknowledged < turns:
            acknowledged = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.strip())])
    async with scripted_host(text("back"), store=store) as host, host.session("s") as session:
        stored = session.read_view().turn_index
        assert stored in {acknowledged, acknowledged + 1}
        assert [m.text for m in session.read_view().messages[-2:]] == [f"question {stored - 1}", f"answer {stored - 1}"]
        assert len(session.read_view().messages) == 2 * stored
        assert (await session.turn("hello again")).turn_index == stored + 1


async def test_killed_in_the_middle_of_a_turn_the_session_opens_and_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with started(STUCK, store) as process:
        assert process.stdout.readline().strip() == "in the middle"
        os.kill(process.pid, signal.SIGKILL)
    async with scripted_host(text("second"), store=store) as host, host.session("s") as session:
        assert [m.text for m in session.read_view().messages] == ["one", "first"]
        result = await session.turn("two")  # at once: the holder of the lease is provably dead
        assert (result.text, result.turn_index) == ("second", 2)


async def test_a_second_process_is_told_who_holds_the_store(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with started(STUCK, store) as process:
        assert process.stdout.readline().strip() == "in the middle"
        with pytest.raises(lash_host.StoreLocked, match=str(process.pid)):
            await lash_host.open(store)
