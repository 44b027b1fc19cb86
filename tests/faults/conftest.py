"""Programs that run where the disk can be filled up and made read-only."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crashing.disk import namespace

Program = Callable[..., "subprocess.Popen[str]"]
Ran = Callable[..., str]

_TIMEOUT_S = 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.duckdb"


@pytest.fixture
def program() -> Iterator[Program]:
    """Start Python programs; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: object, within: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*within, sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(source), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def ran(program: Program) -> Ran:
    """Run a Python program to its end, which must be a good one; give what it printed."""

    def run(source: str, *arguments: object, within: tuple[str, ...] = ()) -> str:
        process = program(source, *arguments, within=within)
        try:
            output, errors = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(6)  # SIGABRT: faulthandler shows where every thread is
            output, errors = process.communicate()
        assert process.returncode == 0, (process.returncode, output, errors)
        return output

    return run


@pytest.fixture
def ran_with_mounts(ran: Ran) -> Ran:
    """Run a program that mounts what it needs; where nothing can be mounted, it makes do with limits."""
    within = namespace()

    def run(source: str, *arguments: object) -> str:
        return ran(source, *arguments, *(["--mounts"] if within else []), within=tuple(within))

    return run
