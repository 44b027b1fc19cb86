"""The same commits and loads on a PostgreSQL server, beside a bare insert and openai-agents on the same server.

The server is the one that LASH_TEST_POSTGRES_URL names, or one that is started; it syncs every commit to its disk.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import openai_agents_sessions
from bench.bare_rows import Rows
from bench.cells import FIGURES, Cases, Cell, measure, median_of, run, serve, timed
from bench.group_commits import SESSIONS, in_threads, lash_at
from bench.lash_commits import Session
from bench.openai_agents_sessions import add_turn, turn_items
from bench.tables import milliseconds, print_table, ratio
from bench.texts import texts
from lash_host.contracts.store import ReadScope
from lash_host.store import open_store

SMALL, LARGE = 10, 10_000
Insert = Callable[[tuple[int, str]], None]


def bare(_: Path, url: str, turns: int, size: int) -> dict[str, float]:
    """One row of one table a turn, in a transaction of its own, the statement prepared."""
    with _inserting(url) as insert:
        return timed(Rows(size).make, insert, turns)


def bare_at_once(_: Path, url: str, turns: int, size: int) -> dict[str, float]:
    """The same from as many threads as there are sessions, a connection each."""
    with ExitStack() as stack:
        inserts = [stack.enter_context(_inserting(url)) for _ in range(SESSIONS)]

        rows = [Rows(size).make(number) for number in range(turns)]

        def begin(insert: Insert) -> Callable[[int], None]:
            return lambda number: insert(rows[number])

        return in_threads([begin(insert) for insert in inserts], turns)


@contextmanager
def _inserting(url: str) -> Generator[Insert]:
    """Give what inserts one row on a connection of its own."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (number BIGINT, body TEXT)")

        def insert(row: tuple[int, str]) -> None:
            connection.execute("INSERT INTO bare VALUES (%s, %s)", row, prepare=True)

        yield insert


def at_once(folder: Path, url: str, turns: int) -> dict[str, float]:
    """Our store: sessions of one process committing at once."""
    return lash_at(url, turns, prefix=folder.name)


def load(_: Path, url: str, scope: str) -> dict[str, float]:
    """Open our store, load a session."""
    open_store(url).close()
    started = time.perf_counter()
    store = open_store(url)
    opened = time.perf_counter()
    loaded = store.load_session("long", scope=ReadScope(scope))
    done = time.perf_counter()
    assert loaded is not None
    assert len(loaded.graph) == LARGE
    store.close()
    return {"open": opened - started, "load": done - opened}


def openai_agents(_: Path, url: str, turns: int, writes: int) -> dict[str, float]:
    """SQLAlchemySession of openai-agents with psycopg."""
    made = texts(256)
    with asyncio.Runner() as runner:
        session = _sqlalchemy_session(url)

        def write(items: list[dict[str, Any]]) -> None:
            runner.run(add_turn(session, items, writes=writes))

        figures = timed(lambda number: turn_items(number, made), write, turns)
        runner.run(session.engine.dispose())
    return figures


def _sqlalchemy_session(url: str) -> Any:
    from agents.extensions.memory import SQLAlchemySession

    return SQLAlchemySession.from_url(
        "s", url=url.replace("postgresql://", "postgresql+psycopg://"), create_tables=True
    )


CASES: Cases = {
    "bare": bare,
    "bare_at_once": bare_at_once,
    "at_once": at_once,
    "load": load,
    "openai_agents": openai_agents,
}


def main(*, quick: bool = False) -> None:
    """Print the tables."""
    if not importlib.util.find_spec("psycopg"):
        print("postgresql: install lash-host[postgresql] to see it")
        return
    from lash_host.testing.postgres_server import PostgresServer

    rounds, turns = (1, 40) if quick else (5, 500)
    with PostgresServer() as server:
        url, other = server.database(), server.database()
        store = open_store(url)
        Session(store, "long").prefill(LARGE, texts(256))
        store.close()
        size = int(run(Cell("bench.commits", "lash", (SMALL, 20, None)))["row"])
        _print_commits(measure(_commit_cells(url, other, turns, size), rounds=rounds), turns)
        at_once_turns = 3 if quick else 20
        cells = {
            "lash": Cell("bench.postgresql", "at_once", (server.database(), at_once_turns)),
            "bare, one row a turn": Cell("bench.postgresql", "bare_at_once", (other, at_once_turns, size)),
        }
        _print_at_once(measure(cells, rounds=rounds))
        scopes = {scope: Cell("bench.postgresql", "load", (url, scope)) for scope in ("current_frame", "full_graph")}
        found = measure(scopes, rounds=rounds)
    print_table(
        f"PostgreSQL: opening the store and loading a session of {LARGE:,} events in one frame",
        ["", "opening ms", "loading ms"],
        [
            (scope, *(milliseconds(median_of(one, figure)) for figure in ("open", "load")))
            for scope, one in found.items()
        ],
    )


def _commit_cells(url: str, other: str, turns: int, size: int) -> dict[str, Cell]:
    cells = {
        f"lash, {SMALL:,} events in the session": Cell("bench.commits", "lash", (SMALL, turns, url)),
        "bare, one row a turn": Cell("bench.postgresql", "bare", (other, turns, size)),
        f"lash, {LARGE:,} events in the session": Cell("bench.commits", "lash", (LARGE, turns, url)),
    }
    if openai_agents_sessions.is_installed() and importlib.util.find_spec("greenlet"):
        for writes, name in {1: "one write", 3: "three writes"}.items():
            arguments = (other, turns, writes)
            cells[f"openai-agents SQLAlchemySession, {name}"] = Cell("bench.postgresql", "openai_agents", arguments)
    return cells


def _print_commits(found: dict[str, list[Any]], turns: int) -> None:
    (first, *_) = found.values()
    print_table(
        f"PostgreSQL: a turn's commit, {turns:,} turns, {len(first)} rounds",
        ["", *(f"{figure} ms" for figure in FIGURES), "p50 / the first"],
        [
            (name, *(milliseconds(median_of(one, figure)) for figure in FIGURES), ratio(one, first, "p50"))
            for name, one in found.items()
        ],
        note="CPU: of this process; the server's is not in it.",
    )


def _print_at_once(found: dict[str, list[Any]]) -> None:
    print_table(
        f"PostgreSQL: {SESSIONS} sessions of one process committing at once",
        ["", "commits/s", "p50 ms", "p95 ms"],
        [
            (name, f"{median_of(one, 'rate'):,.0f}", *(milliseconds(median_of(one, f)) for f in ("p50", "p95")))
            for name, one in found.items()
        ],
    )


if __name__ == "__main__":
    serve(CASES)
