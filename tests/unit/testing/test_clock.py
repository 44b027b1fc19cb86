"""The clock that moves when told."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lash_host.testing import ManualClock


def test_time_stands_still_until_it_is_advanced():
    clock = ManualClock(1_000_000)
    assert (clock.now_us(), clock.monotonic()) == (1_000_000, 0.0)
    clock.advance(1.5)
    assert (clock.now_us(), clock.monotonic()) == (2_500_000, 1.5)


def test_small_steps_add_up_exactly():
    clock = ManualClock()
    for _ in range(10):
        clock.advance(0.1)
    assert clock.monotonic() == 1.0


def test_setting_the_wall_time_leaves_the_monotonic_time_alone():
    clock = ManualClock()
    clock.advance(2)
    clock.set(5)
    assert (clock.now_us(), clock.monotonic()) == (5, 2.0)


def test_time_does_not_run_backwards():
    with pytest.raises(ValueError, match="backwards"):
        ManualClock().advance(-1)


async def _sleep_and_tell(clock: ManualClock, seconds: float, told: list[float]) -> None:
    await clock.sleep(seconds)
    told.append(seconds)


def test_sleepers_wake_when_their_time_has_come_the_earliest_first():
    async def scenario():
        clock, told = ManualClock(), []
        tasks = [asyncio.create_task(_sleep_and_tell(clock, seconds, told)) for seconds in (3, 1, 2)]
        await clock.until_sleeping(3)
        clock.advance(0.999)
        await asyncio.sleep(0)
        assert told == []
        clock.advance(1.001)
        await clock.until_sleeping(1)
        await asyncio.sleep(0)
        assert told == [1, 2]
        clock.advance(10)
        await asyncio.gather(*tasks)
        assert told == [1, 2, 3]
        assert clock.slept == [3, 1, 2]

    asyncio.run(scenario())


def test_a_cancelled_sleeper_is_forgotten():
    async def scenario():
        clock = ManualClock()
        task = asyncio.create_task(clock.sleep(5))
        await clock.until_sleeping()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert clock.sleepers == 0

    asyncio.run(scenario())


def test_auto_advance_moves_the_clock_and_returns():
    clock = ManualClock(0, auto_advance=True)
    asyncio.run(clock.sleep(90))
    assert (clock.now_us(), clock.monotonic(), clock.slept) == (90_000_000, 90.0, [90])


def test_sleeping_for_no_time_returns_at_once():
    clock = ManualClock(0)
    asyncio.run(clock.sleep(0))
    assert clock.now_us() == 0


def test_another_thread_may_advance_it():
    async def scenario():
        clock = ManualClock()
        sleeping = asyncio.create_task(clock.sleep(1))
        await clock.until_sleeping()
        thread = threading.Thread(target=clock.advance, args=(1,))
        thread.start()
        await sleeping
        thread.join()
        assert clock.monotonic() == 1.0

    asyncio.run(scenario())


def test_waiting_for_sleepers_that_never_come_fails():
    with pytest.raises(TimeoutError, match="0 of 1"):
        asyncio.run(ManualClock().until_sleeping())
