"""Queued work, as a store keeps it."""

from __future__ import annotations

from functools import partial

import pytest

from lash_host.domain.lease import LeaseOwner
from lash_host.domain.queue import (
    DeliveryPolicy,
    MergeKey,
    ProcessWake,
    QueueBoundary,
    QueuedWorkDraft,
    ResetSession,
    SessionCommand,
    SlotPolicy,
)
from lash_host.errors import InvalidQueuedWork, QueuedWorkClaimExpired, SessionLeaseExpired, StoreError
from lash_host.store import queue
from lash_host.store.work import QUEUED_WORK

OTHER = LeaseOwner(owner_id="other", incarnation_id="1")
RESET = SessionCommand(command=ResetSession(reason="anew"))


def wake(number: int = 1, **changes: object) -> QueuedWorkDraft:
    payload = ProcessWake(process_id="p", event_sequence=number, wake={"said": f"wake {number}"})
    return QueuedWorkDraft(**({"session_id": "s", "payloads": (payload,)} | changes))


def command(**changes: object) -> QueuedWorkDraft:
    return QueuedWorkDraft(**({"session_id": "s", "slot_policy": SlotPolicy.EXCLUSIVE, "payloads": (RESET,)} | changes))


@pytest.fixture
def enqueue(store):
    return lambda draft: store.run(lambda work: queue.enqueue(work, draft))


@pytest.fixture
def pending(store):
    def ids(session_id: str = "s", *, include_claimed: bool = False) -> list[str]:
        batches = store.run(lambda work: queue.list_batches(work, session_id, include_claimed=include_claimed))
        return [batch.batch_id for batch in batches]

    return ids


@pytest.fixture
def claim(store):
    def claim(fence, owner, *, boundary=QueueBoundary.IDLE, ttl_ms=1_000, limit=64, batch_ids=None):
        return store.run(
            lambda work: queue.claim_work(
                work, fence.session_id, fence, owner, boundary=boundary, ttl_ms=ttl_ms, limit=limit, batch_ids=batch_ids
            )
        )

    return claim


def ids(claim) -> list[str]:
    return [batch.batch_id for batch in claim.batches]


def test_a_batch_is_kept_as_it_was_drafted(store, enqueue):
    draft = wake(
        3,
        source_key="key",
        delivery_policy=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
        slot_policy=SlotPolicy.EXCLUSIVE,
        merge_key=MergeKey(kind="group", group="g"),
        available_at_ms=17,
    )
    batch = enqueue(draft)
    assert batch.enqueued_at_ms == store.now_us // 1000
    assert (batch.available_at_ms, batch.source_key, batch.completed_at_us) == (17, "key", None)
    assert (batch.delivery_policy, batch.slot_policy, batch.merge_key) == (
        draft.delivery_policy,
        draft.slot_policy,
        draft.merge_key,
    )
    assert [(item.item_id, item.payload) for item in batch.items] == [(f"{batch.batch_id}:item:0", draft.payloads[0])]
    assert store.run(lambda work: queue.list_batches(work, "s", include_claimed=True)) == [batch]
    assert store.announced == 1


def test_batches_of_a_session_are_listed_in_order_and_no_others(store, enqueue, pending):
    first, other, second = enqueue(wake(1)), enqueue(wake(session_id="other")), enqueue(wake(2))
    assert pending() == [first.batch_id, second.batch_id]
    assert first.enqueue_seq < second.enqueue_seq
    assert store.heads["s"].row["last_key"] == second.enqueue_seq
    assert pending("other") == [other.batch_id]
    assert len({first.batch_id, second.batch_id, other.batch_id}) == 3
    assert pending("nobody") == []


def test_order_holds_where_the_clock_turns_back(store, enqueue):
    first = enqueue(wake(1))
    store.advance(-60_000)
    assert enqueue(wake(2)).enqueue_seq > first.enqueue_seq


