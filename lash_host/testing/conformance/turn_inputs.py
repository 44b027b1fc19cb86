"""What keeping, listing and cancelling turn input promises, one test a promise."""

from __future__ import annotations

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.policy import ProtocolTurnOptions
from lash_host.domain.turn import InputImage, InputText, TurnInput
from lash_host.domain.turn_input import (
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    Cancelled,
    InputNotFound,
    InputTarget,
    NextTurn,
    SuffixCancelled,
    TurnInputState,
)
from lash_host.errors import TurnInputIdConflict, TurnInputSourceKeyConflict
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import StoreSuite
from lash_host.testing.conformance.drafts import during, text_input
from lash_host.testing.conformance.samples import SampleSession, got

__all__ = ["TurnInputConformance"]

WITH_IMAGE = TurnInput(
    items=(InputText(text="Look, 日本 🦆"), InputImage(data=bytes(range(256)), media_type="image/png")),
    protocol_turn_options=ProtocolTurnOptions(payload={"depth": 2}),
    turn_id="wanted",
)


class TurnInputConformance(StoreSuite):
    """Input is kept, answered again, listed and cancelled."""

    def test_an_input_comes_back_as_it_was_enqueued(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        kept = session.say(input=WITH_IMAGE, source_key="k")
        assert (kept.input, kept.session_id, kept.source_key) == (WITH_IMAGE, "alpha", "k")
        assert (kept.ingress, kept.submitted_ingress) == (NextTurn(), NextTurn())
        assert (kept.state, kept.enqueued_at_ms) == (TurnInputState.DEFERRED_NEXT_TURN, clock.now_us() // 1000)
        assert list(store.list_pending_turn_inputs("alpha")) == [kept]

    def test_an_input_for_a_running_turn_waits_for_it(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say(ingress=during("t1"))
        assert (kept.ingress, kept.state) == (during("t1"), TurnInputState.PENDING_ACTIVE)
        assert list(store.list_pending_turn_inputs("alpha")) == [kept]

    def test_an_input_may_bring_its_id(self, session: SampleSession) -> None:
        assert session.say(input_id="mine").input_id == "mine"
        assert session.say().input_id != session.say().input_id
        assert session.pending()[0] == "mine"

    def test_an_id_is_given_to_one_input(self, session: SampleSession) -> None:
        session.say("one", input_id="mine")
        with pytest.raises(TurnInputIdConflict) as caught:
            session.say("two", input_id="mine")
        assert (caught.value.session_id, caught.value.input_id) == ("alpha", "mine")
        assert session.pending() == ["mine"]

    def test_input_alone_does_not_make_a_session(self, store: SessionStore, session: SampleSession) -> None:
        session.say()
        assert store.load_session("alpha") is None
        assert store.session_info("alpha") is None

    def test_inputs_are_listed_in_order_and_by_session(self, store: SessionStore, session: SampleSession) -> None:
        """RP24: the list is that of one session, in the order of enqueuing."""
        kept = [session.say("one"), session.say("two", ingress=during("t1")), session.say("three")]
        other = SampleSession(store, "beta").say("elsewhere")
        assert list(store.list_pending_turn_inputs("alpha")) == kept
        assert [one.enqueue_seq for one in kept] == sorted({one.enqueue_seq for one in kept})
        assert list(store.list_pending_turn_inputs("beta")) == [other]
        assert list(store.list_pending_turn_inputs("nobody")) == []

    def test_a_repeated_input_is_the_same_record(self, session: SampleSession) -> None:
        """RP24: an exact repeat under the same source key adds nothing."""
        kept = session.say(input=WITH_IMAGE, source_key="k")
        assert session.say(input=WITH_IMAGE, source_key="k") == kept
        assert session.pending() == [kept.input_id]

    def test_a_repeat_may_not_change_the_input(self, session: SampleSession) -> None:
        """RP24: the conflict names session, key and the input that has the key."""
        kept = session.say("one", source_key="k")
        with pytest.raises(TurnInputSourceKeyConflict) as caught:
            session.say("two", source_key="k")
        conflict = caught.value
        assert (conflict.session_id, conflict.source_key, conflict.existing_input_id) == ("alpha", "k", kept.input_id)
        assert session.pending() == [kept.input_id]

    def test_a_repeat_may_not_change_where_the_input_goes(self, session: SampleSession) -> None:
        session.say("one", source_key="k", ingress=during("t1"))
        for other in (NextTurn(), during("t2")):
            with pytest.raises(TurnInputSourceKeyConflict):
                session.say("one", source_key="k", ingress=other)

    def test_source_keys_of_inputs_are_told_apart_by_session(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say("one", source_key="k")
        other = SampleSession(store, "beta").say("two", source_key="k")
        assert other.input_id != kept.input_id

    def test_without_a_source_key_no_input_is_a_repeat(self, session: SampleSession) -> None:
        first, second = session.say("same"), session.say("same")
        assert session.pending() == [first.input_id, second.input_id]

    def test_an_input_is_cancelled_once(self, store: SessionStore, session: SampleSession) -> None:
        """RP24: cancelling twice tells that it was cancelled before."""
        kept = session.say()
        first = store.cancel_turn_input("alpha", kept.input_id)
        assert isinstance(first, Cancelled)
        assert (first.input.input_id, first.input.state) == (kept.input_id, TurnInputState.CANCELLED)
        again = store.cancel_turn_input("alpha", kept.input_id)
        assert isinstance(again, AlreadyCancelled)
        assert again.input == first.input
        assert session.pending() == []

    def test_an_input_of_another_session_is_not_found(self, store: SessionStore, session: SampleSession) -> None:
        kept = session.say(source_key="k")
        assert isinstance(store.cancel_turn_input("beta", kept.input_id), InputNotFound)
        assert isinstance(store.cancel_turn_input("alpha", "nowhere"), InputNotFound)
        assert session.pending() == [kept.input_id]

    def test_a_cancelled_input_keeps_its_source_key(self, store: SessionStore, session: SampleSession) -> None:
        """RP24: a repeat gives the cancelled record back, and it stays unlisted."""
        kept = session.say("one", source_key="k")
        store.cancel_turn_input("alpha", kept.input_id)
        again = session.say("one", source_key="k")
        assert (again.input_id, again.state) == (kept.input_id, TurnInputState.CANCELLED)
        assert session.pending() == []
        with pytest.raises(TurnInputSourceKeyConflict):
            session.say("two", source_key="k")

    def test_a_vacuum_forgets_cancelled_inputs(self, store: SessionStore, session: SampleSession) -> None:
        """RP24: it counts them; then nobody knows them, their keys are free, and other sessions have theirs."""
        gone = [session.say("one", source_key="k"), session.say("two")]
        stays = session.say("three")
        other = SampleSession(store, "beta").say("elsewhere", source_key="k")
        store.cancel_turn_inputs("alpha", [InputTarget(input_id=one.input_id) for one in gone])
        report = store.vacuum()
        assert (report.removed_nodes, report.removed_turn_inputs) == (0, 2)
        assert isinstance(store.cancel_turn_input("alpha", gone[0].input_id), InputNotFound)
        assert session.say("other words", source_key="k").input_id != gone[0].input_id
        assert session.pending()[0] == stays.input_id
        assert SampleSession(store, "beta").pending() == [other.input_id]
        assert store.vacuum().removed_turn_inputs == 0

    def test_many_inputs_are_cancelled_one_after_another(self, store: SessionStore, session: SampleSession) -> None:
        """RP25: as many results as targets, in their order; what is not there does not stop the rest."""
        first, second, third = session.say("one", source_key="k"), session.say("two"), session.say("three")
        targets = [
            InputTarget(source_key="k"),
            InputTarget(input_id=second.input_id),
            InputTarget(source_key="missing"),
            InputTarget(source_key="k"),
        ]
        results = store.cancel_turn_inputs("alpha", targets)
        assert [result.target for result in results] == targets
        kinds = [type(result.outcome) for result in results]
        assert kinds == [Cancelled, Cancelled, InputNotFound, AlreadyCancelled]
        assert [
            got(_input_id(result.outcome)) for result in results if not isinstance(result.outcome, InputNotFound)
        ] == [first.input_id, second.input_id, first.input_id]
        assert session.pending() == [third.input_id]

    def test_cancelling_nothing_is_no_error(self, store: SessionStore, session: SampleSession) -> None:
        session.say()
        assert list(store.cancel_turn_inputs("alpha", [])) == []
        assert list(store.cancel_turn_inputs("nobody", [])) == []
        assert len(session.pending()) == 1

    def test_an_input_and_all_after_it_are_cancelled(self, store: SessionStore, session: SampleSession) -> None:
        """RP25: from an anchor by source key on; what a turn has is told so, what lies before stays."""
        before, anchor = session.say("before"), session.say("anchor", source_key="k")
        taken = session.say("taken", ingress=during("t1"))
        last = session.say("last")
        claim = got(session.accept_inputs("t1"))
        answer = store.cancel_turn_input_suffix("alpha", InputTarget(source_key="k"))
        assert isinstance(answer, SuffixCancelled)
        assert [type(outcome) for outcome in answer.outcomes] == [Cancelled, AlreadyClaimed, Cancelled]
        assert [_input_id(one) for one in answer.outcomes] == [anchor.input_id, taken.input_id, last.input_id]
        middle = answer.outcomes[1]
        assert isinstance(middle, AlreadyClaimed)
        assert got(middle.claim).claim_id == claim.claim.claim_id
        assert session.pending() == [before.input_id]

    def test_a_suffix_begins_at_an_id(self, store: SessionStore, session: SampleSession) -> None:
        """RP25: both inputs from the anchor on are cancelled, the one before it stays."""
        before, anchor, _ = session.say("before"), session.say("anchor"), session.say("after")
        answer = store.cancel_turn_input_suffix("alpha", InputTarget(input_id=anchor.input_id))
        assert isinstance(answer, SuffixCancelled)
        assert [type(outcome) for outcome in answer.outcomes] == [Cancelled, Cancelled]
        assert session.pending() == [before.input_id]

    def test_a_suffix_tells_of_settled_inputs_too(self, store: SessionStore, session: SampleSession) -> None:
        anchor, cancelled, done, last = (session.say(text) for text in ("a", "b", "c", "d"))
        store.cancel_turn_input("alpha", anchor.input_id)
        store.cancel_turn_input("alpha", cancelled.input_id)
        session.settle(got(session.claim_inputs(limit=1)))
        answer = store.cancel_turn_input_suffix("alpha", InputTarget(input_id=anchor.input_id))
        assert isinstance(answer, SuffixCancelled)
        kinds = [type(outcome) for outcome in answer.outcomes]
        assert kinds == [AlreadyCancelled, AlreadyCancelled, AlreadyCompleted, Cancelled]
        assert [_input_id(one) for one in answer.outcomes][2:] == [done.input_id, last.input_id]

    def test_a_suffix_of_nothing_cancels_nothing(self, store: SessionStore, session: SampleSession) -> None:
        """RP25: an anchor that is not there is named, and everything stays."""
        kept = session.say()
        for target in (InputTarget(input_id="nowhere"), InputTarget(source_key="missing")):
            assert store.cancel_turn_input_suffix("alpha", target) == AnchorNotFound(target=target)
        assert isinstance(store.cancel_turn_input_suffix("beta", InputTarget(input_id=kept.input_id)), AnchorNotFound)
        assert session.pending() == [kept.input_id]

    def test_a_suffix_ends_with_its_session(self, store: SessionStore, session: SampleSession) -> None:
        anchor = session.say()
        other = SampleSession(store, "beta")
        other.say()
        store.cancel_turn_input_suffix("alpha", InputTarget(input_id=anchor.input_id))
        assert len(other.pending()) == 1

    def test_an_input_with_much_text_comes_back(self, store: SessionStore, session: SampleSession) -> None:
        text = "line 'quoted' \"twice\" \\ \n\t" * 10_000
        session.say(text)
        assert [kept.input for kept in store.list_pending_turn_inputs("alpha")] == [text_input(text)]


def _input_id(outcome: object) -> str | None:
    if isinstance(outcome, Cancelled | AlreadyCancelled | AlreadyClaimed | AlreadyCompleted):
        return outcome.input.input_id
    return None
