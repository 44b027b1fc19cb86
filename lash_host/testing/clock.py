"""A clock that moves when told."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

__all__ = ["ManualClock"]

_START_US = 1_767_225_600_000_000
"""2026-01-01 00:00:00 UTC."""


@dataclass(slots=True, eq=False)
class _Sleeper:
    deadline_us: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


@dataclass(eq=False)
class ManualClock:
    """A `Clock` whose time stands still until it is moved.

    Times are kept in whole microseconds, so that ten steps of 0.1 s are exactly one second. It may be read and moved
    from any thread; whoever sleeps is woken on its own event loop.

    Attributes:
        start_us: The wall time to start with, in UTC microseconds.
        auto_advance: `sleep` moves the clock itself and returns. Meant for retries; a task that sleeps in an endless
            loop would run away with the time.
        slept: Every wait that was asked for, in seconds, in order.
    """

    start_us: int = _START_US
    auto_advance: bool = field(default=False, kw_only=True)
    slept: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Stand at the start."""
        self._wall_us = self.start_us
        self._monotonic_us = 0
        self._sleepers: list[_Sleeper] = []
        self._lock = threading.RLock()

    def now_us(self) -> int:
        """Give the wall time in UTC microseconds."""
        return self._wall_us

    def monotonic(self) -> float:
        """Give the seconds the clock was advanced by; setting the wall time does not count."""
        return self._monotonic_us / 1_000_000

    @property
    def sleepers(self) -> int:
        """How many callers of `sleep` wait for the time to pass."""
        with self._lock:
            return len(self._sleepers)

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake those whose wait is over, the earliest first. They run when the caller next awaits.

        Raises:
            ValueError: ``seconds`` is negative; only `set` turns back, and only the wall time.
        """
        if seconds < 0:
            raise ValueError(f"time does not run backwards, got {seconds}")
        with self._lock:
            step_us = round(seconds * 1_000_000)
            self._wall_us += step_us
            self._monotonic_us += step_us
            due = sorted(
                (sleeper for sleeper in self._sleepers if sleeper.deadline_us <= self._monotonic_us),
                key=lambda sleeper: sleeper.deadline_us,
            )
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper not in due]
        here = _running_loop()
        for sleeper in due:
            if sleeper.loop is here:
                sleeper.wake()
            else:
                sleeper.loop.call_soon_threadsafe(sleeper.wake)

    def set(self, now_us: int) -> None:
        """Set the wall time alone, forward or back, as a machine's clock may be set. Nobody wakes."""
        with self._lock:
            self._wall_us = now_us

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by ``seconds``; at once, having moved it, with `auto_advance`."""
        self.slept.append(seconds)
        if seconds <= 0 or self.auto_advance:
            self.advance(max(seconds, 0))
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        with self._lock:
            deadline_us = self._monotonic_us + round(seconds * 1_000_000)
            sleeper = _Sleeper(deadline_us=deadline_us, loop=loop, future=loop.create_future())
            self._sleepers.append(sleeper)
        try:
            await sleeper.future
        finally:
            with self._lock:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)

    async def until_sleeping(self, count: int = 1) -> None:
        """Let other tasks run until at least ``count`` of them sleep.

        Raises:
            TimeoutError: They did not, in 10,000 rounds of the event loop.
        """
        for _ in range(10_000):
            if self.sleepers >= count:
                return
            await asyncio.sleep(0)
        raise TimeoutError(f"{self.sleepers} of {count} tasks sleep")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