def test_a_repeat_gives_the_original_and_writes_nothing(store, enqueue, pending):
    first = enqueue(wake(1, source_key="key"))
    store.advance(5)
    assert enqueue(wake(2, source_key="key")) == first
    assert (store.written, store.announced) == ([], 1)
    assert pending() == [first.batch_id]


@pytest.mark.parametrize("payloads", [(), (wake().payloads[0], RESET)])
def test_an_empty_or_mixed_batch_is_refused_and_leaves_no_session(store, enqueue, payloads):
    with pytest.raises(InvalidQueuedWork, match="'s'"):
        enqueue(wake(payloads=payloads))
    assert store.heads == {}


def test_a_claim_needs_the_live_lease_even_when_the_queue_is_empty(store, claim, owner):
    fence = store.lease(ttl_ms=100)
    assert claim(fence, owner) is None
    forged = fence.model_copy(update={"lease_token": "forged"})
    elsewhere = fence.model_copy(update={"session_id": "never heard of"})
    for wrong in (forged, elsewhere):
        with pytest.raises(SessionLeaseExpired):
            claim(wrong, owner)
        assert claim(wrong, owner, limit=0) is None
        assert claim(wrong, owner, batch_ids=[]) is None
        with pytest.raises(SessionLeaseExpired):
            store.run(partial(queue.claim_command, session_id="s", fence=wrong, owner=owner, ttl_ms=1))
    store.advance(100)
    with pytest.raises(SessionLeaseExpired):
        claim(fence, owner)


def test_a_fence_of_another_session_opens_nothing(store, enqueue, owner):
    enqueue(wake(session_id="other"))
    fence = store.lease("s")
    with pytest.raises(SessionLeaseExpired):
        store.run(
            lambda work: queue.claim_work(
                work, "other", fence, owner, boundary=QueueBoundary.IDLE, ttl_ms=1_000, limit=1
            )
        )


def test_a_group_is_claimed_with_one_row_each(store, enqueue, pending, claim, owner):
    a, b, alone = enqueue(wake(1)), enqueue(wake(2)), enqueue(wake(3, slot_policy=SlotPolicy.EXCLUSIVE))
    taken = claim(store.lease(), owner)
    assert taken.batches == (a, b)
    assert store.written == [("put", "queued_work")] * 2
    now_ms = store.now_us // 1000
    assert (taken.claim.claimed_at_ms, taken.claim.expires_at_ms) == (now_ms, now_ms + 1_000)
    assert (taken.claim.owner, taken.claim.fencing_token) == (owner, 1)
    assert pending() == [alone.batch_id]
    assert pending(include_claimed=True) == [a.batch_id, b.batch_id, alone.batch_id]


def test_exact_ids_are_claimed_or_nothing_changes(store, enqueue, claim, owner):
    a, b = (enqueue(wake(number, slot_policy=SlotPolicy.EXCLUSIVE)) for number in (1, 2))
    fence = store.lease()
    assert claim(fence, owner, batch_ids=[b.batch_id]) is None
    assert store.written == []
    assert ids(claim(fence, owner, batch_ids=[a.batch_id])) == [a.batch_id]


def test_commands_and_turn_work_wait_for_each_other(store, enqueue, claim, owner):
    order, work = enqueue(command()), enqueue(wake())
    fence = store.lease()
    assert claim(fence, owner) is None
    taken = store.run(partial(queue.claim_command, session_id="s", fence=fence, owner=owner, ttl_ms=1_000))
    assert taken.exclusive_session_command == (order, RESET)
    assert store.written == [("put", "queued_work")]
    assert ids(claim(fence, owner)) == [work.batch_id]


def test_an_expired_claim_is_taken_over_with_a_greater_fence(store, enqueue, claim, owner):
    enqueue(wake())
    fence = store.lease()
    first = claim(fence, owner, ttl_ms=0)
    second = claim(fence, OTHER)
    assert ids(first) == ids(second)
    assert second.claim.fencing_token > first.claim.fencing_token
    assert (second.claim.claim_id, second.claim.claim_token) != (first.claim.claim_id, first.claim.claim_token)


