"""What commits that settle claims promise, one test a promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import turn_commit_hash
from lash_host.domain.lease import LeaseBusy
from lash_host.domain.queue import SlotPolicy
from lash_host.errors import (
    HeadRevisionConflict,
    InvalidCommit,
    QueuedWorkClaimExpired,
    SessionBindingMismatch,
    SessionLeaseExpired,
    StoreError,
    TurnCommitConflict,
    TurnInputClaimExpired,
)
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, got, model_call, owner, settling

__all__ = ["SettlingConformance"]


class SettlingConformance(StoreSuite):
    """Claims are settled by commits, with everything else of the commit or not at all."""

    def test_a_commit_settles_all_its_claims(self, store: SessionStore, session: SampleSession) -> None:
        session.wake(1)
        session.wake(2)
        session.say()
        session.say(ingress=during("t1"))
        claims = [got(session.claim_work()), got(session.claim_work())]
        inputs = [got(session.claim_inputs()), got(session.accept_inputs("t1"))]
        store.commit(session.turn("t1", "a", **settling([*claims, *inputs])))
        assert (session.queued(), session.pending()) == ([], [])
        assert session.node_ids() == ["a"]

    def test_only_a_claim_that_is_held_is_settled(self, session: SampleSession) -> None:
        """RP21: a stale token fails the whole commit and both batches stay; the valid one clears both."""
        ids = [session.wake(number, slot_policy=SlotPolicy.JOIN).batch_id for number in (1, 2)]
        held = got(session.claim_work())
        assert len(held.batches) == 2
        forged = held.model_copy(update={"claim": held.claim.model_copy(update={"claim_token": "forged"})})
        with pytest.raises(QueuedWorkClaimExpired):
            session.settle(held.model_copy(update={"batches": held.batches[:1]}))
        with pytest.raises(QueuedWorkClaimExpired) as caught:
            session.settle(forged)
        assert (caught.value.session_id, caught.value.claim_id) == ("alpha", held.claim.claim_id)
        assert session.queued() == ids
        session.settle(held)
        assert session.queued() == []

    def test_settling_and_the_turns_stamp_are_one(self, store: SessionStore, session: SampleSession) -> None:
        """RP23: a stale completion leaves no session, no stamp and the queue; a valid one is answered again."""
        batch = session.wake()
        stale = got(session.claim_work(ttl_ms=0))
        held = got(session.claim_work())
        failing = session.turn("t1", "a", **settling([stale]))
        with pytest.raises(QueuedWorkClaimExpired):
            store.commit(failing)
        assert store.load_session("alpha") is None
        assert session.queued() == [batch.batch_id]
        valid = replace(failing, **settling([held]))
        first = store.commit(valid)
        assert (first.head_revision, session.queued()) == (1, [])
        again = store.commit(valid)
        assert (again, session.load().head_revision) == (first, 1)
        assert session.queued() == []

    def test_a_replay_does_not_look_at_its_claims(self, store: SessionStore, session: SampleSession) -> None:
        session.wake()
        session.say()
        claims = settling([got(session.claim_work()), got(session.claim_inputs())])
        commit = session.turn("t1", "a", **claims)
        first = store.commit(commit)
        assert store.commit(replace(commit, fence=None, release_lease=False)) == first

    def test_what_is_settled_belongs_to_the_turn(self, store: SessionStore, session: SampleSession) -> None:
        session.wake()
        commit = session.turn("t1", "a", **settling([got(session.claim_work())]))
        store.commit(commit)
        other = replace(commit, completed_queue_claims=())
        assert turn_commit_hash(other) != turn_commit_hash(commit)
        with pytest.raises(TurnCommitConflict):
            store.commit(replace(other, stamp=got(other.stamp).model_copy(update={"commit_hash": "other"})))

    def test_expiry_does_not_matter_while_nobody_took_the_work(
        self, session: SampleSession, clock: ManualClock
    ) -> None:
        session.wake()
        claim = got(session.claim_work(ttl_ms=1_000))
        clock.advance(2)
        session.settle(claim)
        assert session.queued() == []

    @pytest.mark.parametrize("fate", ["taken again", "abandoned", "settled"])
    def test_work_that_is_not_held_any_more_cannot_be_settled(
        self, store: SessionStore, session: SampleSession, fate: str
    ) -> None:
        session.wake()
        claim = got(session.claim_work(ttl_ms=0))
        if fate == "taken again":
            session.claim_work()
        elif fate == "abandoned":
            store.abandon_queued_work_claim(claim)
        else:
            session.settle(claim)
        with pytest.raises(QueuedWorkClaimExpired):
            session.settle(claim)

    @pytest.mark.parametrize("fate", ["taken again", "abandoned", "settled", "cancelled"])
    def test_input_that_is_not_held_any_more_cannot_be_settled(
        self, store: SessionStore, session: SampleSession, fate: str
    ) -> None:
        kept = session.say()
        claim = got(session.claim_inputs(ttl_ms=0))
        if fate == "taken again":
            session.claim_inputs()
        elif fate == "abandoned":
            store.abandon_turn_input_claim(claim)
        elif fate == "cancelled":
            store.cancel_turn_input("alpha", kept.input_id)
        else:
            session.settle(claim)
        with pytest.raises(TurnInputClaimExpired):
            session.settle(claim)

    def test_one_stale_claim_fails_the_whole_commit(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("root")
        batch, kept = session.wake(), session.say(ingress=during("t1"))
        held, stale = got(session.claim_work()), got(session.accept_inputs("t1"))
        store.abandon_turn_input_claim(stale)
        commit = session.turn(
            "t1",
            "a",
            after="root",
            model_calls=(model_call("c1", input_tokens=5),),
            interrupted_turn_id="t1",
            attachment_ids=(store.put_attachment("alpha", b"bytes", media_type="text/plain").attachment_id,),
            **settling([held, stale]),
        )
        with pytest.raises(TurnInputClaimExpired):
            store.commit(commit)
        assert (session.node_ids(), session.load().head_revision, session.load().token_ledger) == (["root"], 1, ())
        assert (session.queued(), session.queued(include_claimed=False)) == ([batch.batch_id], [])
        assert [one.state for one in store.list_pending_turn_inputs("alpha")] == [kept.state]
        assert [one.committed_at_us for one in store.list_attachments("alpha")] == [None]
        assert isinstance(store.claim_lease("alpha", owner("other"), ttl_ms=TTL_MS), LeaseBusy)

    def test_a_commit_that_fails_settles_nothing(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("root")
        batch, kept = session.wake(), session.say()
        claims = settling([got(session.claim_work()), got(session.claim_inputs())])
        failing: list[tuple[type[StoreError], dict[str, object]]] = [
            (HeadRevisionConflict, {"expected_head_revision": 9}),
            (InvalidCommit, {"after": "nowhere"}),
            (SessionLeaseExpired, {"fence": None}),
        ]
        for error, change in failing:
            with pytest.raises(error):
                store.commit(session.draft("a", **({"after": "root"} | claims | change)))
            assert (session.queued(), session.queued(include_claimed=False)) == ([batch.batch_id], [])
            assert session.pending() == []
        session.commit("a", after="root", **claims)
        assert store.cancel_turn_input("alpha", kept.input_id).kind == "already_completed"

    def test_claims_are_checked_after_the_revision(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("root")
        session.wake()
        stale = got(session.claim_work())
        store.abandon_queued_work_claim(stale)
        with pytest.raises(HeadRevisionConflict):
            session.commit("a", after="root", expected_head_revision=9, **settling([stale]))
        with pytest.raises(QueuedWorkClaimExpired):
            session.commit("a", after="nowhere", **settling([stale]))

    def test_a_claim_of_another_session_is_not_settled(self, store: SessionStore, session: SampleSession) -> None:
        """RP3: a commit names one session, and what it presents must be of that one."""
        other = SampleSession(store, "beta")
        batch = other.wake()
        other.say()
        for claim in (got(other.claim_work()), got(other.claim_inputs())):
            with pytest.raises(SessionBindingMismatch):
                session.settle(claim)
        assert store.load_session("alpha") is None
        assert other.queued() == [batch.batch_id]
