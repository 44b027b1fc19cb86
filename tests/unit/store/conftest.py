"""Stores to take apart, and programs that get in their way."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.store import open_store
from lash_host.store.database import Database
from lash_host.testing.clock import ManualClock

Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.duckdb"


@pytest.fixture
def store(path: Path, clock: ManualClock) -> Iterator[SessionStore]:
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
    return lambda store: store._shared.database


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
