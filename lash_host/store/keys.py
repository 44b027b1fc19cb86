"""Keys that grow with time."""

from __future__ import annotations

__all__ = ["KeySequence"]

_KEYS_PER_MICROSECOND = 1 << 10
"""Leaves room in 64 bits until the year 2255."""


class KeySequence:
    """Gives 64-bit keys, each greater than all before it, even where the clock turns back."""

    def __init__(self, last: int) -> None:
        """Go on after ``last``, the greatest key in use."""
        self._last = last

    @property
    def last(self) -> int:
        """The greatest key in use."""
        return self._last

    def next(self, now_us: int) -> int:
        """Give a key for something made at ``now_us``."""
        return self.take(1, now_us=now_us).start

    def take(self, count: int, *, now_us: int) -> range:
        """Give ``count`` keys in a row."""
        first = max(self._last + 1, now_us * _KEYS_PER_MICROSECOND)
        self._last = first + count - 1
        return range(first, first + count)
