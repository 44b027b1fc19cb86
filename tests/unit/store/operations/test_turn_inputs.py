"""Pending turn input, as a store keeps it."""

from __future__ import annotations

import pytest

from lash_host.domain.lease import LeaseOwner
from lash_host.domain.turn import InputImage, InputText, TurnInput
from lash_host.domain.turn_input import (
    ActiveTurn,
    AnchorNotFound,
    CheckpointBoundary,
    InputNotFound,
    InputTarget,
    NextTurn,
    PendingTurnInputDraft,
    SuffixCancelled,
    TurnInputState,
)
from lash_host.errors import SessionLeaseExpired, TurnInputIdConflict, TurnInputSourceKeyConflict
from lash_host.store import turn_inputs
from lash_host.store.work import TURN_INPUTS

HOST = LeaseOwner(owner_id="host", incarnation_id="1")
OTHER = LeaseOwner(owner_id="other", incarnation_id="1")
ACTIVE = ActiveTurn(turn_id="t")


@pytest.fixture
def enqueue(store, say):
    def enqueue(text="hello", *, session_id="s", **changes):
        draft = PendingTurnInputDraft(session_id=session_id, input=say(text), **changes)
        return store.run(lambda work: turn_inputs.enqueue(work, draft))

    return enqueue


@pytest.fixture
def pending(store):
    def ids(session_id="s"):
        return [one.input_id for one in store.run(lambda work: turn_inputs.list_pending(work, session_id))]

    return ids


@pytest.fixture
def claim_next(store):
    def claim(fence, owner, *, ttl_ms=1_000, limit=64):
        return store.run(
            lambda work: turn_inputs.claim_next(work, fence.session_id, fence, owner, ttl_ms=ttl_ms, limit=limit)
        )

    return claim


@pytest.fixture
def claim_active(store):
    def claim(fence, owner, *, boundary=CheckpointBoundary.AFTER_WORK, ttl_ms=1_000, limit=64):
        return store.run(
            lambda work: turn_inputs.claim_active(
                work, "s", fence, owner, turn_id="t", boundary=boundary, ttl_ms=ttl_ms, limit=limit
            )
        )

    return claim


@pytest.fixture
def cancel(store):
    def cancel(*targets, session_id="s"):
        results = store.run(lambda work: turn_inputs.cancel(work, session_id, targets))
        assert [result.target for result in results] == list(targets)
        return [result.outcome for result in results]

    return cancel


@pytest.fixture
def abandon(store):
    return lambda claim: store.run(lambda work: turn_inputs.abandon_claim(work, claim))


def by_id(one) -> InputTarget:
    return InputTarget(input_id=one.input_id)


def kinds(outcomes) -> list[str]:
    return [outcome.kind for outcome in outcomes]


