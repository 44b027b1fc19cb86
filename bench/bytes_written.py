"""What a turn writes to the system and to the disk, and how the files grow, over a long session; beside openai-agents.

Written: what the process gave to write calls. To the disk: the pages that those made dirty, as the system counts them
(`wchar` and `write_bytes` of /proc/self/io, so this needs Linux).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import openai_agents_sessions
from bench.cells import Cases, Cell, measure, serve
from bench.filled_stores import Filling, fill
from bench.lash_commits import EVENTS, Session
from bench.openai_agents_sessions import turn_items
from bench.tables import mean, print_table
from bench.texts import texts
from lash_host.store import open_store

PAYLOAD = EVENTS * 2048
_PARTS = 5
_COUNTERS = Path("/proc/self/io")


def lash(folder: Path, turns: int, store: str | None) -> list[dict[str, float]]:
    """Our store, new or one that holds much already."""
    made, path = texts(1_000), folder / "s.duckdb" if store is None else Path(store)
    opened = open_store(path)
    session = Session(opened, folder.name)
    return _parts(
        lambda _: session.commit(session.new_nodes(EVENTS, made)), turns, close=opened.close, files=_files(path)
    )


def openai_agents(folder: Path, turns: int, writes: int) -> list[dict[str, float]]:
    """SQLiteSession of openai-agents."""
    made, path = texts(1_000), folder / "s.db"
    session = openai_agents_sessions.SQLite(path)
    return _parts(
        lambda number: session.add_turn(turn_items(number, made), writes=writes),
        turns,
        close=session.close,
        files=_files(path),
    )


CASES: Cases = {"lash": lash, "openai_agents": openai_agents}


def _parts(
    turn: Callable[[int], Any], turns: int, *, close: Callable[[], None], files: tuple[Path, ...]
) -> list[dict[str, float]]:
    """Do the turns; give bytes a turn of each part of them. Closing, at the end, belongs to the last part."""
    marks = [_written(files)]
    for number in range(turns):
        turn(number)
        if (number + 1) % (turns // _PARTS) == 0:
            if number + 1 == turns:
                close()
            marks.append(_written(files))
    of_a_part = turns // _PARTS
    return [{name: (after[name] - before[name]) / of_a_part for name in after} for before, after in pairwise(marks)]


def _files(path: Path) -> tuple[Path, ...]:
    return (path, *(path.with_name(path.name + suffix) for suffix in (".wal", "-wal")))


def _written(files: tuple[Path, ...]) -> dict[str, int]:
    """Give what was written so far. The files' sizes come from their entries: nobody may open them."""
    counters = dict(line.split(": ") for line in _COUNTERS.read_text(encoding="ascii").splitlines())
    size = sum(file.stat().st_size for file in files if file.exists())
    return {"written": int(counters["wchar"]), "disk": int(counters["write_bytes"]), "files": size}


def main(*, quick: bool = False) -> None:
    """Print a table for each count."""
    rounds, turns, nodes = (1, 250, 20_000) if quick else (1, 5_000, 2_000_000)
    if not _COUNTERS.exists():
        print(f"bytes_written: there is no {_COUNTERS} here")
        return
    with tempfile.TemporaryDirectory(prefix="lash-bench-") as place:
        large = Path(place) / "large.duckdb"
        fill(large, Filling(sessions=nodes // 1_000, events=1_000))
        cells = {
            "lash": Cell("bench.bytes_written", "lash", (turns, None)),
            f"lash, {nodes:,} nodes before": Cell("bench.bytes_written", "lash", (turns, str(large))),
        }
        if openai_agents_sessions.is_installed():
            cells["openai-agents SQLiteSession, one write"] = Cell("bench.bytes_written", "openai_agents", (turns, 1))
            cells["openai-agents, three writes"] = Cell("bench.bytes_written", "openai_agents", (turns, 3))
        found = measure(cells, rounds=rounds)
    for figure, what in {
        "written": "written",
        "disk": "written to the disk",
        "files": "by which the files grow",
    }.items():
        print_table(
            f"KiB a turn {what}; its texts are {PAYLOAD / 1024:.0f} KiB; {turns:,} turns in fifths",
            ["", *(f"{number + 1}." for number in range(_PARTS)), "all", "of the texts"],
            [(name, *_row([part[figure] for part in one[0]])) for name, one in found.items()],
        )


def _row(parts: list[float]) -> tuple[str, ...]:
    return (*(f"{part / 1024:.1f}" for part in (*parts, mean(parts))), f"{mean(parts) / PAYLOAD:.2f} x")


if __name__ == "__main__":
    serve(CASES)
