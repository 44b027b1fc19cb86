"""Giving up what runs for a turn once the turn is cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["UNWIND_S", "TurnInterrupted", "give_up", "unless_cancelled"]

_log = logging.getLogger("lash_host")

T = TypeVar("T")

UNWIND_S = 1.0
"""Real seconds that something given up has to clean up. Who takes longer is not waited for any more."""


class TurnInterrupted(Exception):
    """The turn was cancelled while something ran for it, which was given up."""


async def unless_cancelled(work: Coroutine[Any, Any, T], cancelled: asyncio.Event) -> T:
    """Wait for ``work``, but not beyond the turn's cancellation.

    Raises:
        TurnInterrupted: The turn was cancelled first.
        RuntimeError: The work cancelled itself, although nobody had asked for it.
        Anything: What ``work`` raises.
    """
    if cancelled.is_set():
        work.close()
        raise TurnInterrupted
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        was_done = task.done()
        await give_up(task)
    if not was_done:
        raise TurnInterrupted
    error = RuntimeError("it cancelled itself") if task.cancelled() else task.exception()
    if error is None:
        return task.result()
    if cancelled.is_set():
        raise TurnInterrupted from error
    raise error


async def give_up(task: asyncio.Task[T]) -> None:
    """Cancel a task unless it is done, and give it a moment to end."""
    if task.done():
        return
    task.cancel()
    task.add_done_callback(_told)
    _, pending = await asyncio.wait({task}, timeout=UNWIND_S)
    if pending:
        _log.warning("%s did not end when it was cancelled; not waiting for it", task.get_coro())


def _told(task: asyncio.Task[T]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("what was cancelled with its turn ended with %s: %s", type(error).__name__, error)
