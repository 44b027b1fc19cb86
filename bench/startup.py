"""How long it takes to import the package and to show the command's help, in fresh processes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time

from bench.tables import median, milliseconds, print_table

ROUNDS = 11
CASES = {
    "bare interpreter": ["-c", "pass"],
    "import pydantic": ["-c", "import pydantic.main"],
    "import lash_host": ["-c", "import lash_host"],
    "lash --help": ["-m", "lash_host", "--help"],
    "import agents (openai-agents)": ["-c", "import agents"],
}


def main(*, quick: bool = False) -> None:
    """Run every case in turn, several times."""
    cases = {name: args for name, args in CASES.items() if "agents" not in name or importlib.util.find_spec("agents")}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(1 if quick else ROUNDS):
        for name, args in cases.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *args], check=True, capture_output=True)
            times[name].append(time.perf_counter() - started)
    rows = [(name, milliseconds(median(t)), milliseconds(min(t))) for name, t in times.items()]
    print_table("Start-up, whole processes", ["", "median ms", "min ms"], rows)
