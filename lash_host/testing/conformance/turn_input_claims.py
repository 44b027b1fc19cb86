"""What claiming turn input promises, one test a promise."""

from __future__ import annotations

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired
from lash_host.domain.turn import InputImage, InputText, TurnInput
from lash_host.domain.turn_input import (
    AlreadyClaimed,
    AlreadyCompleted,
    Cancelled,
    CheckpointBoundary,
    TurnInputClaim,
    TurnInputState,
)
from lash_host.errors import TurnInputClaimExpired
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import DeadOwners, StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, got, owner

__all__ = ["TurnInputClaimConformance", "ids_of"]

AFTER_WORK, BEFORE_COMPLETION = CheckpointBoundary.AFTER_WORK, CheckpointBoundary.BEFORE_COMPLETION


def ids_of(claim: TurnInputClaim | None) -> list[str]:
    """Give the ids of the inputs that were claimed; none where nothing was."""
    return [] if claim is None else [pending.input_id for pending in claim.inputs]


class TurnInputClaimConformance(StoreSuite):
    """Who gets which input, and for how long."""

    def test_next_turn_inputs_are_claimed_in_order(self, session: SampleSession, clock: ManualClock) -> None:
        """RP26: a claim has them all, in order, with their images."""
        image = TurnInput(items=(InputText(text="see"), InputImage(data=b"\x89PNG\x00", media_type="image/png")))
        kept = [session.say("one"), session.say(input=image)]
        claim = got(session.claim_inputs())
        assert ids_of(claim) == [one.input_id for one in kept]
        assert [one.input for one in claim.inputs] == [one.input for one in kept]
        assert (claim.claim.session_id, claim.claim.owner) == ("alpha", session.owner)
        assert claim.claim.claimed_at_ms == clock.now_us() // 1000
        assert claim.claim.expires_at_ms == claim.claim.claimed_at_ms + TTL_MS

    def test_claimed_inputs_are_not_pending(self, store: SessionStore, session: SampleSession) -> None:
        """RP26: they are hidden from the list, and cancelling tells whose they are."""
        kept = session.say()
        claim = got(session.claim_inputs())
        assert session.pending() == []
        refused = store.cancel_turn_input("alpha", kept.input_id)
        assert isinstance(refused, AlreadyClaimed)
        assert got(refused.claim).claim_id == claim.claim.claim_id
        assert session.claim_inputs() is None

    def test_a_claim_takes_no_more_than_its_limit(self, session: SampleSession) -> None:
        kept = [session.say(str(n)).input_id for n in range(5)]
        assert ids_of(session.claim_inputs(limit=2)) == kept[:2]
        assert ids_of(session.claim_inputs(limit=2)) == kept[2:4]
        assert ids_of(session.claim_inputs(limit=2)) == kept[4:]

    def test_a_limit_of_zero_claims_no_input(self, session: SampleSession) -> None:
        session.say()
        session.say(ingress=during("t1"))
        assert session.claim_inputs(limit=0) is None
        assert session.accept_inputs("t1", limit=0) is None
        assert len(session.pending()) == 2

    def test_where_no_input_waits_none_is_claimed(self, store: SessionStore, session: SampleSession) -> None:
        SampleSession(store, "beta").say()
        assert session.claim_inputs() is None
        assert session.accept_inputs("t1") is None

    def test_abandoned_inputs_are_pending_again(self, store: SessionStore, session: SampleSession) -> None:
        """RP26: whoever claims them next has a greater fencing token."""
        kept = [session.say("one").input_id, session.say("two").input_id]
        first = got(session.claim_inputs())
        store.abandon_turn_input_claim(first)
        assert session.pending() == kept
        second = got(session.claim_inputs())
        assert ids_of(second) == kept
        assert second.claim.fencing_token > first.claim.fencing_token
        assert second.claim.claim_token != first.claim.claim_token

    def test_a_stale_abandon_of_inputs_changes_nothing(self, store: SessionStore, session: SampleSession) -> None:
        session.say()
        first = got(session.claim_inputs())
        store.abandon_turn_input_claim(first)
        second = got(session.claim_inputs())
        store.abandon_turn_input_claim(first)
        assert session.pending() == []
        session.settle(second)
        store.abandon_turn_input_claim(second)
        assert session.pending() == []

    def test_a_claim_of_inputs_ends_exactly_when_it_expires(self, session: SampleSession, clock: ManualClock) -> None:
        kept = session.say().input_id
        first = got(session.claim_inputs(ttl_ms=1_000))
        clock.advance(0.999)
        assert session.claim_inputs() is None
        clock.advance(0.001)
        assert session.pending() == [kept]
        second = got(session.claim_inputs())
        assert ids_of(second) == [kept]
        assert second.claim.fencing_token > first.claim.fencing_token

    def test_an_input_whose_claim_expired_can_be_cancelled(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say()
        session.claim_inputs(ttl_ms=0)
        assert isinstance(store.cancel_turn_input("alpha", kept.input_id), Cancelled)
        assert session.claim_inputs() is None

    def test_a_claim_of_inputs_outlives_the_lease_it_was_taken_under(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        session.say()
        claim = got(session.claim_inputs())
        store.release_lease(session.claim())
        other = session.on(store, owner=owner("other"))
        assert other.claim_inputs() is None
        other.settle(claim)
        assert session.claim_inputs() is None

    def test_the_dead_hold_no_inputs(self, store: SessionStore, session: SampleSession, dead: DeadOwners) -> None:
        kept = session.say().input_id
        session.claim_inputs()
        observed = session.claim()
        dead.owner_ids.add(session.owner.owner_id)
        other = session.on(store, owner=owner("other"))
        assert isinstance(store.reclaim_lease("alpha", other.owner, observed=observed, ttl_ms=TTL_MS), LeaseAcquired)
        assert ids_of(other.claim_inputs()) == [kept]

    def test_a_turn_accepts_its_own_inputs_only(self, session: SampleSession) -> None:
        mine, other, following = session.say(ingress=during("t1")), session.say(ingress=during("t2")), session.say()
        assert ids_of(session.accept_inputs("t1")) == [mine.input_id]
        assert ids_of(session.claim_inputs()) == [following.input_id]
        assert session.pending() == [other.input_id]

    def test_an_input_may_ask_for_the_last_checkpoint(self, session: SampleSession) -> None:
        """RP28: one that asks for it is passed over before, and does not hold up those behind it."""
        late = session.say("late", ingress=during("t1", from_boundary=BEFORE_COMPLETION)).input_id
        early = session.say("early", ingress=during("t1")).input_id
        assert ids_of(session.accept_inputs("t1", boundary=AFTER_WORK)) == [early]
        assert ids_of(session.accept_inputs("t1", boundary=AFTER_WORK)) == []
        assert ids_of(session.accept_inputs("t1", boundary=BEFORE_COMPLETION)) == [late]

    def test_the_last_checkpoint_takes_every_input(self, session: SampleSession) -> None:
        late = session.say("late", ingress=during("t1", from_boundary=BEFORE_COMPLETION)).input_id
        early = session.say("early", ingress=during("t1")).input_id
        assert ids_of(session.accept_inputs("t1", boundary=BEFORE_COMPLETION)) == [late, early]

    def test_an_accepted_input_cannot_be_cancelled(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        """RP27: not even when its claim has expired, as long as its turn may still commit."""
        kept = session.say(ingress=during("t1"))
        session.accept_inputs("t1", ttl_ms=1_000)
        for _ in range(2):
            refused = store.cancel_turn_input("alpha", kept.input_id)
            assert isinstance(refused, AlreadyClaimed)
            assert refused.input.state is TurnInputState.ACCEPTED
            clock.advance(2)
        assert session.pending() == []

    def test_an_accepted_input_can_be_given_back(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say(ingress=during("t1")).input_id
        first = got(session.accept_inputs("t1"))
        store.abandon_turn_input_claim(first)
        pending = store.list_pending_turn_inputs("alpha")
        assert [(one.input_id, one.state) for one in pending] == [(kept, TurnInputState.PENDING_ACTIVE)]
        second = got(session.accept_inputs("t1"))
        assert ids_of(second) == [kept]
        assert second.claim.fencing_token > first.claim.fencing_token

    def test_inputs_are_completed_with_the_commit_that_settles_them(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        """RP26: then they cannot be cancelled or claimed, and a repeat gives the completed record back."""
        following = session.say("next", source_key="k")
        accepted = session.say("now", ingress=during("t1"), source_key="l")
        session.settle(got(session.claim_inputs()), got(session.accept_inputs("t1")))
        for kept in (following, accepted):
            assert isinstance(store.cancel_turn_input("alpha", kept.input_id), AlreadyCompleted)
        again = session.say("next", source_key="k")
        assert (again.input_id, again.state) == (following.input_id, TurnInputState.COMPLETED)
        assert (session.pending(), session.claim_inputs(), session.accept_inputs("t1")) == ([], None, None)

    def test_an_old_claim_settles_nothing(self, store: SessionStore, session: SampleSession) -> None:
        """RP26: the newer claim is not disturbed and can be completed."""
        kept = session.say()
        old = got(session.claim_inputs())
        store.abandon_turn_input_claim(old)
        held = got(session.claim_inputs())
        with pytest.raises(TurnInputClaimExpired) as caught:
            session.settle(old)
        assert (caught.value.session_id, caught.value.claim_id) == ("alpha", old.claim.claim_id)
        assert store.load_session("alpha") is None
        refused = store.cancel_turn_input("alpha", kept.input_id)
        assert isinstance(refused, AlreadyClaimed)
        assert got(refused.claim).claim_id == held.claim.claim_id
        session.settle(held)
        assert isinstance(store.cancel_turn_input("alpha", kept.input_id), AlreadyCompleted)

    def test_an_expired_claim_that_nobody_took_again_settles(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        kept = session.say()
        claim = got(session.claim_inputs(ttl_ms=1_000))
        clock.advance(2)
        session.settle(claim)
        assert isinstance(store.cancel_turn_input("alpha", kept.input_id), AlreadyCompleted)
