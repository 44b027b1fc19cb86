"""Holding a session's execution lease for as long as somebody works on the session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from lash_host.domain.lease import LeaseAcquired, LeaseBusy, LeaseFence, LeaseOwner
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
        self._renewal.cancel()

    async def _renew(self) -> None:
        timings, store = self._services.lease_timings, self._services.store
        while True:
            await self._services.clock.sleep(timings.renew_interval_ms / 1000)
            try:
                await store.call(store.store.renew_lease, self.fence, ttl_ms=timings.ttl_ms)
            except Exception as exc:  # noqa: BLE001  whatever it was: the lease will not be held much longer
                if not self._released:
                    _log.warning("the lease of session %s could not be renewed: %s", self.fence.session_id, exc)
                    self._lost = True
                    self._on_lost()
                return

    async def __aenter__(self) -> HeldLease:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._renewal.cancel()
        try:
            await asyncio.wait({self._renewal})
        finally:
            if not self._released:
                await _release(self._services, self.fence)


async def _release(services: HostServices, fence: LeaseFence) -> None:
    """Give a lease up. What was done under it stands even if that fails: then the lease expires."""
    try:
        await services.store.call(services.store.store.release_lease, fence)
    except StoreError as exc:
        _log.warning("the lease of session %s could not be released and will expire: %s", fence.session_id, exc)


@contextlib.asynccontextmanager
async def hold_lease(
    services: HostServices, session_id: str, owner: LeaseOwner, *, on_lost: Callable[[], None] = lambda: None
) -> AsyncIterator[HeldLease]:
    """Hold a session's execution lease, taking it over from a holder that is provably dead.

    Raises:
        SessionBusy: Somebody alive, or not provably dead, holds it.
    """
    answer = await _claim(services, session_id, owner)
    if not isinstance(answer, LeaseAcquired):
        raise SessionBusy(session_id, holder=answer.holder.owner.describe())
    async with HeldLease(services, answer.lease.fence, on_lost=on_lost) as lease:
        try:
            yield lease
        except SessionLeaseExpired as exc:
            raise SessionLeaseLost(session_id) from exc


async def _claim(services: HostServices, session_id: str, owner: LeaseOwner) -> LeaseAcquired | LeaseBusy:
    """Claim a lease; when cancelled meanwhile, give it up again, so that nobody has to wait for it to expire."""
    store, ttl_ms = services.store, services.lease_timings.ttl_ms
    answer, cancelled = await store.settle(store.store.claim_lease, session_id, owner, ttl_ms=ttl_ms)
    if isinstance(answer, LeaseBusy) and not cancelled:
        answer, cancelled = await store.settle(
            store.store.reclaim_lease, session_id, owner, observed=answer.holder, ttl_ms=ttl_ms
        )
    if cancelled:
        if isinstance(answer, LeaseAcquired):
            await _release(services, answer.lease.fence)
        raise asyncio.CancelledError
    return answer
