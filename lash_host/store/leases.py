"""The session execution lease, as columns of the session's row."""

from __future__ import annotations

from lash_host.domain.lease import (
    LeaseAcquired,
    LeaseBusy,
    LeaseFence,
    LeaseOwner,
    SessionLease,
    decide_claim,
    decide_reclaim,
    holds,
)
from lash_host.errors import SessionLeaseExpired
from lash_host.store.head import Head
from lash_host.store.settling import recover_stranded
from lash_host.store.work import Work

__all__ = ["claim", "reclaim", "release", "renew"]


def claim(work: Work, session_id: str, owner: LeaseOwner, *, ttl_ms: int) -> LeaseAcquired | LeaseBusy:
    """Claim a session; see `LeaseStore.claim_lease`."""
    head = work.ensure_head(session_id)
    decision = decide_claim(
        session_id, head.lease, owner, now_ms=work.now_ms, ttl_ms=ttl_ms, new_token=work.new_token()
    )
    return _granted(work, head, decision)


def reclaim(
    work: Work, session_id: str, owner: LeaseOwner, *, observed: LeaseFence, ttl_ms: int
) -> LeaseAcquired | LeaseBusy:
    """Take over from a dead holder; see `LeaseStore.reclaim_lease`."""
    head = work.ensure_head(session_id)
    holder = head.lease.owner
    decision = decide_reclaim(
        session_id,
        head.lease,
        owner,
        observed=observed,
        holder_is_dead=holder is not None and work.owner_is_dead(holder),
        now_ms=work.now_ms,
        ttl_ms=ttl_ms,
        new_token=work.new_token(),
    )
    return _granted(work, head, decision)


def renew(work: Work, fence: LeaseFence, *, ttl_ms: int) -> SessionLease:
    """Extend a lease; see `LeaseStore.renew_lease`."""
    head = work.head(fence.session_id)
    if head is None or not holds(head.lease, fence, now_ms=work.now_ms):
        raise SessionLeaseExpired(fence.session_id)
    lease = SessionLease(fence=fence, claimed_at_ms=head.row["lease_claimed_at_ms"], expires_at_ms=work.now_ms + ttl_ms)
    work.hold(head.with_lease(lease))
    return lease


def release(work: Work, fence: LeaseFence) -> None:
    """Give a lease up; see `LeaseStore.release_lease`."""
    head = work.head(fence.session_id)
    if head is not None and holds(head.lease, fence, now_ms=work.now_ms):
        work.hold(head.changed({"lease_token": None}))


def _granted(work: Work, head: Head, decision: LeaseAcquired | LeaseBusy) -> LeaseAcquired | LeaseBusy:
    if isinstance(decision, LeaseAcquired):
        if decision.kind != "reentry":
            head = recover_stranded(work, head)
        work.hold(head.with_lease(decision.lease))
    return decision
