"""Cells: what a benchmark measures, each in a process of its own, rounds interleaved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.tables import mean, median, quantile

__all__ = ["FIGURES", "Cases", "Cell", "measure", "median_of", "run", "serve", "timed"]

FIGURES = ("p10", "p50", "p95", "mean", "CPU")
"""What `timed` gives, all in seconds. The first says what it costs while nobody else uses the disk."""

T = TypeVar("T")

_WARM = 10
_ROOT = Path(__file__).resolve().parents[1]


Cases = Mapping[str, Callable[..., Any]]
"""What a module measures: each is given an empty folder, and its cell's arguments."""


def timed(make: Callable[[int], T], work: Callable[[T], object], turns: int) -> dict[str, float]:
    """Do something some times to warm up, then ``turns`` times.

    Args:
        make: Makes what the next work is done on; told which time it is. It counts neither as time nor as CPU, but what
            it does to the processor's caches, which a loop of nothing but work would keep, is as in a program.
        work: What is measured.
        turns: How often.
    """
    for number in range(_WARM):
        work(make(number))
    times, making = [], 0.0
    before = time.process_time()
    for number in range(_WARM, _WARM + turns):
        thread = time.thread_time()
        made = make(number)
        making += time.thread_time() - thread
        started = time.perf_counter()
        work(made)
        times.append(time.perf_counter() - started)
    spent = time.process_time() - before - making
    return {
        "p10": quantile(times, 0.1),
        "p50": median(times),
        "p95": quantile(times, 0.95),
        "mean": mean(times),
        "CPU": spent / turns,
    }


@dataclass(frozen=True, slots=True)
class Cell:
    """One case of a module, with what it is called with: texts and numbers."""

    module: str
    case: str
    arguments: tuple[Any, ...] = ()


def serve(cases: Cases) -> None:
    """Run the case that the command line names, in an empty folder; print what it gives."""
    with tempfile.TemporaryDirectory(prefix="lash-bench-") as place:
        answer = cases[sys.argv[1]](Path(place), *json.loads(sys.argv[2]))
    print(json.dumps(answer))


def run(cell: Cell) -> Any:
    """Run a cell in a process of its own; give what it found."""
    command = [sys.executable, "-m", cell.module, cell.case, json.dumps(cell.arguments)]
    environment = {**os.environ, "OPENAI_AGENTS_DISABLE_TRACING": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=_ROOT, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr or done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(cells: Mapping[str, Cell], *, rounds: int) -> dict[str, list[Any]]:
    """Run every cell once a round; give what each found, by its name."""
    found: dict[str, list[Any]] = {name: [] for name in cells}
    for _ in range(rounds):
        for name, cell in cells.items():
            found[name].append(run(cell))
    return found


def median_of(found: Sequence[Mapping[str, float]], figure: str) -> float:
    """Give the median over the rounds of one of the figures."""
    return median([one[figure] for one in found])
