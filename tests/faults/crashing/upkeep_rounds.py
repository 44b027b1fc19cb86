"""Rounds: have a store looked after while it is written to, kill that, look at what is left, do the upkeep again."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from crashing.again import problems_of_repeating, some
from crashing.keeper import UPKEEP
from crashing.kept import Kept
from crashing.kept_rows import problems_of_kept, problems_of_kept_store, rows_of_store
from crashing.model import Op
from crashing.plan import planned
from crashing.programs import Program
from crashing.rounds import Kill, wait_until_alone
from crashing.verify import Problem, Rows, facts_of, has_landed
from lash_host.store import open_store

__all__ = ["UpkeepRound", "UpkeepRounds"]

_ATTACHED = [name for name in (f"{n}" for n in range(1000)) if planned(name, 1).has_attachment]
_OLD = _ATTACHED[:3]
_OTHERS = [_ATTACHED[3:5], _ATTACHED[5:7]]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepRound:
    """What one round showed.

    Attributes:
        killed_at: The point at which the program killed itself; None where it was killed at a time.
        exit_status: How it ended: minus the signal's number.
        acknowledged: Commits that it was told had landed.
        in_doubt: The upkeep that was never answered; None where there was none.
        landed: Whether any of it is in the store.
        problems: What is not as it must be.
    """

    killed_at: str | None
    exit_status: int
    acknowledged: int
    in_doubt: str | None
    landed: bool
    problems: list[Problem] = field(default_factory=list)


class UpkeepRounds:
    """One store, looked after and written to by one killed process after another."""

    def __init__(self, folder: Path, *, seed: object, url: str | None = None) -> None:
        """Begin with an empty store.

        Args:
            folder: An empty folder for everything.
            seed: Decides what is done.
            url: A database on a server; None: a DuckDB file in the folder.
        """
        self._folder, self._seed, self._number = folder, seed, 0
        self._url = str(folder / "store.duckdb") if url is None else url
        self._is_file = url is None
        self._kept = Kept(old=_OLD)
        self._workers = Program("-m", "crashing.worker", said=folder / "said")

    def close(self) -> None:
        """End the process that waits."""
        self._workers.close()

    def run(self, kill: Kill, *, upkeep: str | None = None) -> UpkeepRound:
        """Let a program run until it is killed, look at what it left, and repeat the upkeep that was never answered.

        Args:
            kill: When it is killed.
            upkeep: The upkeep it begins with; None: any.
        """
        self._number += 1
        notes = self._folder / f"notes-{self._number}"
        notes.touch()
        orders = {
            "url": self._url, "notes": str(notes), "seed": f"{self._seed}/{self._number}", "sessions": _OTHERS,
            "kept": self._kept.dump(), "first_upkeep": upkeep, **asdict(kill),
        }  # fmt: skip
        status: int = self._workers.ask(orders)
        problems = [] if status < 0 else [Problem("stuck", f"it ended with {status}: {self._workers.said()}")]
        acknowledged, in_doubt, killed_at = self._read(notes)
        if not self._is_file:
            wait_until_alone(self._url)
        with closing(open_store(self._url)) as store:
            before = self._kept.dump()
            rows = rows_of_store(store, "lash_rows")
            begun = self._settle_doubts(in_doubt, rows)
            landed = begun is not None and self._kept.dump() != before
            problems += problems_of_kept(rows, self._kept, where="reopened")
            problems += problems_of_repeating(store, self._kept, begun or self._some(), rows)
            problems += problems_of_kept_store(store, self._kept)
        return UpkeepRound(
            killed_at=killed_at,
            exit_status=status,
            acknowledged=acknowledged,
            in_doubt=None if begun is None else begun["op"],
            landed=landed,
            problems=problems,
        )

    def _some(self) -> Op:
        return some(self._kept, UPKEEP[self._number % len(UPKEEP)])

    def _read(self, notes: Path) -> tuple[int, list[Op], str | None]:
        """Take in what was noted: how many commits were answered, what was not, where the program died."""
        begun: dict[int, Op] = {}
        commits, killed_at = 0, None
        for line in notes.read_text().splitlines():
            record = json.loads(line)
            if "begun" in record:
                begun[record.pop("begun")] = self._kept.begin(record)
            elif "killed_at" in record:
                killed_at = record["killed_at"]
            else:
                op = begun.pop(record["answered"])
                commits += op["op"] == "commit"
                self._kept.apply(op)
        return commits, list(begun.values()), killed_at

    def _settle_doubts(self, in_doubt: list[Op], rows: Rows) -> Op | None:
        """Find out what landed that was never answered; give the upkeep that was not."""
        facts = facts_of(rows)
        upkeep = None
        for op in in_doubt:
            if op["op"] not in {*UPKEEP, "lease", "claim"} and has_landed(op, facts):
                self._kept.apply(op)
        for op in in_doubt:
            if op["op"] in UPKEEP:
                upkeep = op
                self._kept.land(op, rows)
        return upkeep
