"""Stores to take apart, and programs that get in their way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.store import open_store
from lash_host.store.database import Database
from lash_host.store.dialects.duckdb import DuckDBDriver
from lash_host.testing.clock import ManualClock

Program = Callable[..., "subprocess.Popen[str]"]

_INTO_LOG = "INSERT INTO lash_tables.commit_log"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.duckdb"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of a store with nothing in it, to copy: making one takes as long as ten tests."""
    path = tmp_path_factory.mktemp("empty") / "store.duckdb"
    open_store(path, clock=ManualClock()).close()
    return path


@pytest.fixture
def store(path: Path, empty_store: Path, clock: ManualClock) -> Iterator[SessionStore]:
    shutil.copyfile(empty_store, path)
    store = open_store(path, clock=clock)
    yield store
    store.close()


@pytest.fixture
def memory(clock: ManualClock) -> Iterator[SessionStore]:
    store = open_store(":memory:", clock=clock)
    yield store
    store.close()


@pytest.fixture
def database_of() -> Callable[[SessionStore], Database]:
    return lambda store: store._engine.database


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the SQL that is run, by whatever connection."""
    run: list[str] = []
    original = DuckDBDriver.rows

    def record(self: DuckDBDriver, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        run.append(sql)
        return original(self, sql, params)

    monkeypatch.setattr(DuckDBDriver, "rows", record)
    return run


@pytest.fixture
def failing_log() -> Callable[..., AbstractContextManager[None]]:
    """Have every write of the log fail with an error during the body; with ``lands``, although it has landed."""

    @contextmanager
    def fail(error: Exception, *, lands: bool = False) -> Generator[None]:
        original = DuckDBDriver.rows

        def rows(self: DuckDBDriver, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
            if sql.startswith(_INTO_LOG) and not lands:
                raise type(error)(*error.args)
            found = original(self, sql, params)
            if sql.startswith(_INTO_LOG):
                raise type(error)(*error.args)  # a new one: its traceback keeps everything alive
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DuckDBDriver, "rows", rows)
            yield

    return fail


@pytest.fixture
def program() -> Iterator[Program]:
    """Start Python programs; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def holder(program: Program) -> Callable[[Path], subprocess.Popen[str]]:
    """Start a process that holds a store until it is killed."""

    def start(path: Path) -> subprocess.Popen[str]:
        process = program(
            """
            import sys
            from lash_host.store import open_store
            store = open_store(sys.argv[1])
            print("open", flush=True)
            sys.stdin.read()
            """,
            path,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return process

    return start