def test_what_a_dead_owner_claimed_is_waiting_again(store, enqueue, pending, claim, owner):
    batch = enqueue(wake())
    fence = store.lease()
    claim(fence, OTHER, ttl_ms=50_000)
    assert (pending(), claim(fence, owner)) == ([], None)
    store.dead.add("other")
    assert pending() == [batch.batch_id]
    assert ids(claim(fence, owner)) == [batch.batch_id]


def test_renewing_extends_all_of_a_claim(store, enqueue, claim, owner):
    enqueue(wake(1))
    enqueue(wake(2))
    fence = store.lease()
    taken = claim(fence, owner)
    store.advance(5_000)
    renewed = store.run(lambda work: queue.renew_claim(work, taken, ttl_ms=10_000))
    assert renewed.batches == taken.batches
    assert renewed.claim == taken.claim.model_copy(update={"expires_at_ms": store.now_us // 1000 + 10_000})
    assert claim(fence, OTHER) is None
    store.run(lambda work: queue.abandon_claim(work, taken))
    assert ids(claim(fence, OTHER)) == ids(taken)


def test_what_somebody_else_took_cannot_be_renewed(store, enqueue, claim, owner):
    enqueue(wake(1, slot_policy=SlotPolicy.EXCLUSIVE))
    fence = store.lease()
    taken = claim(fence, owner, ttl_ms=0)
    claim(fence, OTHER)
    elsewhere = taken.model_copy(update={"claim": taken.claim.model_copy(update={"session_id": "never heard of"})})
    for stale in (taken, elsewhere):
        with pytest.raises(QueuedWorkClaimExpired) as caught:
            store.run(lambda work, stale=stale: queue.renew_claim(work, stale, ttl_ms=1_000))
        assert caught.value.claim_id == taken.claim.claim_id
    store.run(lambda work: queue.abandon_claim(work, taken))
    store.run(lambda work: queue.abandon_claim(work, elsewhere))
    assert store.written == []


def test_a_batch_is_cancelled_unless_it_is_claimed(store, enqueue, pending, claim, owner):
    a, b = (enqueue(wake(number, slot_policy=SlotPolicy.EXCLUSIVE)) for number in (1, 2))
    taken = claim(store.lease(), owner)

    def cancel(batch_id, session_id="s"):
        return store.run(lambda work: queue.cancel_batch(work, session_id, batch_id))

    assert cancel(a.batch_id) is None
    assert cancel(b.batch_id) == b
    assert store.written == [("remove", "queued_work")]
    assert cancel(b.batch_id) is None
    assert cancel(a.batch_id, "never heard of") is None
    store.run(lambda work: queue.abandon_claim(work, taken))
    assert pending() == [a.batch_id]
    assert cancel(a.batch_id) == a
    assert enqueue(wake(3, source_key="free")).enqueue_seq > b.enqueue_seq


def test_a_cancelled_batch_frees_its_source_key(store, enqueue):
    first = enqueue(wake(source_key="key"))
    store.run(lambda work: queue.cancel_batch(work, "s", first.batch_id))
    second = enqueue(wake(2, source_key="key"))
    assert second.batch_id != first.batch_id


def test_text_that_no_encoding_holds_comes_back_as_it_was(enqueue, pending, store):
    payload = ProcessWake(process_id="p", event_sequence=1, wake={"said": "half \ud800"})
    batch = enqueue(wake(payloads=(payload,)))
    store.rows[QUEUED_WORK.table.name][(1, batch.batch_id)]["items"].encode()
    assert store.run(lambda work: queue.list_batches(work, "s", include_claimed=True))[0].items[0].payload == payload


def test_a_row_that_cannot_be_read_is_the_stores_fault(store, enqueue):
    batch = enqueue(wake())
    store.rows[QUEUED_WORK.table.name][(1, batch.batch_id)]["items"] = '[{"item_id": 1}]'
    with pytest.raises(StoreError, match="queued items"):
        store.run(lambda work: queue.list_batches(work, "s", include_claimed=True))
