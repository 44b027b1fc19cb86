"""Programs that wait for questions: a line of JSON each, and a line of JSON is the answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Program"]

_HERE = Path(__file__).resolve().parents[1]


class Program:
    """A Python program that runs until it is closed."""

    def __init__(self, *command: str, said: Path) -> None:
        """Start it.

        Args:
            command: What Python is to run.
            said: A file that its standard error is added to.
        """
        self._said = said
        with said.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**os.environ, "PYTHONPATH": str(_HERE)},
            )  # fmt: skip

    def said(self) -> str:
        """Give the last of what it and others said on standard error."""
        return self._said.read_text(errors="replace")[-4000:]

    def ask(self, question: dict[str, Any]) -> Any:
        """Ask, and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self.said()
        return json.loads(answer)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
