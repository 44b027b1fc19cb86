"""Terminals that remember what was written to them, and calls of the command line in this process."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lash_host.cli.main import run_cli
from lash_host.cli.terminal import Terminal


class FakeStream(io.StringIO):
    """Text that is kept, from a stream that may be a terminal."""

    def __init__(self, *, is_terminal: bool, encoding: str) -> None:
        super().__init__()
        self._is_terminal, self._encoding = is_terminal, encoding

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal


@dataclass
class FakeTerminal:
    """A terminal, and what was written to its two streams."""

    terminal: Terminal
    streams: tuple[FakeStream, FakeStream]

    @property
    def out(self) -> str:
        return self.streams[0].getvalue()

    @property
    def err(self) -> str:
        return self.streams[1].getvalue()


@pytest.fixture
def make_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeTerminal]:
    """Make a terminal: by default neither stream is one, and both take Unicode."""

    def make(
        *, out: bool = False, err: bool = False, encoding: str = "utf-8", columns: int = 80, **environ: str
    ) -> FakeTerminal:
        monkeypatch.setenv("COLUMNS", str(columns))
        streams = (FakeStream(is_terminal=out, encoding=encoding), FakeStream(is_terminal=err, encoding=encoding))
        return FakeTerminal(Terminal(*streams, environ=environ), streams)

    return make


@dataclass(frozen=True)
class Outcome:
    """What came of a call of the command line."""

    status: int
    out: str
    err: str


@pytest.fixture
def lash(capsys: pytest.CaptureFixture[str], own_logging: None) -> Callable[..., Outcome]:
    """Call the command line in this process."""

    def call(*arguments: str) -> Outcome:
        status = run_cli(arguments)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Put logging back as it was: a process runs one command, a test run many."""
    root, ours = logging.getLogger(), logging.getLogger("lash_host")
    before = [*root.handlers], [*ours.handlers], ours.level, ours.propagate
    yield
    root.handlers, ours.handlers, level, ours.propagate = before
    ours.setLevel(level)
