"""Texts of two KiB, words with some numbers between them: neither all alike nor noise. The same in every run."""

from __future__ import annotations

import random

__all__ = ["texts"]

_BYTES = 2048
_WORDS = (
    "session", "turn", "store", "commit", "node", "leaf", "frame", "tool", "call", "result", "answer", "question",
    "plan", "step", "check", "file", "line", "table", "row", "column", "query", "model", "token", "cost", "time",
    "plugin", "hook", "state", "lease", "fence", "head", "queue", "claim", "input", "work", "wait",
)  # fmt: skip


def texts(count: int) -> list[str]:
    """Make different texts."""
    generator = random.Random(20261122)  # noqa: S311
    return [_text(generator) for _ in range(count)]


def _text(generator: random.Random) -> str:
    words: list[str] = []
    size = 0
    while size < _BYTES:
        word = f"{generator.getrandbits(40):x}" if generator.random() < 0.2 else generator.choice(_WORDS)
        words.append(word)
        size += len(word) + 1
    return " ".join(words)[:_BYTES]
