"""A root folder with things in it, and things outside that must never be seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lash_host_tools_files.root import Root
from lash_host_tools_files.walking import Allowance


class MovableClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("SECRET\n")
    return outside


@pytest.fixture
def root(folder: Path) -> Root:
    return Root(folder)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def allowance(clock: MovableClock) -> Allowance:
    return Allowance(10, clock=clock)


@pytest.fixture
def make(folder: Path) -> Callable[..., Path]:
    def make(name: str, content: str | bytes = "") -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make
