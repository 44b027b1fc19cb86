"""Calls of the command line, in this process or in one of its own."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lash_host.cli.main import run_cli


@dataclass(frozen=True)
class Outcome:
    """What came of a call of the command line."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Put logging back as it was: a process runs one command, a test run many."""
    root, ours = logging.getLogger(), logging.getLogger("lash_host")
    before = [*root.handlers], [*ours.handlers], ours.level, ours.propagate
    yield
    root.handlers, ours.handlers, level, ours.propagate = before
    ours.setLevel(level)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a store of its own that is not there yet."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LASH_STORE", str(tmp_path / "store.duckdb"))
    return folder


@pytest.fixture
def lash(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_logging: None
) -> Callable[..., Outcome]:
    """Call the command line in this process, with bytes on its standard input."""

    def call(*arguments: str, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = run_cli(arguments)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


@pytest.fixture
def lash_process(place: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start the command line in a process of its own, with pipes for all its streams."""

    def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        environ = {**os.environ, "PYTHONUNBUFFERED": "1", **options.pop("environ", {})}
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr") if name not in options}
        return subprocess.Popen([sys.executable, "-m", "lash_host", *arguments], env=environ, **pipes, **options)

    return start


@pytest.fixture
def lash_fed(lash_process: Callable[..., subprocess.Popen[bytes]]) -> Callable[..., Outcome]:
    """Run the command line in a process of its own, with bytes on its standard input."""

    def call(*arguments: str, stdin: bytes = b"", **options: Any) -> Outcome:
        process = lash_process(*arguments, **options)
        out, err = process.communicate(stdin, timeout=120)
        return Outcome(process.returncode, (out or b"").decode(), (err or b"").decode())

    return call


@pytest.fixture
def script(place: Path) -> Callable[..., str]:
    """Write a script of the offline model, and give the model's name."""

    def write(*replies: dict[str, Any]) -> str:
        path = place / "script.json"
        path.write_text(json.dumps({"replies": replies}))
        return f"offline/script:{path}"

    return write
