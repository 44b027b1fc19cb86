"""What a commit does to waiting work, and what a new holder does to what was left stranded."""

from __future__ import annotations

import pytest

from lash_host.domain.lease import LeaseOwner
from lash_host.domain.queue import (
    ProcessWake,
    QueueBoundary,
    QueuedWorkDraft,
    ResetSession,
    SessionCommand,
    SlotPolicy,
)
from lash_host.domain.turn import InputText, TurnInput
from lash_host.domain.turn_input import ActiveTurn, CheckpointBoundary, NextTurn, PendingTurnInputDraft, TurnInputState
from lash_host.errors import QueuedWorkClaimExpired, SessionBindingMismatch, TurnInputClaimExpired
from lash_host.store import attachments, queue, turn_inputs
from lash_host.store.settling import recover_stranded, settle_claims
from lash_host.store.work import ATTACHMENTS, QUEUED_WORK, RECEIPTS, TURN_INPUTS

HOST = LeaseOwner(owner_id="host", incarnation_id="1")
OTHER = LeaseOwner(owner_id="other", incarnation_id="1")
ACTIVE = ActiveTurn(turn_id="t")
LATE = ActiveTurn(turn_id="t", min_boundary=CheckpointBoundary.BEFORE_COMPLETION)
STATES = TurnInputState


class Session:
    """Session ``s`` of a store, and what happens to its work."""

    def __init__(self, store):
        self.store = store

    def settle(self, commit):
        return self.store.run(lambda work: settle_claims(work, work.head(commit.session_id), commit))

    def wake(self, number=1, *, session_id="s", source_key=None):
        payload = ProcessWake(process_id="p", event_sequence=number)
        draft = QueuedWorkDraft(session_id=session_id, source_key=source_key, payloads=(payload,))
        return self.store.run(lambda work: queue.enqueue(work, draft))

    def reset(self, source_key="command:reset_session:1"):
        payload = SessionCommand(command=ResetSession())
        draft = QueuedWorkDraft(
            session_id="s", source_key=source_key, slot_policy=SlotPolicy.EXCLUSIVE, payloads=(payload,)
        )
        return self.store.run(lambda work: queue.enqueue(work, draft))

    def claim_work(self, fence, *, ttl_ms=1_000, owner=HOST):
        return self.store.run(
            lambda work: queue.claim_work(
                work, fence.session_id, fence, owner, boundary=QueueBoundary.IDLE, ttl_ms=ttl_ms, limit=64
            )
        )

    def claim_command(self, fence):
        return self.store.run(lambda work: queue.claim_command(work, "s", fence, HOST, ttl_ms=1_000))

    def say(self, text, *, ingress=ACTIVE):
        content = TurnInput(items=(InputText(text=text),))
        draft = PendingTurnInputDraft(session_id="s", input=content, ingress=ingress)
        return self.store.run(lambda work: turn_inputs.enqueue(work, draft))

    def accept(self, fence, *, limit=64):
        return self.store.run(
            lambda work: turn_inputs.claim_active(
                work, "s", fence, HOST, turn_id="t", boundary=CheckpointBoundary.AFTER_WORK, ttl_ms=1_000, limit=limit
            )
        )

    def take_next(self, fence, *, ttl_ms=1_000, owner=HOST):
        return self.store.run(lambda work: turn_inputs.claim_next(work, "s", fence, owner, ttl_ms=ttl_ms, limit=64))


@pytest.fixture
def session(store) -> Session:
    return Session(store)


def states(store) -> list[str]:
    return [row["state"] for row in store.table(TURN_INPUTS)]


def test_a_commit_that_settles_nothing_reads_and_writes_nothing(store, session, commit, monkeypatch):
    store.lease()
    monkeypatch.setattr(type(store), "table", lambda *_: pytest.fail("read a table"))
    assert session.settle(commit()) is store.heads["s"]
    assert store.written == []


