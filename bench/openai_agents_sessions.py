"""Turns written into the session stores of openai-agents, at their defaults."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["SQLite", "add_turn", "is_installed", "turn_items"]

T = TypeVar("T")


def is_installed() -> bool:
    """Whether openai-agents is."""
    return importlib.util.find_spec("agents") is not None


def turn_items(number: int, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Make the four items of a turn, of one text each."""
    user, asked, found, answer = (texts[(number * 4 + n) % len(texts)] for n in range(4))
    call_id = f"call_{number}"
    return [
        {"role": "user", "content": user},
        {"type": "function_call", "call_id": call_id, "name": "search", "arguments": json.dumps({"q": asked})},
        {"type": "function_call_output", "call_id": call_id, "output": found},
        {"role": "assistant", "content": answer},
    ]


async def add_turn(session: Any, items: list[dict[str, Any]], *, writes: int) -> None:
    """Write a turn: at once, or in three writes as the runner of openai-agents does."""
    if writes == 1:
        await session.add_items(items)
    else:
        await session.add_items(items[:1])
        await session.add_items(items[1:3])
        await session.add_items(items[3:])


class SQLite:
    """One session in a file, used from outside asyncio."""

    def __init__(self, path: Path, session_id: str = "s") -> None:
        from agents import SQLiteSession

        self._loop = asyncio.new_event_loop()
        self._session = SQLiteSession(session_id, str(path))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something."""
        return self._loop.run_until_complete(work)

    def prefill(self, events: int, texts: Sequence[str]) -> None:
        """Write events, many at a time."""
        for first in range(0, events, 400):
            turns = range(first // 4, min(first + 400, events + 3) // 4)
            items = [item for number in turns for item in turn_items(number, texts)]
            self.run(self._session.add_items(items[: events - first]))

    def add_turn(self, items: list[dict[str, Any]], *, writes: int) -> None:
        """Write a turn."""
        self.run(add_turn(self._session, items, writes=writes))

    def load(self) -> list[Any]:
        """Read all items."""
        return list(self.run(self._session.get_items()))

    def close(self) -> None:
        """Close its connections."""
        self._session.close()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
