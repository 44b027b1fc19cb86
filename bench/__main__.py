"""Runs benchmarks: ``python -m bench`` for all of them, ``python -m bench turns hooks`` for some.

With ``--quick`` they are small and say little: that is for trying them out.
"""

from __future__ import annotations

import importlib
import os
import sys

BENCHMARKS = {
    "startup": "importing the package and showing the help of the command",
    "hooks": "calling a hook with ten implementations",
    "turns": "a whole durable turn with one tool call",
    "commits": "a turn's commit, in sessions and stores of several sizes",
    "group_commits": "64 sessions committing at once",
    "opening": "opening a store and loading a session, long ones too",
    "bytes_written": "what a turn writes, and how the file grows",
    "owner_memory": "the memory of a process that touches many sessions",
    "postgresql": "commits and loads on a PostgreSQL server",
    "queue_claims": "four processes that take work from one database on a PostgreSQL server",
    "usage_rollup": "rolling up a million model calls",
}


def main() -> int:
    """Run what the command line names."""
    quick = "--quick" in sys.argv
    names = [name for name in sys.argv[1:] if name != "--quick"] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are:")
        for name, what in BENCHMARKS.items():
            print(f"  {name:14s} {what}")
        return 2
    for name in names:
        print(f"{name}: {BENCHMARKS[name]} ({os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before it)")
        importlib.import_module(f"bench.{name}").main(quick=quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