def test_completed_turn_work_is_gone_and_its_key_free(store, session, commit):
    done, other = session.wake(1, source_key="key"), session.wake(2, session_id="other")
    claim = session.claim_work(store.lease())
    store.advance(5_000)
    session.settle(commit(completed_queue_claims=(claim,)))
    assert store.written == [("remove", "queued_work")]
    assert store.table(QUEUED_WORK) == []
    assert [row["batch_id"] for row in store.table(QUEUED_WORK, "other")] == [other.batch_id]
    assert session.wake(1, source_key="key").batch_id != done.batch_id


def test_a_completed_command_leaves_a_receipt_that_answers_repeats(store, session, commit):
    order = session.reset()
    fence = store.lease()
    claim = session.claim_command(fence)
    store.advance(5)
    completed_at_us = store.now_us
    session.settle(commit(completed_queue_claims=(claim,)))
    assert store.written == [("remove", "queued_work"), ("put", "receipts")]
    store.advance(5)
    assert session.reset() == order.model_copy(update={"completed_at_us": completed_at_us})
    assert (store.table(QUEUED_WORK), store.announced) == ([], 1)
    assert session.reset("command:reset_session:2").completed_at_us is None


def test_a_completed_command_without_a_key_leaves_no_receipt(store, session, commit):
    session.reset(None)
    fence = store.lease()
    claim = session.claim_command(fence)
    session.settle(commit(completed_queue_claims=(claim,)))
    assert (store.table(QUEUED_WORK), store.table(RECEIPTS)) == ([], [])


@pytest.mark.parametrize("loss", ["taken over", "given up", "partly named", "forged"])
def test_work_that_is_not_held_any_more_fails_the_whole_commit(store, session, commit, loss):
    session.wake(1)
    session.wake(2)
    session.say("unaccepted")
    fence = store.lease()
    claim = session.claim_work(fence, ttl_ms=0)
    match loss:
        case "taken over":
            session.claim_work(fence, owner=OTHER)
        case "given up":
            store.run(lambda work: queue.abandon_claim(work, claim))
        case "partly named":
            claim = claim.model_copy(update={"batches": claim.batches[:1]})
        case "forged":
            claim = claim.model_copy(update={"claim": claim.claim.model_copy(update={"claim_token": "forged"})})
    with pytest.raises(QueuedWorkClaimExpired) as caught:
        session.settle(commit(completed_queue_claims=(claim,), interrupted_turn_id="t"))
    assert (caught.value.session_id, caught.value.claim_id) == ("s", claim.claim.claim_id)
    assert len(store.table(QUEUED_WORK)) == 2
    assert states(store) == [STATES.PENDING_ACTIVE]


def test_a_claim_of_another_session_is_refused(store, session, commit):
    session.wake(session_id="other")
    claim = session.claim_work(store.lease("other"))
    store.lease()
    session.say("n", ingress=NextTurn())
    with pytest.raises(SessionBindingMismatch) as caught:
        session.settle(commit(completed_queue_claims=(claim,)))
    assert (caught.value.bound_session_id, caught.value.attempted_session_id) == ("s", "other")
    mine = session.take_next(store.lease())
    with pytest.raises(SessionBindingMismatch):
        session.settle(commit("other", completed_turn_input_claims=(mine,)))


def test_completed_input_stays_on_record_and_is_nobodys(store, session, commit):
    session.say("a")
    session.say("n", ingress=NextTurn())
    fence = store.lease()
    claims = (session.accept(fence), session.take_next(fence))
    store.advance(5_000)
    session.settle(commit(completed_turn_input_claims=claims))
    assert store.written == [("put", "turn_inputs")] * 2
    rows = store.table(TURN_INPUTS)
    assert [(row["state"], row["claim_token"], row["settled_at_us"]) for row in rows] == [
        ("completed", None, store.now_us)
    ] * 2
    assert [row["claim_fencing_token"] for row in rows] == [1, 1]


def test_an_older_claim_of_input_fails_and_the_live_one_stays(store, session, commit):
    session.say("n", ingress=NextTurn())
    fence = store.lease()
    old = session.take_next(fence, ttl_ms=0)
    live = session.take_next(fence, owner=OTHER)
    with pytest.raises(TurnInputClaimExpired) as caught:
        session.settle(commit(completed_turn_input_claims=(old,)))
    assert caught.value.claim_id == old.claim.claim_id
    assert store.table(TURN_INPUTS)[0]["claim_token"] == live.claim.claim_token
    session.settle(commit(completed_turn_input_claims=(live,)))
    with pytest.raises(TurnInputClaimExpired):
        session.settle(commit(completed_turn_input_claims=(live,)))


