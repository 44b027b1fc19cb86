"""The lease contract, one test a promise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired, LeaseBusy, LeaseFence, LeaseOwner, SessionLease
from lash_host.errors import SessionLeaseExpired
from lash_host.store.liveness import current_process_identity, is_dead
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import Backend, DeadOwners, StoreSuite
from lash_host.testing.conformance.samples import TTL_MS, owner

__all__ = ["LeaseStoreConformance"]

ALICE, BOB, CAROL = owner("alice"), owner("bob"), owner("carol")


def acquire(store: SessionStore, who: LeaseOwner, *, ttl_ms: int = TTL_MS, session_id: str = "alpha") -> SessionLease:
    """Claim a session and have it."""
    claimed = store.claim_lease(session_id, who, ttl_ms=ttl_ms)
    assert isinstance(claimed, LeaseAcquired), claimed
    return claimed.lease


def reclaim(store: SessionStore, who: LeaseOwner, observed: LeaseFence) -> LeaseAcquired | LeaseBusy:
    """Try to take over from a holder that was observed."""
    return store.reclaim_lease("alpha", who, observed=observed, ttl_ms=TTL_MS)


class LeaseStoreConformance(StoreSuite):
    """Who gets a session's lease, and who does not."""

    def test_the_first_fencing_token_is_one(self, store: SessionStore) -> None:
        assert acquire(store, ALICE).fence.fencing_token == 1

    def test_a_lease_tells_when_it_ends(self, store: SessionStore, clock: ManualClock) -> None:
        lease = acquire(store, ALICE)
        assert lease.claimed_at_ms == clock.now_us() // 1000
        assert lease.expires_at_ms == lease.claimed_at_ms + TTL_MS

    def test_the_same_incarnation_gets_its_own_lease_again(self, store: SessionStore, clock: ManualClock) -> None:
        """RP12: re-entry keeps token and fencing token, and ends no earlier."""
        first = acquire(store, ALICE)
        clock.advance(1)
        again = store.claim_lease("alpha", ALICE, ttl_ms=TTL_MS)
        assert isinstance(again, LeaseAcquired)
        assert (again.kind, again.lease.fence) == ("reentry", first.fence)
        assert again.lease.expires_at_ms == first.expires_at_ms + 1000

    def test_another_incarnation_of_the_owner_is_another_owner(self, store: SessionStore) -> None:
        """RP12: it has to wait."""
        held = acquire(store, ALICE)
        busy = store.claim_lease("alpha", owner("alice", incarnation="later"), ttl_ms=TTL_MS)
        assert busy == LeaseBusy(holder=held.fence, expires_at_ms=held.expires_at_ms)

    def test_another_owner_has_to_wait(self, store: SessionStore) -> None:
        """RP12: whoever it is."""
        acquire(store, ALICE)
        assert isinstance(store.claim_lease("alpha", BOB, ttl_ms=TTL_MS), LeaseBusy)

    def test_sessions_are_leased_apart(self, store: SessionStore) -> None:
        acquire(store, ALICE)
        assert acquire(store, BOB, session_id="beta").fence.fencing_token == 1

    def test_a_lease_ends_exactly_when_it_expires(self, store: SessionStore, clock: ManualClock) -> None:
        acquire(store, ALICE)
        clock.advance((TTL_MS - 1) / 1000)
        assert isinstance(store.claim_lease("alpha", BOB, ttl_ms=TTL_MS), LeaseBusy)
        clock.advance(0.001)
        assert acquire(store, BOB).fence.fencing_token == 2

    def test_a_lease_without_a_lifetime_is_free_at_once(self, store: SessionStore) -> None:
        """RP12: the next holder has a greater fencing token."""
        acquire(store, ALICE, ttl_ms=0)
        assert acquire(store, BOB).fence.fencing_token == 2

    def test_renewing_extends_a_lease_and_keeps_its_fence(self, store: SessionStore, clock: ManualClock) -> None:
        """RP12: the same token, a later expiry."""
        lease = acquire(store, ALICE)
        clock.advance(10)
        renewed = store.renew_lease(lease.fence, ttl_ms=TTL_MS)
        assert (renewed.fence, renewed.claimed_at_ms) == (lease.fence, lease.claimed_at_ms)
        assert renewed.expires_at_ms == lease.expires_at_ms + 10_000
        clock.advance(TTL_MS / 1000 - 1)
        assert isinstance(store.claim_lease("alpha", BOB, ttl_ms=TTL_MS), LeaseBusy)

    @pytest.mark.parametrize("change", [{"lease_token": "forged"}, {"fencing_token": 7}], ids=["token", "fencing"])
    def test_a_forged_fence_cannot_renew(self, store: SessionStore, change: dict[str, object]) -> None:
        """RP12: neither with another token nor with another fencing token."""
        lease = acquire(store, ALICE)
        with pytest.raises(SessionLeaseExpired):
            store.renew_lease(lease.fence.model_copy(update=change), ttl_ms=TTL_MS)

    def test_an_expired_lease_cannot_be_renewed(self, store: SessionStore, clock: ManualClock) -> None:
        lease = acquire(store, ALICE)
        clock.advance(TTL_MS / 1000)
        with pytest.raises(SessionLeaseExpired):
            store.renew_lease(lease.fence, ttl_ms=TTL_MS)

    def test_a_lease_nobody_has_cannot_be_renewed(self, store: SessionStore) -> None:
        fence = LeaseFence(session_id="alpha", owner=ALICE, lease_token="none", fencing_token=1)  # noqa: S106
        with pytest.raises(SessionLeaseExpired):
            store.renew_lease(fence, ttl_ms=TTL_MS)

    def test_releasing_frees_the_session(self, store: SessionStore) -> None:
        """RP12: the next holder has a greater fencing token."""
        store.release_lease(acquire(store, ALICE).fence)
        assert acquire(store, BOB).fence.fencing_token == 2

    def test_the_fencing_token_outlives_every_release(self, store: SessionStore) -> None:
        tokens = []
        for _ in range(3):
            lease = acquire(store, ALICE)
            tokens.append(lease.fence.fencing_token)
            store.release_lease(lease.fence)
        assert tokens == [1, 2, 3]

    def test_a_stale_release_does_not_touch_a_newer_lease(self, store: SessionStore) -> None:
        """RP12: whoever holds the session keeps it."""
        old = acquire(store, ALICE)
        store.release_lease(old.fence)
        held = acquire(store, BOB)
        store.release_lease(old.fence)
        assert store.renew_lease(held.fence, ttl_ms=TTL_MS).fence == held.fence

    def test_releasing_what_nobody_holds_changes_nothing(self, store: SessionStore) -> None:
        fence = LeaseFence(session_id="alpha", owner=ALICE, lease_token="none", fencing_token=1)  # noqa: S106
        store.release_lease(fence)
        assert acquire(store, ALICE).fence.fencing_token == 1

    def test_a_plain_claim_does_not_take_over_from_the_dead(self, store: SessionStore, dead: DeadOwners) -> None:
        """RP13: that is what a reclaim is for."""
        acquire(store, ALICE)
        dead.owner_ids.add("alice")
        assert isinstance(store.claim_lease("alpha", BOB, ttl_ms=TTL_MS), LeaseBusy)

    def test_a_reclaim_takes_over_from_the_dead(self, store: SessionStore, dead: DeadOwners) -> None:
        """RP13: with a greater fencing token."""
        held = acquire(store, ALICE)
        dead.owner_ids.add("alice")
        taken = reclaim(store, BOB, held.fence)
        assert isinstance(taken, LeaseAcquired)
        assert (taken.kind, taken.lease.fence.fencing_token) == ("reclaimed", 2)
        with pytest.raises(SessionLeaseExpired):
            store.renew_lease(held.fence, ttl_ms=TTL_MS)

    def test_a_reclaim_does_not_take_over_from_the_living(self, store: SessionStore) -> None:
        """RP13: they keep the session."""
        held = acquire(store, ALICE)
        assert isinstance(reclaim(store, BOB, held.fence), LeaseBusy)

    def test_a_stale_observation_takes_nothing_over(self, store: SessionStore, dead: DeadOwners) -> None:
        """RP13: a newer lease is not cleared by an observation of an older one."""
        seen = acquire(store, ALICE)
        store.release_lease(seen.fence)
        held = acquire(store, BOB)
        dead.owner_ids.update(("alice", "bob"))
        refused = reclaim(store, CAROL, seen.fence)
        assert refused == LeaseBusy(holder=held.fence, expires_at_ms=held.expires_at_ms)

    def test_reclaiming_what_is_free_is_a_claim(self, store: SessionStore) -> None:
        seen = acquire(store, ALICE)
        store.release_lease(seen.fence)
        taken = reclaim(store, BOB, seen.fence)
        assert isinstance(taken, LeaseAcquired)
        assert (taken.kind, taken.lease.fence.fencing_token) == ("fresh", 2)

    def test_one_of_several_racing_reclaims_wins(self, store: SessionStore, dead: DeadOwners) -> None:
        """RP13: exactly one."""
        held = acquire(store, ALICE)
        dead.owner_ids.add("alice")
        with ThreadPoolExecutor(max_workers=4) as pool:
            outcomes = list(pool.map(lambda n: reclaim(store, owner(f"r{n}"), held.fence), range(4)))
        assert sum(isinstance(outcome, LeaseAcquired) for outcome in outcomes) == 1

    def test_one_of_several_racing_first_claims_wins(self, backend: Backend) -> None:
        """RP31: over several handles, exactly one."""
        handles = [backend.open() for _ in range(4)] if backend.shares_storage else [backend.open()] * 4
        with ThreadPoolExecutor(max_workers=4) as pool:
            outcomes = list(
                pool.map(lambda n: handles[n].claim_lease("alpha", owner(f"r{n}"), ttl_ms=TTL_MS), range(len(handles)))
            )
        assert sum(isinstance(outcome, LeaseAcquired) for outcome in outcomes) == 1
        for handle in handles:
            handle.close()

    def test_a_process_that_is_gone_is_provably_dead(self, store: SessionStore, dead: DeadOwners) -> None:
        """RP13: a local process is dead when its pid belongs to a later one."""
        dead.proof = is_dead
        held = acquire(store, _process_owner(started_at_ms=current_process_identity().started_at_ms - 60_000))
        assert isinstance(store.claim_lease("alpha", BOB, ttl_ms=TTL_MS), LeaseBusy)
        assert isinstance(reclaim(store, BOB, held.fence), LeaseAcquired)

    @pytest.mark.parametrize(
        "change", [{}, {"host_id": "elsewhere"}, {"boot_id": "earlier"}, None], ids=["alive", "host", "boot", "opaque"]
    )
    def test_everybody_else_is_not_provably_dead(
        self, store: SessionStore, dead: DeadOwners, change: dict[str, object] | None
    ) -> None:
        """RP13: a process that lives, is of another machine or of another boot, or that nobody can look for."""
        dead.proof = is_dead
        gone = {"started_at_ms": 1} if change else {}
        held = acquire(store, ALICE if change is None else _process_owner(**gone, **change))
        assert isinstance(reclaim(store, BOB, held.fence), LeaseBusy)

    def test_fencing_tokens_grow_over_a_reopen(self, backend: Backend) -> None:
        if not backend.shares_storage:
            assert backend.durability == "ephemeral"
            return
        before = backend.open()
        for expected in (1, 2, 3):
            lease = acquire(before, ALICE)
            assert lease.fence.fencing_token == expected
            before.release_lease(lease.fence)
        before.close()
        after = backend.open()
        assert acquire(after, BOB).fence.fencing_token > 3
        after.close()


def _process_owner(**changes: object) -> LeaseOwner:
    process = current_process_identity().model_copy(update=changes)
    return LeaseOwner(owner_id="alice", incarnation_id="alice:incarnation", process=process)
