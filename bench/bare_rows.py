"""Rows for a bare insert, as long as a turn's row of our log, each made of a turn's events just before it is used."""

from __future__ import annotations

import json

from bench.openai_agents_sessions import turn_items
from bench.texts import texts

__all__ = ["Rows"]


class Rows:
    """Makes them."""

    def __init__(self, size: int) -> None:
        self._size, self._texts = size, texts(256)

    def make(self, number: int) -> tuple[int, str]:
        """Make a row: a number and a text of the size."""
        body = json.dumps(turn_items(number, self._texts))
        return number, (body + body)[: self._size]
