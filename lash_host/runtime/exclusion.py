"""One thing at a time: what a runtime is doing now, and how it is waited for and ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from lash_host.errors import SessionBusy, SessionClosed, TurnAborted
from lash_host.runtime.interruption import TurnInterrupted

__all__ = ["Exclusion", "Operation", "carry_to_end"]

_log = logging.getLogger("lash_host")

T = TypeVar("T")


class Operation:
    """Something a runtime does: a turn, or a change of its session.

    Attributes:
        is_turn: Whether it is a turn.
        is_abandoned: Says whether nobody can be waiting for it any more.
        cancelled: Set when it shall end.
        ended: Set when it has.
    """

    def __init__(self, *, is_turn: bool, is_abandoned: Callable[[], bool]) -> None:
        self.is_turn = is_turn
        self.is_abandoned = is_abandoned
        self.cancelled = asyncio.Event()
        self.ended = asyncio.Event()

    async def end(self) -> None:
        """Have it cancelled, and wait until it has ended."""
        self.cancelled.set()
        await self.ended.wait()


class Exclusion:
    """Lets one operation of a session be under way at a time, and none once it is closed."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._is_closed = False
        self.current: Operation | None = None
        """What is under way."""

    def ensure_free(self) -> None:
        """Check that something may begin.

        Raises:
            SessionClosed: Nothing may any more.
            SessionBusy: Something is under way.
        """
        if self._is_closed:
            raise SessionClosed(self._session_id)
        if self.current is not None:
            raise SessionBusy(self._session_id, holder="this runtime")

    @contextlib.asynccontextmanager
    async def hold(
        self, *, is_turn: bool = False, is_abandoned: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[Operation]:
        """Be what is under way. Waits for the end of what nobody waits for any more, and for nothing else.

        Raises:
            SessionClosed: The session is closed, or was so meanwhile.
            SessionBusy: Something is under way.
        """
        while self.current is not None and self.current.is_abandoned():
            await self.current.end()
        self.ensure_free()
        operation = self.current = Operation(is_turn=is_turn, is_abandoned=is_abandoned)
        try:
            yield operation
        except TurnInterrupted as exc:
            raise SessionClosed(self._session_id) from exc
        finally:
            self.current = None
            operation.ended.set()

    async def close(self) -> None:
        """Let nothing begin any more, and wait for the end of what is under way."""
        self._is_closed = True
        if self.current is not None:
            await self.current.end()


async def carry_to_end(work: Coroutine[Any, Any, T], operation: Operation, *, name: str) -> T:
    """Run a turn in a task of its own, so that cancelling the caller lets it end in order.

    A first cancellation asks the turn to end, and goes on when it has. A second one cancels what it is doing: then
    nothing of it is committed, unless that was done already.

    Raises:
        TurnAborted: It cancelled itself, although nobody had asked for it.
        Anything: What ``work`` raises.
    """
    task = asyncio.create_task(work, name=name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        operation.cancelled.set()
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                task.cancel()
        caller = asyncio.current_task()
        if task.cancelled() and caller is not None and not caller.cancelling():
            message = "something in the turn cancelled it from within"
            raise TurnAborted(message, code="cancelled_from_within") from None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("%s was cancelled, and failed: %s", name, error)
        raise
