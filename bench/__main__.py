"""Runs benchmarks: ``python -m bench`` for all of them, ``python -m bench turns hooks`` for some."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = {
    "startup": "importing the package and showing the help of the command",
    "hooks": "calling a hook with ten implementations",
    "turns": "a whole durable turn with one tool call",
    "commits": "a turn's commit and loading a session, at several sizes",
    "usage_rollup": "rolling up a million model calls",
}


def main() -> int:
    """Run what the command line names."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are:")
        for name, what in BENCHMARKS.items():
            print(f"  {name:14s} {what}")
        return 2
    for name in names:
        importlib.import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
