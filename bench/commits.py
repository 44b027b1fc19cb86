"""A turn's commit (4 events of 2 KiB), in sessions and stores of several sizes, beside a bare insert and openai-agents.

Every cell runs in a process of its own; rounds are interleaved; everybody's first turns are left out.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb

from bench import openai_agents_sessions
from bench.bare_rows import Rows
from bench.cells import FIGURES, Cases, Cell, measure, median_of, run, serve, timed
from bench.filled_stores import Filling, fill
from bench.lash_commits import EVENTS, Session
from bench.openai_agents_sessions import turn_items
from bench.tables import milliseconds, print_table, ratio
from bench.texts import texts
from lash_host.store import open_store

SMALL, LARGE = 10, 10_000
_COMPARED = ("p50", "p10", "CPU")
_EVENTS_A_SESSION = 1_000


def lash(folder: Path, events: int, turns: int, store: str | None) -> dict[str, float]:
    """Our store: claim the lease, commit under it, release it in the commit. The handle is a new one."""
    path = folder / "s.duckdb" if store is None else store
    name, made = folder.name, texts(256)
    opened = open_store(path)
    Session(opened, name).prefill(events, made)
    opened.close()
    opened = open_store(path)
    session = Session(opened, name).resume()
    figures = timed(lambda _: session.new_nodes(EVENTS, made), session.commit, turns)
    written = opened.query(
        "SELECT sum(coalesce(length(state), 0) + coalesce(length(facts), 0) + coalesce(length(nodes), 0))"
        " / count(DISTINCT entry_key) FROM lash_rows.commit_log"
    ).fetchall()
    opened.close()
    return figures | {"row": written[0][0] or 0.0}


def bare(folder: Path, turns: int, size: int) -> dict[str, float]:
    """DuckDB alone: one row of one table a turn, each in a transaction of its own, the statement parsed once."""
    with duckdb.connect(folder / "s.duckdb") as plain:
        plain.execute("CREATE TABLE turns (number BIGINT, body TEXT)")
        (statement,) = plain.extract_statements("INSERT INTO turns VALUES ($1, $2)")
        rows = Rows(size)
        return timed(rows.make, lambda row: plain.execute(statement, row).fetchall(), turns)


def openai_agents(folder: Path, events: int, turns: int, writes: int) -> dict[str, float]:
    """SQLiteSession of openai-agents."""
    made = texts(256)
    session = openai_agents_sessions.SQLite(folder / "s.db")
    session.prefill(events, made)
    session.close()
    session = openai_agents_sessions.SQLite(folder / "s.db")
    figures = timed(
        lambda number: turn_items(number, made), lambda items: session.add_turn(items, writes=writes), turns
    )
    session.close()
    return figures


CASES: Cases = {"lash": lash, "bare": bare, "openai_agents": openai_agents}


def main(*, quick: bool = False) -> None:
    """Print the table."""
    rounds, turns, nodes = (1, 60, 20_000) if quick else (5, 1_000, 10_000_000)
    with tempfile.TemporaryDirectory(prefix="lash-bench-") as place:
        large = Path(place) / "large.duckdb"
        fill(large, Filling(sessions=nodes // _EVENTS_A_SESSION, events=_EVENTS_A_SESSION))
        found = measure(_cells(turns, str(large)), rounds=rounds)
    print_table(
        f"A turn's commit, {turns:,} turns, {rounds} rounds: medians of the rounds' own",
        ["", *(f"{figure} ms" for figure in FIGURES)],
        [
            (name.format(nodes=f"{nodes:,}"), *(milliseconds(median_of(f, figure)) for figure in FIGURES))
            for name, f in found.items()
        ],
        note="mean and CPU: with the folds and checkpoints that fell into the turns. Bare: a row as long as our log's.",
    )
    print_table("Of those, compared", ["", *_COMPARED], _compared(found, nodes))


def _cells(turns: int, large: str) -> dict[str, Cell]:
    module = "bench.commits"
    size = int(run(Cell(module, "lash", (SMALL, 20, None)))["row"])
    cells = {
        _LASH_SMALL: Cell(module, "lash", (SMALL, turns, None)),
        _BARE: Cell(module, "bare", (turns, size)),
        _LASH_LARGE: Cell(module, "lash", (LARGE, turns, None)),
    }
    if openai_agents_sessions.is_installed():
        cells |= {
            _ONE_WRITE: Cell(module, "openai_agents", (SMALL, turns, 1)),
            _THREE_WRITES: Cell(module, "openai_agents", (SMALL, turns, 3)),
            f"openai-agents, three writes, {LARGE:,} events": Cell(module, "openai_agents", (LARGE, turns, 3)),
        }
    return cells | {_LASH_MANY: Cell(module, "lash", (SMALL, turns, large))}


_LASH_SMALL, _LASH_LARGE = f"lash, {SMALL:,} events in the session", f"lash, {LARGE:,} events in the session"
_LASH_MANY = f"lash, {SMALL:,} events in the session, {{nodes}} in the store"
_BARE = "bare DuckDB, one row a turn"
_ONE_WRITE = f"openai-agents SQLiteSession, one write, {SMALL:,} events"
_THREE_WRITES = f"openai-agents, three writes as its runner makes, {SMALL:,} events"


def _compared(found: dict[str, list[Any]], nodes: int) -> list[tuple[str, ...]]:
    pairs = {
        "lash / bare DuckDB": (_LASH_SMALL, _BARE),
        "lash / openai-agents, three writes": (_LASH_SMALL, _THREE_WRITES),
        "lash / openai-agents, one write": (_LASH_SMALL, _ONE_WRITE),
        f"lash, {LARGE:,} events / {SMALL:,} events": (_LASH_LARGE, _LASH_SMALL),
        f"lash, {nodes:,} nodes in the store / {SMALL:,}": (_LASH_MANY, _LASH_SMALL),
    }
    return [
        (name, *(ratio(found[a], found[b], figure) for figure in _COMPARED))
        for name, (a, b) in pairs.items()
        if b in found
    ]


if __name__ == "__main__":
    serve(CASES)
