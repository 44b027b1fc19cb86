"""What holds of waiting work when several reach for it at once, one test a promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.queue import SlotPolicy
from lash_host.domain.turn_input import AlreadyClaimed, Cancelled, TurnInputState
from lash_host.errors import TurnInputSourceKeyConflict
from lash_host.testing.conformance.backend import StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.queue_claims import batches_of
from lash_host.testing.conformance.racing import landed, race
from lash_host.testing.conformance.samples import SampleSession, got
from lash_host.testing.conformance.turn_input_claims import ids_of

__all__ = ["RacingWorkConformance"]

WRITERS = 8


class RacingWorkConformance(StoreSuite):
    """Each piece of work is queued once and given to one."""

    def test_one_input_is_kept_for_one_source_key(self, handles: tuple[SessionStore, SessionStore]) -> None:
        sessions = [SampleSession(handles[n % 2], "alpha") for n in range(WRITERS)]
        for key in ("k", "l", "m"):
            outcomes = race([partial(session.say, "same", source_key=key) for session in sessions])
            assert len({outcome.input_id for outcome in landed(outcomes)}) == 1
            assert len(landed(outcomes)) == WRITERS
        assert len(sessions[0].pending()) == 3

    def test_one_of_several_inputs_gets_the_source_key(self, handles: tuple[SessionStore, SessionStore]) -> None:
        sessions = [SampleSession(handles[n % 2], "alpha") for n in range(WRITERS)]
        outcomes = race([partial(one.say, f"text {n}", source_key="k") for n, one in enumerate(sessions)])
        (kept,) = landed(outcomes)
        refused = [outcome for outcome in outcomes if isinstance(outcome, TurnInputSourceKeyConflict)]
        assert [one.existing_input_id for one in refused] == [kept.input_id] * (WRITERS - 1)
        assert sessions[0].pending() == [kept.input_id]

    @pytest.mark.parametrize("kind", ["wake", "command"])
    def test_one_batch_is_queued_for_one_source_key(
        self, handles: tuple[SessionStore, SessionStore], kind: str
    ) -> None:
        sessions = [SampleSession(handles[n % 2], "alpha") for n in range(WRITERS)]
        outcomes = race([session.wake if kind == "wake" else session.command for session in sessions])
        assert len({outcome.batch_id for outcome in landed(outcomes)}) == 1
        assert len(landed(outcomes)) == WRITERS
        assert len(sessions[0].queued()) == 1

    def test_what_many_enqueue_is_all_there_in_one_order(self, handles: tuple[SessionStore, SessionStore]) -> None:
        sessions = [SampleSession(handles[n % 2], "alpha") for n in range(WRITERS)]
        inputs = landed(race([partial(one.say, f"text {n}") for n, one in enumerate(sessions)]))
        batches = landed(race([partial(one.wake, n) for n, one in enumerate(sessions)]))
        assert len({one.enqueue_seq for one in inputs}) == len({one.enqueue_seq for one in batches}) == WRITERS
        by_seq = sorted(inputs, key=lambda one: one.enqueue_seq)
        assert sessions[0].pending() == [one.input_id for one in by_seq]
        queued = sorted(batches, key=lambda one: one.enqueue_seq)
        assert sessions[1].queued() == [one.batch_id for one in queued]

    @pytest.mark.parametrize("limit", [1, 3])
    def test_no_batch_is_claimed_twice(self, handles: tuple[SessionStore, SessionStore], limit: int) -> None:
        sessions = [SampleSession(handles[n % 2], "alpha") for n in range(WRITERS)]
        slot = SlotPolicy.EXCLUSIVE if limit == 1 else SlotPolicy.JOIN
        queued = [sessions[0].wake(number, slot_policy=slot).batch_id for number in range(40)]
        sessions[0].claim()
        claimed = landed(race([partial(_drain_queue, session, limit) for session in sessions]))
        assert len(claimed) == WRITERS
        assert Counter(batch for one in claimed for batch in one) == Counter(queued)
        assert sessions[0].queued(include_claimed=False) == []

    def test_no_input_is_claimed_twice(self, handles: tuple[SessionStore, SessionStore]) -> None:
        sessions = [SampleSession(handles[n % 2], "alpha") for n in range(WRITERS)]
        following = [sessions[0].say(f"text {n}").input_id for n in range(20)]
        now = [sessions[0].say(f"text {n}", ingress=during("t1")).input_id for n in range(20)]
        sessions[0].claim()
        claimed = landed(race([partial(_drain_inputs, session) for session in sessions]))
        assert len(claimed) == WRITERS
        assert Counter(one for ids in claimed for one in ids) == Counter([*following, *now])
        assert sessions[0].pending() == []

    def test_work_is_claimed_or_cancelled_never_both(self, handles: tuple[SessionStore, SessionStore]) -> None:
        here, there = handles
        for number in range(10):
            session = SampleSession(here, f"s{number}")
            batch = session.wake()
            session.claim()
            actions: list[Callable[[], object]] = [
                session.claim_work,
                partial(there.cancel_queued_work_batch, session.session_id, batch.batch_id),
            ]
            claim, cancelled = race(actions)
            assert (claim is None) != (cancelled is None)
            assert session.queued() == ([] if claim is None else [batch.batch_id])

    def test_input_is_claimed_or_cancelled_never_both(self, handles: tuple[SessionStore, SessionStore]) -> None:
        here, there = handles
        for number in range(10):
            session = SampleSession(here, f"s{number}")
            kept = session.say()
            session.claim()
            actions: list[Callable[[], object]] = [
                session.claim_inputs,
                partial(there.cancel_turn_input, session.session_id, kept.input_id),
            ]
            claim, outcome = race(actions)
            assert isinstance(outcome, Cancelled if claim is None else AlreadyClaimed)
            assert session.pending() == []

    def test_input_that_comes_while_its_turn_ends_is_not_lost(self, handles: tuple[SessionStore, SessionStore]) -> None:
        here, there = handles
        for number in range(10):
            session = SampleSession(here, f"s{number}")
            early = session.say("early", ingress=during("t1")).input_id
            commit = session.turn("t1", "a", interrupted_turn_id="t1")
            actions: list[Callable[[], object]] = [
                partial(here.commit, commit),
                partial(session.on(there).say, "late", ingress=during("t1")),
            ]
            assert len(landed(race(actions))) == 2
            pending = list(here.list_pending_turn_inputs(session.session_id))
            assert [one.input.text for one in pending] == ["early", "late"]
            assert (pending[0].input_id, pending[0].state) == (early, TurnInputState.DEFERRED_NEXT_TURN)

    def test_a_command_that_is_repeated_while_it_is_carried_out_runs_once(
        self, handles: tuple[SessionStore, SessionStore]
    ) -> None:
        here, there = handles
        for number in range(10):
            session = SampleSession(here, f"s{number}")
            batch = session.command()
            claim = got(session.claim_command())
            commit = session.draft("a", completed_queue_claims=(claim,))
            actions: list[Callable[[], object]] = [partial(here.commit, commit), session.on(there).command]
            assert len(landed(race(actions))) == 2
            again = session.command()
            assert again.batch_id == batch.batch_id
            assert again.completed_at_us is not None
            assert session.queued() == []


def _drain_queue(session: SampleSession, limit: int) -> list[str]:
    claimed: list[str] = []
    while batches := batches_of(session.claim_work(limit=limit)):
        claimed += batches
    return claimed


def _drain_inputs(session: SampleSession) -> list[str]:
    claimed: list[str] = []
    while ids := [*ids_of(session.claim_inputs(limit=2)), *ids_of(session.accept_inputs("t1", limit=1))]:
        claimed += ids
    return claimed
