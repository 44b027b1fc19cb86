"""The one bridge from the event loop to a store: its methods block, so they run on a thread of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from lash_host.contracts.store import SessionStore

__all__ = ["StoreGateway"]

P = ParamSpec("P")
T = TypeVar("T")


class StoreGateway:
    """Calls a store without blocking the loop, one call at a time."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lash-store")

    async def call(self, method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a method of the store on its thread.

        Once begun it is carried out even if the caller is cancelled meanwhile.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(method, *args, **kwargs))

    async def close(self) -> None:
        """Close the store after what is under way."""
        await self.call(self.store.close)
        self._thread.shutdown(wait=False)
