"""Rounds: start a writer, kill it, look at what it left, let another go on from there."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crashing.model import Expected, Op
from crashing.programs import Program
from crashing.verify import Problem, Rows, facts_of, has_landed, problems_of_rows, problems_of_store, queries
from crashing.writer import Notes, Writer
from lash_host.contracts.store import SessionStore
from lash_host.errors import LashError
from lash_host.store import open_store
from lash_host.usage.views import builtin_views

__all__ = ["CrashRounds", "Kill", "Round", "kills", "wait_until_alone"]

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
_THREADS, _SESSIONS_EACH = 4, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When a writer is killed: the nth time it comes by a point, or a while after it was told to begin.

    Attributes:
        point: The name of the point; None: at a time.
        nth: Which time.
        delay_s: So much later than it came by there, in the middle of whatever it does by then.
        after_s: When to kill; for one that shall die at a point: when to give up waiting for that.
        after_first_answer: Whether the time counts from the writer's first answer, not from its orders.
        fold_entries: After so many entries the writer folds its log.
        checkpoint_after_bytes: After a fold the writer makes a checkpoint if its write-ahead log is so long.
    """

    point: str | None = None
    nth: int = 1
    delay_s: float = 0.0
    after_s: float = 60.0
    after_first_answer: bool = True
    fold_entries: int = 32
    checkpoint_after_bytes: int = 16 << 20

    def describe(self) -> str:
        """Name it in a word or two."""
        if self.point is not None:
            return self.point
        return "any time" if self.after_first_answer else "opening"


