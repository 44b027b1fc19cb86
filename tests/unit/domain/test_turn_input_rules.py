"""Repeats, cancelling, claims and interrupts of pending turn input."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lash_host.domain.claim import ClaimRow
from lash_host.domain.lease import LeaseOwner
from lash_host.domain.turn import InputImage, InputText, TurnInput
from lash_host.domain.turn_input import (
    ActiveTurn,
    CheckpointBoundary,
    InputTarget,
    NextTurn,
    PendingTurnInput,
    PendingTurnInputDraft,
    TurnInputState,
)
from lash_host.domain.turn_input_rules import (
    CancelDecision,
    EnqueueNew,
    EnqueueRepeated,
    IdTaken,
    InputEntry,
    SourceKeyTaken,
    abandoned_state,
    decide_cancel,
    decide_enqueue,
    initial_state,
    is_deferred_by_interrupt,
    is_pending,
    is_stranded,
    select_active,
    select_next,
)

NOW = 1_000
HELLO = TurnInput(items=(InputText(text="hello"),))
AFTER_WORK, BEFORE_COMPLETION = CheckpointBoundary.AFTER_WORK, CheckpointBoundary.BEFORE_COMPLETION
PENDING, DEFERRED = TurnInputState.PENDING_ACTIVE, TurnInputState.DEFERRED_NEXT_TURN
ACCEPTED, CANCELLED, COMPLETED = TurnInputState.ACCEPTED, TurnInputState.CANCELLED, TurnInputState.COMPLETED
GONE = LeaseOwner(owner_id="gone", incarnation_id="1")
FREE = ClaimRow(fencing_token=2)
HELD = ClaimRow(fencing_token=2, claim_id="c", claim_token="t", owner=GONE, expires_at_ms=NOW + 1)
EXPIRED = ClaimRow(fencing_token=2, claim_id="c", claim_token="t", owner=GONE, expires_at_ms=NOW)


def draft(**changes: object) -> PendingTurnInputDraft:
    return PendingTurnInputDraft(**({"session_id": "s", "input": HELLO, "source_key": "key"} | changes))


def record(**changes: object) -> PendingTurnInput:
    values = {
        "input_id": "i", "session_id": "s", "enqueue_seq": 1, "source_key": "key", "ingress": NextTurn(),
        "submitted_ingress": NextTurn(), "state": DEFERRED, "enqueued_at_ms": 1, "input": HELLO,
    }  # fmt: skip
    return PendingTurnInput(**(values | changes))


def entry(input_id: str, state: TurnInputState, ingress=None, claim: ClaimRow = FREE) -> InputEntry:
    return InputEntry(input_id=input_id, state=state, ingress=ingress or NextTurn(), claim=claim)


def active(turn_id: str = "t", *, at: CheckpointBoundary = AFTER_WORK) -> ActiveTurn:
    return ActiveTurn(turn_id=turn_id, min_boundary=at)


@pytest.mark.parametrize(("ingress", "state"), [(active(), PENDING), (NextTurn(), DEFERRED)])
def test_new_input_waits_where_it_is_to_go(ingress, state):
    assert initial_state(ingress) is state
    new = decide_enqueue(draft(ingress=ingress), with_source_key=None, with_id=None)
    assert new == EnqueueNew(state)


@pytest.mark.parametrize("state", list(TurnInputState))
def test_a_repeat_gives_the_record_in_whatever_state(state):
    known = record(state=state)
    assert decide_enqueue(draft(), with_source_key=known, with_id=None) == EnqueueRepeated(known)


def test_a_repeat_is_compared_with_what_was_submitted():
    interrupted = record(submitted_ingress=active(), ingress=NextTurn())
    assert decide_enqueue(draft(ingress=active()), with_source_key=interrupted, with_id=None) == EnqueueRepeated(
        interrupted
    )
    assert decide_enqueue(draft(ingress=NextTurn()), with_source_key=interrupted, with_id=None) == SourceKeyTaken("i")


@pytest.mark.parametrize(
    "changes",
    [
        {"input": TurnInput(items=(InputText(text="other"),))},
        {"input": TurnInput(items=(InputText(text="hello"), InputImage(data=b"1", media_type="image/png")))},
        {"input": HELLO.model_copy(update={"turn_id": "t"})},
        {"ingress": active()},
        {"ingress": active(at=BEFORE_COMPLETION)},
    ],
)
def test_other_content_under_a_source_key_is_a_conflict(changes):
    assert decide_enqueue(draft(**changes), with_source_key=record(), with_id=None) == SourceKeyTaken("i")


def test_the_source_key_decides_before_the_id():
    known = record(input_id="first")
    repeated = decide_enqueue(draft(input_id="i"), with_source_key=known, with_id=record(source_key="other"))
    assert repeated == EnqueueRepeated(known)


def test_an_id_makes_a_repeat_recognizable_too():
    known = record(source_key=None)
    asked = draft(source_key=None, input_id="i")
    assert decide_enqueue(asked, with_source_key=None, with_id=known) == EnqueueRepeated(known)


@pytest.mark.parametrize("changes", [{"source_key": "another"}, {"input": TurnInput()}, {"ingress": active()}])
def test_an_id_belongs_to_one_input(changes):
    asked = draft(**({"source_key": None, "input_id": "i"} | changes))
    assert decide_enqueue(asked, with_source_key=None, with_id=record(source_key=None)) == IdTaken("i")


@pytest.mark.parametrize(
    ("state", "claim", "expected"),
    [
        (PENDING, FREE, CancelDecision.CANCEL),
        (DEFERRED, FREE, CancelDecision.CANCEL),
        (DEFERRED, HELD, CancelDecision.CLAIMED),
        (DEFERRED, EXPIRED, CancelDecision.CANCEL),
        (ACCEPTED, HELD, CancelDecision.CLAIMED),
        (ACCEPTED, EXPIRED, CancelDecision.CLAIMED),
        (ACCEPTED, FREE, CancelDecision.CLAIMED),
        (COMPLETED, FREE, CancelDecision.COMPLETED),
        (CANCELLED, FREE, CancelDecision.CANCELLED),
    ],
)
def test_what_cancelling_comes_to(state, claim, expected):
    one = entry("i", state, claim=claim)
    assert decide_cancel(one, now_ms=NOW) is expected
    assert is_pending(one, now_ms=NOW) is (expected is CancelDecision.CANCEL)


def test_a_dead_owners_claim_keeps_nobody_from_cancelling():
    held, accepted = entry("i", DEFERRED, claim=HELD), entry("i", ACCEPTED, claim=HELD)
    assert decide_cancel(held, now_ms=NOW, owner_is_dead=lambda _: True) is CancelDecision.CANCEL
    assert decide_cancel(accepted, now_ms=NOW, owner_is_dead=lambda _: True) is CancelDecision.CLAIMED
    assert is_pending(held, now_ms=NOW, owner_is_dead=lambda _: True)


@pytest.mark.parametrize(
    ("one", "boundary", "is_taken"),
    [
        (entry("i", PENDING, active()), AFTER_WORK, True),
        (entry("i", PENDING, active()), BEFORE_COMPLETION, True),
        (entry("i", PENDING, active(at=BEFORE_COMPLETION)), AFTER_WORK, False),
        (entry("i", PENDING, active(at=BEFORE_COMPLETION)), BEFORE_COMPLETION, True),
        (entry("i", PENDING, active("other")), BEFORE_COMPLETION, False),
        (entry("i", ACCEPTED, active()), BEFORE_COMPLETION, False),
        (entry("i", ACCEPTED, active(), EXPIRED), BEFORE_COMPLETION, False),
        (entry("i", COMPLETED, active()), BEFORE_COMPLETION, False),
        (entry("i", CANCELLED, active()), BEFORE_COMPLETION, False),
        (entry("i", DEFERRED), BEFORE_COMPLETION, False),
    ],
)
def test_what_a_checkpoint_admits(one, boundary, is_taken):
    assert select_active([one], turn_id="t", boundary=boundary, limit=9) == ((one,) if is_taken else ())


@pytest.mark.parametrize(
    ("one", "is_taken"),
    [
        (entry("i", DEFERRED), True),
        (entry("i", DEFERRED, claim=EXPIRED), True),
        (entry("i", DEFERRED, claim=HELD), False),
        (entry("i", PENDING, active()), False),
        (entry("i", ACCEPTED, active(), EXPIRED), False),
        (entry("i", COMPLETED), False),
        (entry("i", CANCELLED), False),
    ],
)
def test_what_the_next_turn_takes(one, is_taken):
    assert select_next([one], limit=9, now_ms=NOW) == ((one,) if is_taken else ())


def test_the_next_turn_takes_what_a_dead_owner_claimed():
    one = entry("i", DEFERRED, claim=HELD)
    assert select_next([one], limit=1, now_ms=NOW, owner_is_dead=lambda owner: owner == GONE) == (one,)


def test_claims_skip_what_does_not_fit_and_stop_at_their_limit():
    a, b, c = (entry(name, PENDING, active()) for name in "abc")
    other, deferred = entry("other", PENDING, active("other")), entry("deferred", DEFERRED)
    mixed = [other, a, deferred, b, c]
    assert select_active(mixed, turn_id="t", boundary=AFTER_WORK, limit=2) == (a, b)
    assert select_active(mixed, turn_id="t", boundary=AFTER_WORK, limit=0) == ()
    assert select_next([a, deferred, entry("claimed", DEFERRED, claim=HELD), b], limit=5, now_ms=NOW) == (deferred,)


@pytest.mark.parametrize(("state", "after"), [(ACCEPTED, PENDING), (DEFERRED, DEFERRED), (PENDING, PENDING)])
def test_what_is_given_up_waits_where_it_waited(state, after):
    assert abandoned_state(state) is after


@pytest.mark.parametrize(
    ("one", "is_deferred"),
    [
        (entry("i", PENDING, active()), True),
        (entry("i", PENDING, active(at=BEFORE_COMPLETION)), True),
        (entry("i", PENDING, active("other")), False),
        (entry("i", ACCEPTED, active()), False),
        (entry("i", COMPLETED, active()), False),
        (entry("i", CANCELLED, active()), False),
        (entry("i", DEFERRED), False),
    ],
)
def test_an_interrupt_defers_only_what_waited_for_that_turn(one, is_deferred):
    assert is_deferred_by_interrupt(one, turn_id="t") is is_deferred


def test_only_accepted_input_can_be_stranded():
    assert {state for state in TurnInputState if is_stranded(state)} == {ACCEPTED}


@pytest.mark.parametrize("names", [{}, {"input_id": "i", "source_key": "k"}])
def test_a_target_is_named_in_one_way(names):
    with pytest.raises(ValidationError, match="either by input_id or by source_key"):
        InputTarget(**names)
