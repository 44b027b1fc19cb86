"""What holds when the clock is set forward or back, one test a promise."""

from __future__ import annotations

import pytest

from lash_host.contracts.store import ReadScope, SessionStore
from lash_host.domain.lease import LeaseAcquired, LeaseBusy
from lash_host.errors import SessionLeaseExpired
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.queue_claims import batches_of
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, got, model_call, owner
from lash_host.testing.conformance.turn_input_claims import ids_of

__all__ = ["ClockJumpConformance"]

HOUR_US = 3_600_000_000
JUMPS = [-1, 1, -24, 48, -48, 0, -1_000, 2_000]
"""Hours. The clock is set to its start and so many hours."""


class ClockJumpConformance(StoreSuite):
    """Order never depends on the clock, and what has ended has ended."""

    def test_nodes_stay_in_the_order_of_their_commits(self, session: SampleSession, clock: ManualClock) -> None:
        start_us = clock.now_us()
        session.commit("n0")
        for number, hours in enumerate(JUMPS, start=1):
            clock.set(start_us + hours * HOUR_US)
            session.commit(f"n{number}", after=f"n{number - 1}", model_calls=(model_call(str(number), input_tokens=1),))
        expected = [f"n{number}" for number in range(len(JUMPS) + 1)]
        assert session.node_ids() == session.node_ids(ReadScope.ACTIVE_PATH) == expected
        assert [entry.usage.input_tokens for entry in session.load().token_ledger] == [len(JUMPS)]

    def test_keys_are_given_once(self, store: SessionStore, clock: ManualClock) -> None:
        start_us = clock.now_us()
        for hours in JUMPS:
            clock.set(start_us + hours * HOUR_US)
            for name in ("alpha", "beta", f"at {hours}"):
                session = SampleSession(store, name)
                session.commit(f"{hours}", f"{hours} again")
                session.say()
                session.wake(hours + 10_000)
        assert SampleSession(store, "alpha").node_ids() == [f"{h}{end}" for h in JUMPS for end in ("", " again")]
        assert len(store.list_sessions()) == len(JUMPS) + 2
        assert store.check().problems == ()

    def test_work_stays_in_the_order_of_its_coming(self, session: SampleSession, clock: ManualClock) -> None:
        start_us = clock.now_us()
        inputs, batches = [], []
        for number, hours in enumerate(JUMPS):
            clock.set(start_us + hours * HOUR_US)
            inputs.append(session.say(f"text {number}").input_id)
            batches.append(session.wake(number).batch_id)
        assert (session.pending(), session.queued()) == (inputs, batches)
        assert ids_of(session.claim_inputs()) == inputs
        assert [batches_of(session.claim_work())[0] for _ in batches] == batches

    def test_inputs_that_are_deferred_or_returned_keep_their_order(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        kept = []
        for number, hours in enumerate((0, -5, -10)):
            clock.set(clock.start_us + hours * HOUR_US)
            kept.append(session.say(f"text {number}", ingress=during("t1")).input_id)
        session.accept_inputs("t1", limit=2)
        store.release_lease(session.claim())
        other = session.on(store, owner=owner("other"))
        other.settle(interrupted_turn_id="t1")
        assert ids_of(other.claim_inputs()) == kept

    def test_fencing_tokens_never_shrink(self, store: SessionStore, clock: ManualClock) -> None:
        start_us, tokens = clock.now_us(), []
        for number, hours in enumerate(JUMPS):
            clock.set(start_us + hours * HOUR_US)
            session = SampleSession(store, "alpha").on(store, owner=owner(f"owner {number}"))
            fence = session.claim()
            tokens.append(fence.fencing_token)
            store.release_lease(fence)
        assert tokens == sorted(set(tokens))

    def test_fencing_tokens_of_claims_never_shrink(self, session: SampleSession, clock: ManualClock) -> None:
        start_us = clock.now_us()
        session.say()
        session.wake()
        tokens = []
        for hours in JUMPS:
            clock.set(start_us + hours * HOUR_US)
            inputs, work = session.claim_inputs(ttl_ms=0), session.claim_work(ttl_ms=0)
            if inputs is not None and work is not None:
                tokens.append((inputs.claim.fencing_token, work.claim.fencing_token))
        assert len(tokens) >= 2
        for column in zip(*tokens, strict=True):
            assert list(column) == sorted(set(column))

    def test_a_lease_that_was_taken_over_is_not_revived(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        start_us, old = clock.now_us(), session.claim()
        clock.set(start_us + HOUR_US)
        other = session.on(store, owner=owner("other"))
        held = other.claim()
        clock.set(start_us)
        with pytest.raises(SessionLeaseExpired):
            session.commit("a", fence=old)
        with pytest.raises(SessionLeaseExpired):
            store.renew_lease(old, ttl_ms=TTL_MS)
        other.commit("a", fence=held)
        assert other.node_ids() == ["a"]

    def test_a_lease_is_held_while_the_clock_is_behind(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        fence = session.claim()
        clock.set(clock.start_us - 24 * HOUR_US)
        assert isinstance(store.claim_lease("alpha", owner("other"), ttl_ms=TTL_MS), LeaseBusy)
        renewed = store.renew_lease(fence, ttl_ms=TTL_MS)
        assert renewed.expires_at_ms == clock.now_us() // 1000 + TTL_MS
        clock.advance(TTL_MS / 1000)
        assert isinstance(store.claim_lease("alpha", owner("other"), ttl_ms=TTL_MS), LeaseAcquired)

    def test_a_claim_that_was_taken_again_is_not_revived(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        batch = session.wake()
        old = got(session.claim_work())
        clock.advance(3_600)
        held = got(session.claim_work())
        clock.set(clock.start_us)
        store.abandon_queued_work_claim(old)
        assert session.queued(include_claimed=False) == []
        session.settle(held)
        assert batch.batch_id not in session.queued()

    def test_commits_go_on_after_a_reopen_with_the_clock_behind(self, backend: Backend, clock: ManualClock) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        session.commit("a", "b")
        session.say("one")
        session.wake(1)
        token = session.claim().fencing_token
        before.release_lease(session.claim())
        before.close()
        clock.set(clock.start_us - 1_000 * HOUR_US)
        after = backend.open()
        session = SampleSession(after, "alpha")
        assert session.claim().fencing_token > token
        session.commit("c", after="b")
        session.say("two")
        SampleSession(after, "beta").commit("a")
        assert session.node_ids() == ["a", "b", "c"]
        assert [one.input.text for one in after.list_pending_turn_inputs("alpha")] == ["one", "two"]
        assert after.check().problems == ()
        after.close()