def test_input_is_kept_as_it_was_submitted(store, pending):
    picture = InputImage(data=b"\x00\xff", media_type="image/png")
    content = TurnInput(items=(InputText(text="see \ud800"), picture), turn_id="asked for")
    draft = PendingTurnInputDraft(session_id="s", input=content, ingress=ACTIVE, source_key="key")
    one = store.run(lambda work: turn_inputs.enqueue(work, draft))
    assert (one.input, one.ingress, one.submitted_ingress, one.source_key) == (content, ACTIVE, ACTIVE, "key")
    assert (one.state, one.enqueued_at_ms) == (TurnInputState.PENDING_ACTIVE, store.now_us // 1000)
    assert store.run(lambda work: turn_inputs.list_pending(work, "s")) == [one]
    assert store.announced == 1


def test_inputs_are_listed_in_order_by_session(store, enqueue, pending):
    first, other, second = enqueue("1"), enqueue("2", session_id="other"), enqueue("3", ingress=ACTIVE)
    assert pending() == [first.input_id, second.input_id]
    assert (pending("other"), pending("nobody")) == ([other.input_id], [])
    assert store.heads["s"].row["last_key"] == second.enqueue_seq
    assert len({first.input_id, other.input_id, second.input_id}) == 3


def test_a_repeat_gives_the_record_and_writes_nothing(store, enqueue, cancel):
    one = enqueue(source_key="key", ingress=ACTIVE)
    store.advance(5)
    assert enqueue(source_key="key", ingress=ACTIVE) == one
    assert (store.written, store.announced) == ([], 1)
    cancel(by_id(one))
    assert enqueue(source_key="key", ingress=ACTIVE).state is TurnInputState.CANCELLED


def test_other_content_under_a_source_key_is_refused(enqueue, pending):
    one = enqueue(source_key="key")
    with pytest.raises(TurnInputSourceKeyConflict) as caught:
        enqueue("changed", source_key="key")
    assert (caught.value.session_id, caught.value.source_key) == ("s", "key")
    assert caught.value.existing_input_id == one.input_id
    assert pending() == [one.input_id]
    assert enqueue("changed", source_key="key", session_id="other").input_id != one.input_id


def test_an_id_may_be_asked_for_once(enqueue, pending):
    one = enqueue(input_id="mine")
    assert (one.input_id, enqueue(input_id="mine")) == ("mine", one)
    with pytest.raises(TurnInputIdConflict) as caught:
        enqueue("changed", input_id="mine")
    assert (caught.value.session_id, caught.value.input_id) == ("s", "mine")
    assert pending() == ["mine"]


def test_a_claim_needs_the_live_lease_even_when_nothing_waits(store, claim_next, claim_active):
    fence = store.lease(ttl_ms=100)
    assert (claim_next(fence, HOST), claim_active(fence, HOST)) == (None, None)
    store.advance(100)
    for claim in (claim_next, claim_active):
        with pytest.raises(SessionLeaseExpired):
            claim(fence, HOST)
        assert claim(fence, HOST, limit=0) is None


def test_a_turn_accepts_what_waits_for_it(store, enqueue, pending, claim_active):
    last = ActiveTurn(turn_id="t", min_boundary=CheckpointBoundary.BEFORE_COMPLETION)
    a, late, deferred, b = (
        enqueue("a", ingress=ACTIVE),
        enqueue("late", ingress=last),
        enqueue("d"),
        enqueue("b", ingress=ACTIVE),
    )
    fence = store.lease()
    claim = claim_active(fence, HOST)
    assert [one.input_id for one in claim.inputs] == [a.input_id, b.input_id]
    assert {one.state for one in claim.inputs} == {TurnInputState.ACCEPTED}
    assert store.written == [("put", "turn_inputs")] * 2
    assert claim.materialize().text == "ab"
    assert pending() == [late.input_id, deferred.input_id]
    final = claim_active(fence, HOST, boundary=CheckpointBoundary.BEFORE_COMPLETION)
    assert [one.input_id for one in final.inputs] == [late.input_id]


def test_the_next_turn_takes_what_is_deferred(store, enqueue, pending, claim_next, abandon):
    waits, a, b = enqueue("w", ingress=ACTIVE), enqueue("a"), enqueue("b")
    fence = store.lease()
    first = claim_next(fence, HOST)
    assert [one.input_id for one in first.inputs] == [a.input_id, b.input_id]
    assert {one.state for one in first.inputs} == {TurnInputState.DEFERRED_NEXT_TURN}
    assert (pending(), claim_next(fence, OTHER)) == ([waits.input_id], None)
    abandon(first)
    assert pending() == [waits.input_id, a.input_id, b.input_id]
    second = claim_next(fence, OTHER, limit=1)
    assert [one.input_id for one in second.inputs] == [a.input_id]
    assert second.claim.fencing_token > first.claim.fencing_token


def test_giving_up_returns_accepted_input_to_its_turn(store, enqueue, claim_active, abandon):
    enqueue(ingress=ACTIVE)
    fence = store.lease()
    first = claim_active(fence, HOST)
    abandon(first)
    assert store.table(TURN_INPUTS)[0]["state"] == "pending_active"
    second = claim_active(fence, OTHER)
    assert second.claim.fencing_token > first.claim.fencing_token
    abandon(first)
    assert store.written == []
    assert store.table(TURN_INPUTS)[0]["claim_token"] == second.claim.claim_token


def test_giving_up_a_claim_of_an_unknown_session_changes_nothing(store, enqueue, claim_next, abandon):
    enqueue()
    claim = claim_next(store.lease(), HOST)
    abandon(claim.model_copy(update={"claim": claim.claim.model_copy(update={"session_id": "never heard of"})}))
    assert store.written == []


def test_cancelling_says_what_it_did(store, enqueue, cancel):
    one = enqueue()
    (cancelled,) = cancel(by_id(one))
    assert cancelled.kind == "cancelled"
    assert cancelled.input == one.model_copy(update={"state": TurnInputState.CANCELLED})
    assert store.written == [("put", "turn_inputs")]
    assert store.table(TURN_INPUTS)[0]["settled_at_us"] == store.now_us
    (again,) = cancel(by_id(one))
    assert (again.kind, again.input) == ("already_cancelled", cancelled.input)
    assert store.written == []
    assert cancel(by_id(one), session_id="never heard of") == [InputNotFound()]


def test_bulk_cancelling_sees_its_own_effect(enqueue, cancel, pending):
    a, b, c = enqueue("a", source_key="ka"), enqueue("b"), enqueue("c")
    missing, key = InputTarget(source_key="missing"), InputTarget(source_key="ka")
    outcomes = cancel(key, by_id(b), missing, key, by_id(a))
    assert kinds(outcomes) == ["cancelled", "cancelled", "not_found", "already_cancelled", "already_cancelled"]
    assert pending() == [c.input_id]


def test_what_is_claimed_is_not_cancelled(store, enqueue, cancel, claim_next, claim_active):
    deferred, active = enqueue("d"), enqueue("a", ingress=ACTIVE)
    fence = store.lease()
    claim, accepted = claim_next(fence, HOST), claim_active(fence, HOST)
    outcomes = cancel(by_id(deferred), by_id(active))
    assert kinds(outcomes) == ["already_claimed", "already_claimed"]
    assert [outcome.claim for outcome in outcomes] == [claim.claim, accepted.claim]
    assert outcomes[1].input.state is TurnInputState.ACCEPTED
    store.advance(1_000)
    assert kinds(cancel(by_id(active), by_id(deferred))) == ["already_claimed", "cancelled"]


def test_what_a_dead_owner_claimed_is_cancelled(store, enqueue, cancel, claim_next):
    one = enqueue()
    claim_next(store.lease(), OTHER)
    store.dead.add("other")
    assert kinds(cancel(by_id(one))) == ["cancelled"]
    assert store.table(TURN_INPUTS)[0]["claim_token"] is None


def test_cancelling_an_input_and_all_after_it(store, enqueue, cancel, claim_active, pending):
    before, anchor, taken, gone, last = (
        enqueue("0"), enqueue("1", source_key="anchor"), enqueue("2", ingress=ACTIVE), enqueue("3"), enqueue("4"),
    )  # fmt: skip
    enqueue("elsewhere", session_id="other")
    cancel(by_id(gone))
    claim = claim_active(store.lease(), HOST)

    def suffix(target, session_id="s"):
        return store.run(lambda work: turn_inputs.cancel_suffix(work, session_id, target))

    found = suffix(InputTarget(source_key="anchor"))
    assert isinstance(found, SuffixCancelled)
    assert kinds(found.outcomes) == ["cancelled", "already_claimed", "already_cancelled", "cancelled"]
    assert [outcome.input.input_id for outcome in found.outcomes] == [
        one.input_id for one in (anchor, taken, gone, last)
    ]
    assert found.outcomes[1].claim == claim.claim
    assert pending() == [before.input_id]
    assert kinds(suffix(by_id(last)).outcomes) == ["already_cancelled"]
    for session_id in ("s", "never heard of"):
        missing = suffix(InputTarget(input_id="missing"), session_id)
        assert missing == AnchorNotFound(target=InputTarget(input_id="missing"))
    assert len(pending("other")) == 1


def test_nothing_is_cancelled_after_a_claim_that_expired_and_was_taken_again(store, enqueue, cancel, claim_next):
    one = enqueue(ingress=NextTurn())
    fence = store.lease()
    claim_next(fence, OTHER, ttl_ms=0)
    again = claim_next(fence, OTHER)
    (outcome,) = cancel(by_id(one))
    assert outcome.claim == again.claim
