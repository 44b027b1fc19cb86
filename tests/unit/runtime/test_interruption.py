"""Giving up what runs for a turn."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lash_host.runtime import interruption
from lash_host.runtime.interruption import TurnInterrupted, give_up, unless_cancelled


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def test_what_ends_by_itself_gives_its_result() -> None:
    assert await unless_cancelled(answer(), asyncio.Event()) == 42


async def test_what_begins_after_the_cancellation_does_not_begin() -> None:
    cancelled, began = asyncio.Event(), []

    async def work() -> None:
        began.append(True)

    cancelled.set()
    with pytest.raises(TurnInterrupted):
        await unless_cancelled(work(), cancelled)
    assert began == []


async def test_what_is_under_way_is_cancelled_and_cleans_up() -> None:
    cancelled, began, cleaned = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    task = asyncio.create_task(unless_cancelled(work(), cancelled))
    await began.wait()
    cancelled.set()
    with pytest.raises(TurnInterrupted):
        await task
    assert cleaned == [True]


async def test_an_error_passes_and_one_of_the_cancellation_does_not() -> None:
    cancelled = asyncio.Event()

    async def fail() -> None:
        raise ValueError("no")

    async def fail_because_of_it() -> None:
        cancelled.set()
        raise ValueError("it was cancelled")

    with pytest.raises(ValueError, match="no"):
        await unless_cancelled(fail(), cancelled)
    with pytest.raises(TurnInterrupted):
        await unless_cancelled(fail_because_of_it(), cancelled)


async def test_what_cancels_itself_has_failed() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled itself"):
        await unless_cancelled(work(), asyncio.Event())


async def test_a_cancellation_of_the_caller_goes_through() -> None:
    ended = []

    async def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        ended.append(True)

    task = asyncio.create_task(unless_cancelled(work(), asyncio.Event()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_what_will_not_end_is_left_behind_and_its_error_told(monkeypatch, caplog) -> None:
    monkeypatch.setattr(interruption, "UNWIND_S", 0.001)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        raise ValueError("too late")

    task = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    await give_up(task)
    assert not task.done()
    release.set()
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert "not waiting for it" in caplog.text
    assert "ValueError: too late" in caplog.text


async def test_what_is_done_needs_no_giving_up() -> None:
    task = asyncio.ensure_future(answer())
    await task
    await give_up(task)
    assert task.result() == 42
