"""Files that were cut off or changed: what is opened is a state the store was in once, or there is a clear error."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_UNTOLD_BYTES = 4096
"""A crash may leave the end of a log like that, so nothing is said of it."""

Answer = dict[str, Any]
Look = Callable[[list[dict[str, Any]]], list[Answer]]

_HEADER_BYTES = 47
"""The beginning of DuckDB's write-ahead log, with the length of its first entry."""


def _damage(folder: Path, *arguments: str, asked: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "crashing.damage", str(folder), *arguments],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with two stores: one killed with its log unfolded and its write-ahead log long, one closed."""
    folder = tmp_path_factory.mktemp("damage")
    for name in ("killed", "closed"):
        (folder / name / "made").mkdir(parents=True)
        done = _damage(folder / name, name)
        assert done.returncode == (-signal.SIGKILL if name == "killed" else 0), done.stderr
    return folder


def _look(folder: Path, changes: list[dict[str, Any]]) -> list[Answer]:
    done = _damage(folder, "look", asked="".join(json.dumps(change) + "\n" for change in changes))
    assert done.returncode == 0, (done.returncode, done.stderr)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(changes)
    return answers


def _positions(size: int, count: int, *always: int) -> list[int]:
    chance = random.Random(size)  # noqa: S311 - no secret
    return sorted({*always, *(chance.randrange(size) for _ in range(count))})


def _is_clear(answer: Answer, folder: Path) -> bool:
    return "refused" in answer and str(folder / "copy" / "store.duckdb") in answer["says"]


def _is_whole(answer: Answer) -> bool:
    """Whether the store is exactly in a state it was in once, says so itself, and goes on from there."""
    return bool(answer.get("fits")) and not answer["checked"] and not answer["problems"]


def test_a_write_ahead_log_cut_anywhere_leaves_all_commits_up_to_some_point(made: Path) -> None:
    folder = made / "killed"
    size = (folder / "made" / "store.duckdb.wal").stat().st_size
    cuts = _positions(size, 20, 0, 1, 8, 20, 46, 60, size - 9, size - 8, size - 1, size)
    answers = _look(folder, [{"file": "store.duckdb.wal", "cut": cut} for cut in cuts])
    assert all(_is_whole(answer) for answer in answers), answers
    latest = [answer["fits"][-1] for answer in answers]
    assert latest == sorted(latest)
    assert latest[0] == 0
    assert latest[-1] == answers[-1]["of"]
    assert len(set(latest)) > 10


def test_a_byte_changed_in_the_write_ahead_log_is_noticed_or_ends_it_there(made: Path) -> None:
    folder = made / "killed"
    size = (folder / "made" / "store.duckdb.wal").stat().st_size
    flips = _positions(size, 20, 0, 8, 16, 36, _HEADER_BYTES, 60, size - 1)
    answers = _look(folder, [{"file": "store.duckdb.wal", "flip": flip} for flip in flips])
    assert all(_is_clear(answer, folder) or _is_whole(answer) for answer in answers), answers
    assert sum(_is_clear(answer, folder) for answer in answers) > len(answers) / 2
    left_out = [answer for answer in answers if _is_whole(answer) and size - answer["flip"] > 2 * _UNTOLD_BYTES]
    assert left_out
    assert all("write-ahead log" in " ".join(answer["warned"]) for answer in left_out), left_out


@pytest.mark.parametrize("store", ["killed", "closed"])
@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damage_to_the_database_file_is_noticed(made: Path, store: str, damage: str) -> None:
    folder = made / store
    size = (folder / "made" / "store.duckdb").stat().st_size
    places = _positions(size, 15, 0, 8, 12, 4096, 4100, 8192, 12_288, size - 1)
    answers = _look(folder, [{"file": "store.duckdb", damage: place} for place in places])
    for answer in answers:
        unharmed = _is_whole(answer) and answer["fits"][-1] == answer["of"]
        noticed = _is_clear(answer, folder) or "failed" in answer or answer.get("checked")
        assert unharmed or noticed, answer
    assert sum("refused" in answer for answer in answers) > 5
