"""What every operation that takes a fence promises: only that of the live lease opens the door."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired, LeaseFence
from lash_host.domain.queue import QueueBoundary
from lash_host.domain.turn_input import CheckpointBoundary
from lash_host.errors import SessionLeaseExpired
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import DeadOwners, StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, owner

__all__ = ["FenceConformance"]

OPERATIONS: dict[str, Callable[[SampleSession, LeaseFence, int], object]] = {
    "commit": lambda session, fence, _: session.commit("new", fence=fence),
    "renew_lease": lambda session, fence, _: session.store.renew_lease(fence, ttl_ms=TTL_MS),
    "claim_next_turn_inputs": lambda session, fence, limit: session.store.claim_next_turn_inputs(
        "alpha", fence, session.owner, ttl_ms=TTL_MS, limit=limit
    ),
    "claim_active_turn_inputs": lambda session, fence, limit: session.store.claim_active_turn_inputs(
        "alpha",
        fence,
        session.owner,
        turn_id="t1",
        boundary=CheckpointBoundary.BEFORE_COMPLETION,
        ttl_ms=TTL_MS,
        limit=limit,
    ),
    "claim_session_command": lambda session, fence, _: session.store.claim_session_command(
        "alpha", fence, session.owner, ttl_ms=TTL_MS
    ),
    "claim_queued_work": lambda session, fence, limit: session.store.claim_queued_work(
        "alpha", fence, session.owner, boundary=QueueBoundary.IDLE, ttl_ms=TTL_MS, limit=limit
    ),
    "claim_queued_work exactly": lambda session, fence, limit: session.store.claim_queued_work(
        "alpha",
        fence,
        session.owner,
        boundary=QueueBoundary.IDLE,
        ttl_ms=TTL_MS,
        limit=limit,
        batch_ids=session.queued()[:1] or ["nowhere"],
    ),
}
WITH_LIMIT = ["claim_next_turn_inputs", "claim_active_turn_inputs", "claim_queued_work"]
STALE = [
    "released",
    "expired",
    "taken over",
    "reclaimed",
    "forged token",
    "forged fencing token",
    "other incarnation",
    "other session",
    "deleted session",
]


def make_stale(session: SampleSession, how: str, clock: ManualClock, dead: DeadOwners) -> LeaseFence:
    """Give a fence of the session that is not, or no longer, that of its live lease."""
    store, fence = session.store, session.claim()
    match how:
        case "released":
            store.release_lease(fence)
        case "expired":
            clock.advance(TTL_MS / 1000)
        case "taken over":
            clock.advance(TTL_MS / 1000)
            session.on(store, owner=owner("thief")).claim()
        case "reclaimed":
            dead.owner_ids.add(session.owner.owner_id)
            taken = store.reclaim_lease("alpha", owner("heir"), observed=fence, ttl_ms=TTL_MS)
            assert isinstance(taken, LeaseAcquired)
        case "forged token":
            return fence.model_copy(update={"lease_token": "forged"})
        case "forged fencing token":
            return fence.model_copy(update={"fencing_token": fence.fencing_token + 1})
        case "other incarnation":
            return fence.model_copy(update={"owner": owner("alpha", incarnation="later")})
        case "other session":
            other = SampleSession(store, "beta").claim()
            store.release_lease(other)
            return other
        case "deleted session":
            store.delete_session("alpha")
        case _:
            raise ValueError(how)
    return fence


class FenceConformance(StoreSuite):
    """A stale fence is refused by every operation, whether or not there is something to do."""

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("how", STALE)
    def test_a_stale_fence_is_refused(
        self, session: SampleSession, clock: ManualClock, dead: DeadOwners, operation: str, how: str
    ) -> None:
        """RP12: by commits, renewals and every claim; nothing is claimed and nothing written."""
        session.commit("root")
        fence = make_stale(session, how, clock, dead)
        session.say()
        session.say(ingress=during("t1"))
        session.command() if operation == "claim_session_command" else session.wake()
        waiting = (session.pending(), session.queued(include_claimed=False))
        with pytest.raises(SessionLeaseExpired) as caught:
            OPERATIONS[operation](session, fence, 64)
        assert caught.value.session_id in {"alpha", "beta"}
        assert (session.pending(), session.queued(include_claimed=False)) == waiting
        if how != "deleted session":
            assert session.node_ids() == ["root"]

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_live_fence_is_accepted(self, session: SampleSession, operation: str) -> None:
        """RP12: the same operations, with the live fence, do what they are for."""
        fence = session.claim()
        session.say()
        session.say(ingress=during("t1"))
        session.command() if operation == "claim_session_command" else session.wake()
        assert OPERATIONS[operation](session, fence, 64) is not None

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_stale_fence_is_refused_where_nothing_waits(
        self, store: SessionStore, session: SampleSession, operation: str
    ) -> None:
        fence = session.claim()
        store.release_lease(fence)
        with pytest.raises(SessionLeaseExpired):
            OPERATIONS[operation](session, fence, 64)

    @pytest.mark.parametrize("operation", WITH_LIMIT)
    def test_whoever_asks_for_nothing_needs_no_fence(
        self, store: SessionStore, session: SampleSession, operation: str
    ) -> None:
        fence = session.claim()
        store.release_lease(fence)
        session.say()
        assert OPERATIONS[operation](session, fence, 0) is None
        assert len(session.pending()) == 1

    @pytest.mark.parametrize("how", STALE)
    def test_releasing_with_a_stale_fence_changes_nothing(
        self, store: SessionStore, session: SampleSession, clock: ManualClock, dead: DeadOwners, how: str
    ) -> None:
        """RP12: whoever holds the session now keeps it."""
        fence = make_stale(session, how, clock, dead)
        names = {"taken over": owner("thief"), "reclaimed": owner("heir")}
        holder = session.on(store, owner=names.get(how, session.owner))
        held = holder.claim()
        store.release_lease(fence)
        assert store.renew_lease(held, ttl_ms=TTL_MS).fence == held

    @pytest.mark.parametrize("how", STALE)
    def test_nothing_is_taken_over_with_a_stale_observation(
        self, store: SessionStore, session: SampleSession, clock: ManualClock, dead: DeadOwners, how: str
    ) -> None:
        """RP13: even where the holder is dead, the observation must be of the lease that is live."""
        observed = make_stale(session, how, clock, dead)
        names = {"taken over": owner("thief"), "reclaimed": owner("heir")}
        holder = session.on(store, owner=names.get(how, owner("holder")))
        if how.startswith(("forged", "other")):
            holder = session
        held = holder.claim()
        dead.owner_ids.update(("alpha", "thief", "heir", "holder"))
        refused = store.reclaim_lease("alpha", owner("late"), observed=observed, ttl_ms=TTL_MS)
        assert not isinstance(refused, LeaseAcquired)
        assert store.renew_lease(held, ttl_ms=TTL_MS).fence == held
