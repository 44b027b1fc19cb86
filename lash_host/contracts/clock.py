"""The clock every time in the system comes from."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Tells the time and waits. Tests pass one that moves when told."""

    def now_us(self) -> int:
        """Give the wall time: microseconds since 1970 in UTC. Stored; may jump."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never go back. Only differences mean anything; never stored."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_us(self) -> int:
        """Give the wall time in microseconds."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Give the monotonic time in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(seconds)
