"""Killing a writing process, and looking at what it left, again and again: ``python -m bench.crash_rounds``.

Ends with status 1 if anything acknowledged was lost, torn or doubled.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

from bench.tables import median, print_table, quantile
from lash_host.testing.postgres_server import PostgresServer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "faults"))

from crashing.rounds import CrashRounds, Kill, Round, kills

POINTS = ("before_sync", "after_sync", "in_fold", "after_fold")
_LOSSES = ("lost", "torn", "twice", "order", "token", "check", "stuck")


def main() -> int:
    """Run the rounds; print what they showed."""
    arguments = argparse.ArgumentParser(prog="python -m bench.crash_rounds", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--rounds-per-store", type=int, default=50, help="then an empty store is begun")
    arguments.add_argument("--seed", type=int, default=int(time.time()), help="repeats the kills, not their moments")
    arguments.add_argument("--postgresql", action="store_true", help="kill clients of a server that is started for it")
    given = arguments.parse_args()
    points = [point for point in POINTS if not given.postgresql or "fold" not in point]
    wanted = list(islice(kills(given.seed, points=points), given.rounds))
    seen: list[Round] = []
    with PostgresServer() if given.postgresql else nullcontext() as server:
        for first in range(0, given.rounds, given.rounds_per_store):
            url = None if server is None else server.database()
            seen += _rounds(wanted[first : first + given.rounds_per_store], seed=f"{given.seed}/{first}", url=url)
    _print(seen, seed=given.seed)
    return 1 if any(one.problems for one in seen) else 0


def _rounds(wanted: list[Kill], *, seed: str, url: str | None) -> list[Round]:
    with tempfile.TemporaryDirectory(prefix="lash-crash-") as folder:
        rounds = CrashRounds(Path(folder), seed=seed, url=url)
        try:
            return [rounds.run(kill) for kill in wanted]
        finally:
            rounds.close()


def _print(seen: list[Round], *, seed: int) -> None:
    by_kill: defaultdict[str, list[Round]] = defaultdict(list)
    for one in seen:
        by_kill[one.kill.describe()].append(one)
    rows = [_row(name, rounds) for name, rounds in by_kill.items()]
    note = (
        "commits: those acknowledged; in doubt: begun and never answered; landed: those in doubt that are there; "
        "ms: opening afterwards, median"
    )
    columns = ["killed", "rounds", "commits", "in doubt", "landed", *_LOSSES, "ms", "p95"]
    print_table(f"Kills, seed {seed}", columns, [*rows, _row("all", seen)], note=note)
    for one in seen:
        for problem in one.problems[:5]:
            print(f"{one.kill.describe()}: {problem.kind}: {problem.detail}")


def _row(name: str, rounds: list[Round]) -> list[object]:
    problems = [problem.kind for one in rounds for problem in one.problems]
    recovery = [one.recovery_ms for one in rounds]
    return [
        name,
        len(rounds),
        sum(one.acknowledged for one in rounds),
        sum(one.in_doubt for one in rounds),
        sum(one.landed for one in rounds),
        *(problems.count(kind) for kind in _LOSSES),
        f"{median(recovery):.0f}",
        f"{quantile(recovery, 0.95):.0f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
