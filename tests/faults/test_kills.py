"""Nothing that was acknowledged is lost, torn or doubled by `kill -9`, wherever it strikes."""

from __future__ import annotations

import signal
from itertools import islice
from pathlib import Path

import pytest
from crashing.rounds import CrashRounds, Kill, kills

POINTS = ("before_sync", "after_sync", "in_fold", "after_fold")
ROUNDS = 20
SERVER_POINTS = ("before_sync", "after_sync")
SERVER_ROUNDS = 10


def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    rounds = CrashRounds(tmp_path, seed=ROUNDS)
    try:
        seen = [rounds.run(kill) for kill in islice(kills(ROUNDS, points=POINTS), ROUNDS)]
    finally:
        rounds.close()
    assert not (problems := [problem for one in seen for problem in one.problems]), problems[:20]
    assert {one.exit_status for one in seen} == {-signal.SIGKILL}
    assert sum(one.acknowledged for one in seen) > ROUNDS
    assert {one.killed_at for one in seen} == {None, *POINTS}


def test_killed_clients_of_a_server_lose_nothing(tmp_path: Path, postgres_url: str) -> None:
    rounds = CrashRounds(tmp_path, seed="server", url=postgres_url)
    try:
        seen = [rounds.run(kill) for kill in islice(kills("server", points=SERVER_POINTS), SERVER_ROUNDS)]
    finally:
        rounds.close()
    assert not (problems := [problem for one in seen for problem in one.problems]), problems[:20]
    assert {one.exit_status for one in seen} == {-signal.SIGKILL}
    assert sum(one.acknowledged for one in seen) > SERVER_ROUNDS
    assert {one.killed_at for one in seen} == {None, *SERVER_POINTS}


@pytest.mark.parametrize("nth", [1, 2])
def test_killed_while_the_file_is_made_it_is_made_the_next_time(tmp_path: Path, nth: int) -> None:
    rounds = CrashRounds(tmp_path, seed="first open")
    try:
        made = rounds.run(Kill(point="in_migration", nth=nth, after_first_answer=False))
        gone_on = rounds.run(Kill(point="after_sync", nth=60))
    finally:
        rounds.close()
    assert made.killed_at == "in_migration"
    assert not (problems := made.problems + gone_on.problems), problems[:20]
    assert gone_on.acknowledged > 0
