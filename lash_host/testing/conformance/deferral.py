"""What becomes of input whose turn was interrupted or whose owner is gone, one test a promise."""

from __future__ import annotations

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired
from lash_host.domain.turn_input import Cancelled, CheckpointBoundary, NextTurn, TurnInputState
from lash_host.errors import SessionLeaseExpired, TurnInputClaimExpired, TurnInputSourceKeyConflict
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import Backend, DeadOwners, StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, got, owner
from lash_host.testing.conformance.turn_input_claims import ids_of

__all__ = ["DeferralConformance"]

DEFERRED = TurnInputState.DEFERRED_NEXT_TURN


class DeferralConformance(StoreSuite):
    """Input is never stranded: what its turn did not take, the next one gets."""

    def test_an_interrupt_defers_what_was_not_accepted(self, store: SessionStore, session: SampleSession) -> None:
        """RP28: what the turn accepted is completed, the rest of its inputs wait for the next turn, in order."""
        first = session.say("one", ingress=during("t1")).input_id
        second = session.say("two", ingress=during("t1"))
        other = session.say("other", ingress=during("t2"))
        late = session.say("late", ingress=during("t1", from_boundary=CheckpointBoundary.BEFORE_COMPLETION))
        claim = session.accept_inputs("t1", boundary=CheckpointBoundary.AFTER_WORK, limit=1)
        assert ids_of(claim) == [first]
        session.settle(got(claim), interrupted_turn_id="t1")
        pending = list(store.list_pending_turn_inputs("alpha"))
        assert [one.input_id for one in pending] == [second.input_id, other.input_id, late.input_id]
        assert pending[0].model_dump() == second.model_dump() | {
            "ingress": NextTurn().model_dump(),
            "state": DEFERRED,
        }
        assert pending[1] == other
        assert ids_of(session.claim_inputs()) == [second.input_id, late.input_id]

    def test_an_interrupt_leaves_what_was_accepted(self, store: SessionStore, session: SampleSession) -> None:
        first, second = (session.say(text, ingress=during("t1")) for text in ("one", "two"))
        settled = got(session.accept_inputs("t1", limit=1))
        assert ids_of(session.accept_inputs("t1", limit=1)) == [second.input_id]
        session.settle(settled, interrupted_turn_id="t1")
        assert session.pending() == []
        outcomes = [store.cancel_turn_input("alpha", one.input_id) for one in (first, second)]
        assert [outcome.kind for outcome in outcomes] == ["already_completed", "already_claimed"]

    def test_a_deferred_input_can_be_cancelled(self, store: SessionStore, session: SampleSession) -> None:
        """RP27: active and next-turn input is cancelled; an interrupt defers what is left, which is cancelled too."""
        active, following, left = (
            session.say("one", ingress=during("t1")),
            session.say("two"),
            session.say("three", ingress=during("t1")),
        )
        for kept in (active, following):
            assert isinstance(store.cancel_turn_input("alpha", kept.input_id), Cancelled)
        session.settle(interrupted_turn_id="t1")
        pending = store.list_pending_turn_inputs("alpha")
        assert [(one.input_id, one.ingress, one.state) for one in pending] == [(left.input_id, NextTurn(), DEFERRED)]
        assert isinstance(store.cancel_turn_input("alpha", left.input_id), Cancelled)
        assert (session.claim_inputs(), session.accept_inputs("t1")) == (None, None)

    def test_a_deferred_input_is_recognized_by_where_it_was_to_go(self, session: SampleSession) -> None:
        kept = session.say("one", ingress=during("t1"), source_key="k")
        session.settle(interrupted_turn_id="t1")
        again = session.say("one", ingress=during("t1"), source_key="k")
        assert again.input_id == kept.input_id
        assert (again.submitted_ingress, again.ingress, again.state) == (during("t1"), NextTurn(), DEFERRED)
        with pytest.raises(TurnInputSourceKeyConflict):
            session.say("one", ingress=NextTurn(), source_key="k")
        assert session.pending() == [kept.input_id]

    def test_a_commit_without_an_interrupt_defers_nothing(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say(ingress=during("t1"))
        store.commit(session.turn("t1", "a"))
        assert list(store.list_pending_turn_inputs("alpha")) == [kept]

    def test_a_commit_that_fails_defers_nothing(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say(ingress=during("t1"))
        with pytest.raises(SessionLeaseExpired):
            session.settle(interrupted_turn_id="t1", fence=None)
        assert list(store.list_pending_turn_inputs("alpha")) == [kept]

    def test_a_repeated_interrupt_defers_nothing_more(self, store: SessionStore, session: SampleSession) -> None:
        commit = session.turn("t1", "a", interrupted_turn_id="t1")
        store.commit(commit)
        late = session.say(ingress=during("t1"))
        store.commit(commit)
        assert list(store.list_pending_turn_inputs("alpha")) == [late]

    def test_a_new_holder_gets_what_was_stranded(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        kept = [session.say(text, ingress=during("t1")).input_id for text in ("one", "two")]
        session.accept_inputs("t1")
        following = session.say("three").input_id
        clock.advance(TTL_MS / 1000)
        other = session.on(store, owner=owner("other"))
        other.claim()
        pending = store.list_pending_turn_inputs("alpha")
        assert [(one.input_id, one.state) for one in pending] == [(one, DEFERRED) for one in (*kept, following)]
        assert {one.ingress.kind for one in pending} == {"next_turn"}
        assert ids_of(other.claim_inputs()) == [*kept, following]

    def test_a_later_incarnation_is_a_new_holder(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say(ingress=during("t1")).input_id
        session.accept_inputs("t1")
        store.release_lease(session.claim())
        later = session.on(store, owner=owner("alpha", incarnation="later"))
        assert ids_of(later.claim_inputs()) == [kept]

    def test_whoever_takes_over_from_the_dead_is_a_new_holder(
        self, store: SessionStore, session: SampleSession, dead: DeadOwners
    ) -> None:
        kept = session.say(ingress=during("t1")).input_id
        session.accept_inputs("t1")
        observed = session.claim()
        dead.owner_ids.add(session.owner.owner_id)
        other = session.on(store, owner=owner("other"))
        taken = store.reclaim_lease("alpha", other.owner, observed=observed, ttl_ms=TTL_MS)
        assert isinstance(taken, LeaseAcquired)
        assert ids_of(other.claim_inputs()) == [kept]

    def test_reentry_strands_nothing_and_returns_nothing(self, store: SessionStore, session: SampleSession) -> None:
        session.say(ingress=during("t1"))
        claim = got(session.accept_inputs("t1"))
        again = store.claim_lease("alpha", session.owner, ttl_ms=TTL_MS)
        assert isinstance(again, LeaseAcquired)
        assert again.kind == "reentry"
        assert session.pending() == []
        session.settle(claim)
        assert session.pending() == []

    def test_who_is_refused_the_lease_returns_nothing(self, store: SessionStore, session: SampleSession) -> None:
        session.say(ingress=during("t1"))
        session.accept_inputs("t1")
        store.claim_lease("alpha", owner("other"), ttl_ms=TTL_MS)
        assert session.pending() == []

    def test_what_was_returned_is_not_settled_by_its_old_claim(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        kept = session.say(ingress=during("t1")).input_id
        old = got(session.accept_inputs("t1"))
        store.release_lease(session.claim())
        other = session.on(store, owner=owner("other"))
        other.claim()
        with pytest.raises(TurnInputClaimExpired):
            other.settle(old)
        assert session.pending() == [kept]

    def test_what_was_returned_is_recognized_when_repeated(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say("one", ingress=during("t1"), source_key="k")
        session.accept_inputs("t1")
        store.release_lease(session.claim())
        session.on(store, owner=owner("other")).claim()
        again = session.say("one", ingress=during("t1"), source_key="k")
        assert (again.input_id, again.state) == (kept.input_id, DEFERRED)

    def test_nothing_is_stranded_by_a_reopen(self, backend: Backend) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        kept = session.say(ingress=during("t1")).input_id
        session.accept_inputs("t1")
        before.release_lease(session.claim())
        before.close()
        after = backend.open()
        other = session.on(after, owner=owner("other"))
        assert ids_of(other.claim_inputs()) == [kept]
        after.close()
