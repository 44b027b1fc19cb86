"""The one bridge from the event loop to a store: its methods block, so they run on threads of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from lash_host.contracts.store import SessionStore
from lash_host.errors import StoreError

__all__ = ["StoreGateway"]

P = ParamSpec("P")
T = TypeVar("T")

_MOST_AT_ONCE = 64


class StoreGateway:
    """Calls a store without blocking the loop.

    Calls made at the same time run at the same time, so that a store may write what waits together. Who needs one after
    another waits for the first.
    """

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self._threads = ThreadPoolExecutor(max_workers=_MOST_AT_ONCE, thread_name_prefix="lash-store")
        self._under_way: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def call(self, method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a method of the store on a thread.

        It is carried out even if the caller is cancelled meanwhile; the cancellation goes on after its end.

        Raises:
            StoreError: The host was closed; or what the method raises.
        """
        result, cancelled = await self.settle(method, *args, **kwargs)
        if cancelled:
            raise asyncio.CancelledError
        return result

    async def settle(self, method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> tuple[T, bool]:
        """Do as `call`, for callers that must know what came of it even when they are cancelled meanwhile.

        Returns:
            The result, and whether the caller was cancelled: it must raise `asyncio.CancelledError` once it has dealt
            with the result.

        Raises:
            asyncio.CancelledError: The caller was cancelled, and the method failed.
        """
        if self._closed:
            raise StoreError("the host was closed; open it again with lash_host.open")
        work = asyncio.get_running_loop().run_in_executor(self._threads, partial(method, *args, **kwargs))
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        cancellation: asyncio.CancelledError | None = None
        while not work.done():
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError as exc:
                cancellation = exc
        failure = work.exception()
        if failure is None:
            return work.result(), cancellation is not None
        if cancellation is not None:
            raise cancellation from failure
        raise failure

    async def close(self) -> None:
        """Close the store after what is under way. Closing twice is no error."""
        if self._closed:
            return
        while self._under_way:
            await asyncio.wait(self._under_way)
        try:
            await self.call(self.store.close)
        finally:
            self._closed = True
            self._threads.shutdown(wait=False)
