"""Holding a session's execution lease for as long as somebody works on the session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from lash_host.domain.lease import LeaseAcquired, LeaseFence, LeaseOwner
from lash_host.errors import SessionBusy, SessionLeaseExpired, SessionLeaseLost, StoreError
from lash_host.runtime.services import HostServices

__all__ = ["HeldLease", "hold_lease"]

_log = logging.getLogger("lash_host")


class HeldLease:
    """A lease that is held and renewed in the background."""

    def __init__(self, services: HostServices, fence: LeaseFence, *, on_lost: Callable[[], None]) -> None:
        self.fence = fence
        self._services = services
        self._on_lost = on_lost
        self._lost = False
        self._released = False
        self._renewal = asyncio.create_task(self._renew(), name=f"lash-lease-{fence.session_id}")

    def ensure_held(self) -> None:
        """Check before writing.

        Raises:
            SessionLeaseLost: A renewal failed.
        """
        if self._lost:
            raise SessionLeaseLost(self.fence.session_id)

    def mark_released(self) -> None:
        """Note that a commit released the lease."""
        self._released = True

    def leave_to_expire(self) -> None:
        """Note that it is not known whether a commit landed: whoever comes next waits for the expiry."""
        self._released = True

    async def _renew(self) -> None:
        timings, store = self._services.lease_timings, self._services.store
        while True:
            await self._services.clock.sleep(timings.renew_interval_ms / 1000)
            try:
                await store.call(store.store.renew_lease, self.fence, ttl_ms=timings.ttl_ms)
            except StoreError:
                self._lost = True
                self._on_lost()
                return

    async def __aenter__(self) -> HeldLease:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._renewal.cancel()
        await asyncio.gather(self._renewal, return_exceptions=True)
        if self._released or self._lost:
            return
        store = self._services.store
        try:
            await store.call(store.store.release_lease, self.fence)
        except StoreError:
            if exc is None:
                raise
            _log.warning("the lease of session %s could not be released and will expire", self.fence.session_id)


@contextlib.asynccontextmanager
async def hold_lease(
    services: HostServices, session_id: str, owner: LeaseOwner, *, on_lost: Callable[[], None] = lambda: None
) -> AsyncIterator[HeldLease]:
    """Hold a session's execution lease, taking it over from a holder that is provably dead.

    Raises:
        SessionBusy: Somebody alive, or not provably dead, holds it.
    """
    store, ttl_ms = services.store, services.lease_timings.ttl_ms
    answer = await store.call(store.store.claim_lease, session_id, owner, ttl_ms=ttl_ms)
    if not isinstance(answer, LeaseAcquired):
        answer = await store.call(store.store.reclaim_lease, session_id, owner, observed=answer.holder, ttl_ms=ttl_ms)
    if not isinstance(answer, LeaseAcquired):
        raise SessionBusy(session_id, holder=answer.holder.owner.describe())
    async with HeldLease(services, answer.lease.fence, on_lost=on_lost) as lease:
        try:
            yield lease
        except SessionLeaseExpired as exc:
            raise SessionLeaseLost(session_id) from exc
