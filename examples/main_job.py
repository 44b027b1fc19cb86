"""The main job, command by command: a session that uses tools, goes on in another process, and is asked about in SQL.

Needs no key and no server. Everything it makes lies in the folder `lash-demo`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = (
    ("run", "List the files in docs, then read README.md and tell me the two commands.", "-s", "demo"),
    ("run", "What did I ask before?", "-s", "demo"),
    ("usage", "--by", "model"),
    ("sql", "select tool_name, status, count(*) as calls from usage.tool_calls group by all order by all"),
)


def main() -> int:
    """Run the commands, each in a process of its own; give the first exit status that is not 0."""
    environment = {**os.environ, "LASH_STORE": str(ROOT / "lash-demo" / "sessions.duckdb")}
    for command in COMMANDS:
        print(f"\n$ lash {shlex.join(command)}", flush=True)
        done = subprocess.run(  # noqa: S603  our own commands
            [sys.executable, "-m", "lash_host", *command], cwd=ROOT, env=environment, check=False
        )
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
