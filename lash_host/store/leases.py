"""The session execution lease, as columns of the session's row."""

from __future__ import annotations

from lash_host.contracts.store import HolderIsDead
from lash_host.domain.lease import (
    LeaseAcquired,
    LeaseBusy,
    LeaseFence,
    LeaseOwner,
    LeaseRow,
    SessionLease,
    decide_claim,
    decide_reclaim,
    holds,
)
from lash_host.errors import SessionLeaseExpired
from lash_host.store.database import Transaction
from lash_host.store.heads import Head
from lash_host.store.sharing import SharedStore

__all__ = ["claim", "reclaim", "release", "renew"]


def claim(
    store: SharedStore, session_id: str, owner: LeaseOwner, *, ttl_ms: int, new_token: str, now_us: int
) -> LeaseAcquired | LeaseBusy:
    """Claim a session; see `LeaseStore.claim_lease`."""
    with store.database.write() as transaction:
        head = store.heads.get(transaction, session_id)
        row = LeaseRow() if head is None else head.lease
        decision = decide_claim(session_id, row, owner, now_ms=now_us // 1000, ttl_ms=ttl_ms, new_token=new_token)
        if isinstance(decision, LeaseAcquired):
            _grant(store, transaction, head, decision.lease, now_us)
        return decision


def reclaim(
    store: SharedStore,
    session_id: str,
    owner: LeaseOwner,
    *,
    observed: LeaseFence,
    holder_is_dead: HolderIsDead,
    ttl_ms: int,
    new_token: str,
    now_us: int,
) -> LeaseAcquired | LeaseBusy:
    """Take over from a dead holder; see `LeaseStore.reclaim_lease`."""
    with store.database.write() as transaction:
        head = store.heads.get(transaction, session_id)
        row = LeaseRow() if head is None else head.lease
        decision = decide_reclaim(
            session_id,
            row,
            owner,
            observed=observed,
            holder_is_dead=row.owner is not None and holder_is_dead(row.owner),
            now_ms=now_us // 1000,
            ttl_ms=ttl_ms,
            new_token=new_token,
        )
        if isinstance(decision, LeaseAcquired):
            _grant(store, transaction, head, decision.lease, now_us)
        return decision


def renew(store: SharedStore, fence: LeaseFence, *, ttl_ms: int, now_us: int) -> SessionLease:
    """Extend a lease; see `LeaseStore.renew_lease`."""
    now_ms = now_us // 1000
    with store.database.write() as transaction:
        head = store.heads.get(transaction, fence.session_id)
        if head is None or not holds(head.lease, fence, now_ms=now_ms):
            raise SessionLeaseExpired(fence.session_id)
        lease = SessionLease(fence=fence, claimed_at_ms=head.row["lease_claimed_at_ms"], expires_at_ms=now_ms + ttl_ms)
        store.heads.hold(transaction, head, head.changed({"lease_expires_at_ms": lease.expires_at_ms}))
        return lease


def release(store: SharedStore, fence: LeaseFence, *, now_us: int) -> None:
    """Give a lease up; see `LeaseStore.release_lease`."""
    with store.database.write() as transaction:
        head = store.heads.get(transaction, fence.session_id)
        if head is not None and holds(head.lease, fence, now_ms=now_us // 1000):
            store.heads.hold(transaction, head, head.changed({"lease_token": None}))


def _grant(store: SharedStore, transaction: Transaction, head: Head | None, lease: SessionLease, now_us: int) -> None:
    session_id, owner = lease.fence.session_id, lease.fence.owner
    base = head or Head.fresh(session_id, session_key=store.keys.next(now_us), now_us=now_us)
    granted = base.changed(
        {
            "fencing_token": lease.fence.fencing_token,
            "lease_token": lease.fence.lease_token,
            "lease_owner": owner.model_dump_json(),
            "lease_claimed_at_ms": lease.claimed_at_ms,
            "lease_expires_at_ms": lease.expires_at_ms,
        }
    )
    store.heads.hold(transaction, head, granted)
