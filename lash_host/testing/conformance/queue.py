"""What queueing, listing and cancelling work promises, one test a promise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.queue import DeliveryPolicy, MergeKey, QueuedWorkDraft, SlotPolicy
from lash_host.errors import InvalidQueuedWork
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import StoreSuite
from lash_host.testing.conformance.drafts import during, process_wake, session_command
from lash_host.testing.conformance.samples import SampleSession, got

__all__ = ["QueueConformance", "WaitingSessionsConformance"]


class QueueConformance(StoreSuite):
    """Work is queued once, listed, cancelled, and answered from its receipt."""

    def test_a_batch_comes_back_as_it_was_queued(self, store: SessionStore, clock: ManualClock) -> None:
        payloads = (process_wake(1, text="日本 🦆 'quoted'"), process_wake(2))
        draft = QueuedWorkDraft(
            session_id="alpha",
            source_key="k",
            delivery_policy=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
            slot_policy=SlotPolicy.JOIN,
            merge_key=MergeKey(kind="group", group="g"),
            available_at_ms=7,
            payloads=payloads,
        )
        batch = store.enqueue_queued_work(draft)
        assert tuple(item.payload for item in batch.items) == payloads
        assert [item.item_id for item in batch.items] == [f"{batch.batch_id}:item:{n}" for n in range(2)]
        assert (batch.session_id, batch.source_key, batch.available_at_ms) == ("alpha", "k", 7)
        assert (batch.delivery_policy, batch.slot_policy) == (draft.delivery_policy, draft.slot_policy)
        assert (batch.merge_key, batch.enqueued_at_ms) == (draft.merge_key, clock.now_us() // 1000)
        assert batch.completed_at_us is None
        assert list(store.list_queued_work("alpha")) == [batch]

    def test_work_alone_does_not_make_a_session(self, store: SessionStore, session: SampleSession) -> None:
        session.wake()
        session.command()
        assert store.load_session("alpha") is None
        assert store.session_info("alpha") is None

    def test_batches_are_listed_in_order_and_by_session(self, store: SessionStore, session: SampleSession) -> None:
        """RP14: the list is that of one session, in the order of queueing."""
        first, second, third = session.wake(1), session.command(), session.wake(2)
        other = SampleSession(store, "beta").wake(1)
        assert list(store.list_queued_work("alpha")) == [first, second, third]
        assert first.enqueue_seq < second.enqueue_seq < third.enqueue_seq
        assert list(store.list_queued_work("beta")) == [other]
        assert list(store.list_queued_work("nobody")) == []

    def test_a_repeat_gives_the_original_batch(self, session: SampleSession) -> None:
        """RP14: the same ids and the original payload, whatever the repeat holds."""
        batch = session.wake(payloads=(process_wake(text="original"),))
        again = session.wake(payloads=(process_wake(text="other"), process_wake(7)), slot_policy=SlotPolicy.JOIN)
        assert again == batch
        assert session.queued() == [batch.batch_id]

    def test_a_wake_that_is_sent_twice_is_delivered_once(self, session: SampleSession) -> None:
        """RP22: one row, one claim with one item, and completion removes it."""
        assert session.wake(1) == session.wake(1)
        claim = got(session.claim_work())
        assert [[item.payload for item in batch.items] for batch in claim.batches] == [[process_wake(1)]]
        session.settle(claim)
        assert (session.queued(), session.claim_work()) == ([], None)

    def test_without_a_source_key_no_work_is_a_repeat(self, session: SampleSession) -> None:
        first, second = session.wake(source_key=None), session.wake(source_key=None)
        assert session.queued() == [first.batch_id, second.batch_id]

    def test_source_keys_of_work_are_told_apart_by_session(self, store: SessionStore, session: SampleSession) -> None:
        assert session.wake(1).batch_id != SampleSession(store, "beta").wake(1).batch_id

    @pytest.mark.parametrize(
        "payloads", [(), (process_wake(), session_command())], ids=["no payload", "payloads of both classes"]
    )
    def test_a_batch_is_of_one_class(self, session: SampleSession, payloads: tuple[object, ...]) -> None:
        with pytest.raises(InvalidQueuedWork) as caught:
            session.wake(payloads=payloads)
        assert caught.value.session_id == "alpha"
        assert session.queued() == []

    def test_unclaimed_work_can_be_cancelled(self, store: SessionStore, session: SampleSession) -> None:
        """RP15: it is given back with its payload, once, and it is gone."""
        batch, stays = session.wake(1), session.wake(2)
        assert store.cancel_queued_work_batch("alpha", batch.batch_id) == batch
        assert store.cancel_queued_work_batch("alpha", batch.batch_id) is None
        assert session.queued() == [stays.batch_id]

    def test_claimed_work_cannot_be_cancelled(self, store: SessionStore, session: SampleSession) -> None:
        """RP15: it is listed among all, not among the unclaimed; given back it can be cancelled."""
        batch = session.wake()
        claim = got(session.claim_work())
        assert store.cancel_queued_work_batch("alpha", batch.batch_id) is None
        assert (session.queued(), session.queued(include_claimed=False)) == ([batch.batch_id], [])
        store.abandon_queued_work_claim(claim)
        assert session.queued(include_claimed=False) == [batch.batch_id]
        assert store.cancel_queued_work_batch("alpha", batch.batch_id) == batch
        assert session.queued() == []

    def test_work_whose_claim_expired_is_nobodys(self, store: SessionStore, session: SampleSession) -> None:
        batch = session.wake()
        session.claim_work(ttl_ms=0)
        assert session.queued(include_claimed=False) == [batch.batch_id]
        assert store.cancel_queued_work_batch("alpha", batch.batch_id) == batch

    def test_what_is_not_there_cannot_be_cancelled(self, store: SessionStore, session: SampleSession) -> None:
        batch = session.wake()
        assert store.cancel_queued_work_batch("alpha", "nowhere") is None
        assert store.cancel_queued_work_batch("beta", batch.batch_id) is None
        assert session.queued() == [batch.batch_id]

    def test_the_source_key_of_a_wake_is_free_after_it(self, store: SessionStore, session: SampleSession) -> None:
        cancelled = session.wake()
        store.cancel_queued_work_batch("alpha", cancelled.batch_id)
        completed = session.wake()
        assert completed.batch_id != cancelled.batch_id
        session.settle(got(session.claim_work()))
        again = session.wake()
        assert (again.batch_id != completed.batch_id, again.completed_at_us) == (True, None)
        assert session.queued() == [again.batch_id]

    def test_a_command_that_was_carried_out_is_answered_from_its_receipt(
        self, session: SampleSession, clock: ManualClock
    ) -> None:
        batch = session.command()
        claim = got(session.claim_command())
        clock.advance(5)
        session.settle(claim)
        clock.advance(5)
        again = session.command(payloads=(session_command("other words"),))
        assert again == batch.model_copy(update={"completed_at_us": clock.now_us() - 5_000_000})
        assert session.command() == again
        assert (session.queued(), session.claim_command()) == ([], None)

    def test_a_receipt_is_its_sessions_and_its_keys(self, store: SessionStore, session: SampleSession) -> None:
        session.command("key")
        session.settle(got(session.claim_command()))
        for batch in (session.command("other"), SampleSession(store, "beta").command("key")):
            assert batch.completed_at_us is None

    def test_a_command_that_was_cancelled_leaves_no_receipt(self, store: SessionStore, session: SampleSession) -> None:
        batch = session.command()
        assert store.cancel_queued_work_batch("alpha", batch.batch_id) == batch
        again = session.command()
        assert (again.batch_id != batch.batch_id, again.completed_at_us) == (True, None)

    def test_a_command_that_waits_is_no_receipt(self, session: SampleSession) -> None:
        batch = session.command()
        session.claim_command()
        assert session.command() == batch
        assert batch.completed_at_us is None


class WaitingSessionsConformance(StoreSuite):
    """Drivers find the sessions that wait for them."""

    def test_sessions_with_work_are_found(self, store: SessionStore, clock: ManualClock) -> None:
        for name in ("woken", "commanded", "spoken"):
            SampleSession(store, name).commit("a")
            clock.advance(1)
        SampleSession(store, "spoken").say()
        clock.advance(1)
        SampleSession(store, "woken").wake()
        clock.advance(1)
        SampleSession(store, "commanded").command()
        clock.advance(1)
        SampleSession(store, "spoken").wake()
        assert list(store.sessions_with_work(limit=10)) == ["spoken", "woken", "commanded"]
        assert list(store.sessions_with_work(limit=2)) == ["spoken", "woken"]
        assert list(store.sessions_with_work(limit=0)) == []

    def test_a_session_with_work_needs_no_head(self, store: SessionStore, session: SampleSession) -> None:
        session.wake()
        assert list(store.sessions_with_work(limit=10)) == ["alpha"]

    def test_input_for_a_running_turn_is_no_work(self, store: SessionStore, session: SampleSession) -> None:
        session.say(ingress=during("t1"))
        assert list(store.sessions_with_work(limit=10)) == []
        session.settle(interrupted_turn_id="t1")
        assert list(store.sessions_with_work(limit=10)) == ["alpha"]

    def test_work_is_not_there_before_its_time(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        session.wake(available_at_ms=clock.now_us() // 1000 + 5_000)
        assert list(store.sessions_with_work(limit=10)) == []
        clock.advance(5)
        assert list(store.sessions_with_work(limit=10)) == ["alpha"]

    def test_claimed_work_waits_for_nobody(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        session.wake()
        session.say()
        claims = got(session.claim_work(ttl_ms=5_000)), got(session.claim_inputs(ttl_ms=5_000))
        assert list(store.sessions_with_work(limit=10)) == []
        clock.advance(5)
        assert list(store.sessions_with_work(limit=10)) == ["alpha"]
        session.settle(*claims)
        assert list(store.sessions_with_work(limit=10)) == []

    def test_cancelled_work_waits_for_nobody(self, store: SessionStore, session: SampleSession) -> None:
        store.cancel_queued_work_batch("alpha", session.wake().batch_id)
        store.cancel_turn_input("alpha", session.say().input_id)
        assert list(store.sessions_with_work(limit=10)) == []

    def test_waiting_for_work_ends_with_its_time(self, store: SessionStore) -> None:
        assert False in [store.wait_for_work(timeout_ms=0) for _ in range(3)]
        assert False in [store.wait_for_work(timeout_ms=20) for _ in range(3)]

    @pytest.mark.parametrize("kind", ["input", "work"])
    def test_waiting_for_work_ends_when_there_is_some(
        self, handles: tuple[SessionStore, SessionStore], kind: str
    ) -> None:
        here, there = handles
        session = SampleSession(there, "alpha")
        with ThreadPoolExecutor(max_workers=1) as pool:
            waiting = pool.submit(here.wait_for_work, timeout_ms=60_000)
            for number in range(1_000):
                if kind == "input":
                    session.say()
                else:
                    session.wake(number)
                if wait([waiting], timeout=0.02).done:
                    break
            assert waiting.result(timeout=0)
        assert list(here.sessions_with_work(limit=10)) == ["alpha"]