def test_a_claim_named_twice_is_settled_once(store, session, commit):
    session.wake()
    session.say("n", ingress=NextTurn())
    fence = store.lease()
    work, taken = session.claim_work(fence), session.take_next(fence)
    session.settle(commit(completed_queue_claims=(work, work), completed_turn_input_claims=(taken, taken)))
    assert store.written == [("put", "turn_inputs"), ("remove", "queued_work")]


def test_an_interrupt_defers_what_was_not_accepted_after_the_completions(store, session, commit):
    for text, ingress in (("a", ACTIVE), ("b", ACTIVE), ("c", LATE), ("o", ActiveTurn(turn_id="other"))):
        session.say(text, ingress=ingress)
    claim = session.accept(store.lease(), limit=1)
    session.settle(commit(completed_turn_input_claims=(claim,), interrupted_turn_id="t"))
    assert states(store) == ["completed", "deferred_next_turn", "deferred_next_turn", "pending_active"]
    deferred = [one for one in store.run(lambda work: turn_inputs.list_pending(work, "s")) if one.ingress == NextTurn()]
    assert [one.submitted_ingress for one in deferred] == [ACTIVE, LATE]
    assert [one.input.text for one in deferred] == ["b", "c"]


def test_an_interrupt_leaves_accepted_input_that_is_not_settled(store, session, commit):
    session.say("a")
    session.accept(store.lease())
    session.settle(commit(interrupted_turn_id="t"))
    assert (states(store), store.written) == (["accepted"], [])


def test_attachments_that_a_commit_names_are_stamped_once(store, session, commit):
    store.lease()
    for name in ("named", "unnamed"):
        store.run(
            lambda work, name=name: attachments.record_intent(
                work, "s", name, media_type="text/plain", label=None, size_bytes=1
            )
        )
    store.advance(5)
    first_us = store.now_us
    session.settle(commit(attachment_ids=("named", "named", "never recorded")))
    assert store.written == [("put", "attachments")]
    store.advance(5)
    session.settle(commit(attachment_ids=("named",)))
    assert store.written == []
    stamps = {row["attachment_id"]: row["committed_at_us"] for row in store.table(ATTACHMENTS)}
    assert stamps == {"named": first_us, "unnamed": None}


def test_a_new_holder_gets_stranded_input_back_in_order(store, session, commit):
    for text in ("a", "b"):
        session.say(text)
    later = session.say("n", ingress=NextTurn())
    stranded = session.accept(store.lease())
    waits = session.say("waits")
    store.lease()
    head = store.run(lambda work: recover_stranded(work, work.head("s")))
    assert head is store.heads["s"]
    assert store.written == [("put", "turn_inputs")] * 2
    assert states(store) == ["deferred_next_turn"] * 3 + ["pending_active"]
    claim = session.take_next(store.lease())
    assert [one.input.text for one in claim.inputs] == ["a", "b", "n"]
    assert [one.submitted_ingress for one in claim.inputs] == [ACTIVE, ACTIVE, NextTurn()]
    assert later.input_id == claim.inputs[2].input_id
    assert waits.input_id not in [one.input_id for one in claim.inputs]
    with pytest.raises(TurnInputClaimExpired):
        session.settle(commit(completed_turn_input_claims=(stranded,)))


def test_a_new_holder_leaves_claims_of_next_turn_input_and_settled_input_alone(store, session, commit):
    session.say("done")
    fence = store.lease()
    session.settle(commit(completed_turn_input_claims=(session.accept(fence),)))
    session.say("n", ingress=NextTurn())
    taken = session.take_next(fence)
    store.lease()
    store.run(lambda work: recover_stranded(work, work.head("s")))
    assert store.written == []
    session.settle(commit(completed_turn_input_claims=(taken,)))
    assert states(store) == ["completed", "completed"]