def kills(seed: object, *, points: Sequence[str]) -> Iterator[Kill]:
    """Give kills for ever: at each point, while opening, at any time; and the first of each kind early."""
    chance = random.Random(f"kills/{seed}")  # noqa: S311 - no secret
    while True:
        for point in (*points, "opening", "any time", "any time"):
            entries, size = chance.choice((8, 32, 64)), chance.choice((50 << 10, 500 << 10, 16 << 20))
            common: dict[str, Any] = {"fold_entries": entries, "checkpoint_after_bytes": size}
            if point == "opening":
                yield Kill(after_s=chance.uniform(0.0, 0.15), after_first_answer=False, **common)
            elif point == "any time":
                yield Kill(after_s=chance.uniform(0.0, 0.6), **common)
            else:
                nth = chance.randint(1, 3) if "fold" in point else chance.randint(1, 150)
                delay = chance.choice((0.0, chance.uniform(0.0, 0.03 if "fold" in point else 0.003)))
                yield Kill(point=point, nth=nth, delay_s=delay, **common)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round showed.

    Attributes:
        kill: How the writer was to be killed.
        killed_at: The point at which it killed itself; None where it was killed at a time.
        exit_status: How it ended: minus the signal's number.
        acknowledged: Commits that it was told had landed.
        in_doubt: Operations that were never answered.
        landed: How many of those are in the store all the same.
        recovery_ms: How long opening took afterwards.
        problems: What is not as it must be.
    """

    kill: Kill
    killed_at: str | None
    exit_status: int
    acknowledged: int
    in_doubt: int
    landed: int
    recovery_ms: float
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Seen:
    recovery_s: float
    problems: list[Problem]


class CrashRounds:
    """One store, written to by one killed process after another."""

    def __init__(self, folder: Path, *, seed: object, url: str | None = None) -> None:
        """Begin with an empty store.

        Args:
            folder: An empty folder for everything.
            seed: Decides what the writers do.
            url: A database on a server; None: a DuckDB file in the folder.
        """
        self._folder, self._seed, self._number = folder, seed, 0
        self._place = folder / "store"
        self._place.mkdir()
        self._url = str(self._place / "store.duckdb") if url is None else url
        self._is_file = url is None
        self._expected, self._no_notes = Expected(), Notes(os.devnull)
        names = [f"{chr(ord('a') + n)}" for n in range(_THREADS * _SESSIONS_EACH)]
        self._sessions = [names[n::_THREADS] for n in range(_THREADS)]
        said = folder / "said"
        self._workers = Program("-m", "crashing.worker", said=said)
        self._plain = Program(str(Path(__file__).with_name("plain.py")), said=said)

    def close(self) -> None:
        """End the processes that wait."""
        for program in (self._workers, self._plain):
            program.close()

    def run(self, kill: Kill) -> Round:
        """Let a writer run until it is killed, and look at what it left.

        Of a file a copy is looked at, so that the next writer has to recover by itself; every third time the file.
        """
        self._number += 1
        notes = self._folder / f"notes-{self._number}"
        status = self._run_writer(kill, notes)
        answered, in_doubt, problems, killed_at = self._read(notes)
        if status != -signal.SIGKILL:
            problems.append(Problem("stuck", f"the writer ended with {status}: {self._workers.said()}"))
        if self._is_file:
            with self._copy() as copy:
                rows = self._read_plainly(copy)
                landed = self._settle_doubts(in_doubt, rows)
                problems += problems_of_rows(rows, self._expected, where="plain DuckDB")
                if self._number % 3 == 0:
                    seen = self._inspect(self._url, expected=self._expected)
                else:
                    seen = self._inspect(str(copy), expected=Expected.load(self._expected.dump()))
        else:
            landed = self._settle_doubts(in_doubt, self._read_from_server())
            seen = self._inspect(self._url, expected=self._expected)
        return Round(
            kill=kill,
            killed_at=killed_at,
            exit_status=status,
            acknowledged=sum(op["op"] == "commit" for op in answered),
            in_doubt=len(in_doubt),
            landed=landed,
            recovery_ms=seen.recovery_s * 1000,
            problems=problems + seen.problems,
        )

    def _run_writer(self, kill: Kill, notes: Path) -> int:
        """Have a writer run until it is killed; give its exit status."""
        notes.touch()
        orders = {
            "url": self._url, "notes": str(notes), "seed": f"{self._seed}/{self._number}", "sessions": self._sessions,
            "expected": self._expected.dump(), **asdict(kill),
        }  # fmt: skip
        status: int = self._workers.ask(orders)
        return status

    def _read(self, notes: Path) -> tuple[list[Op], list[Op], list[Problem], str | None]:
        """Take in what a writer noted: what was answered, what was not, what is wrong with answers, where it died."""
        begun: dict[int, Op] = {}
        answered: list[Op] = []
        problems: list[Problem] = []
        killed_at = None
        for line in notes.read_text().splitlines():
            record = json.loads(line)
            if "begun" in record:
                begun[record.pop("begun")] = record
            elif "killed_at" in record:
                killed_at = record["killed_at"]
            else:
                op = begun.pop(record["answered"])
                answered.append(op)
                if (problem := self._expected.apply(op)) is not None:
                    problems.append(Problem("token", problem))
        return answered, list(begun.values()), problems, killed_at

    def _settle_doubts(self, in_doubt: Sequence[Op], rows: Rows) -> int:
        """Find out which operations landed that were never answered: what must be there is then known for certain."""
        facts = facts_of(rows)
        landed = [op for op in in_doubt if op["op"] not in {"lease", "claim"} and has_landed(op, facts)]
        for op in landed:
            self._expected.apply(op)
        return len(landed)

    def _read_from_server(self) -> Rows:
        """Ask the server, once it has noticed that nobody is there any more."""
        wait_until_alone(self._url)
        store = open_store(self._url)
        try:
            store.install_views(builtin_views())
            return _rows(store, "lash_rows")
        finally:
            store.close()

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        """Copy the file with its log and everything beside it, as the crash left them."""
        copy = self._folder / "copy"
        shutil.copytree(self._place, copy)
        try:
            yield copy / "store.duckdb"
        finally:
            shutil.rmtree(copy)

    def _read_plainly(self, path: Path) -> Rows:
        """Let a process that knows DuckDB alone read a file. What was never made has no rows."""
        rows: Rows = self._plain.ask({"path": str(path), "queries": queries("lash_rows")})
        return rows

    def _inspect(self, url: str, *, expected: Expected) -> _Seen:
        """Open what the writer left, look at everything, go on with some sessions, and look again.

        Args:
            url: The store.
            expected: What must be there; told of what is done here.
        """
        started = time.perf_counter()
        try:
            store = open_store(url)
        except LashError as exc:
            return _Seen(0.0, [Problem("stuck", f"the store cannot be opened: {exc!r}")])
        recovery_s = time.perf_counter() - started
        try:
            store.install_views(builtin_views())
            problems = problems_of_rows(_rows(store, "lash_rows"), expected, where="reopened")
            try:
                some = self._sessions[self._number % _THREADS]
                Writer(store, some, expected=expected, notes=self._no_notes, seed=self._number).go_on()
            except (AssertionError, LashError) as exc:
                problems.append(Problem("stuck", f"the sessions do not go on: {exc!r}"))
            store._engine.fold()
            problems += problems_of_rows(_rows(store, "lash_tables"), expected, where="gone on")
            problems += problems_of_store(store, expected)
        finally:
            store.close()
        return _Seen(recovery_s, problems)


def wait_until_alone(url: str) -> None:
    """Wait until a server has noticed that nobody but us is there any more."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(_OTHERS).fetchall() != [(0,)]:
            connection.execute("SELECT pg_sleep(0.01)")


def _rows(store: SessionStore, schema: str) -> Rows:
    return {name: store.query(sql).fetchall() for name, sql in queries(schema).items()}
