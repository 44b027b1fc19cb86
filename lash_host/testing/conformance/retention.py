"""What keeping things only for a time promises, one test a promise."""

from __future__ import annotations

from lash_host.contracts.store import SessionStore
from lash_host.domain.maintenance import Retention, RetentionReport
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.metadata import sample_meta
from lash_host.testing.conformance.samples import SampleSession, got

__all__ = ["RetentionConformance"]

DAY_S = 86_400
DAY_MS = DAY_S * 1000


class RetentionConformance(StoreSuite):
    """What is old enough goes, and nothing else."""

    def test_without_limits_everything_stays(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        session.commit("a")
        store.cancel_turn_input("alpha", session.say(source_key="k").input_id)
        clock.advance(1_000 * DAY_S)
        assert store.apply_retention(Retention()) == RetentionReport(sessions=(), receipts=0, turn_inputs=0)
        assert session.node_ids() == ["a"]
        assert session.say(source_key="k").state.is_terminal

    def test_old_sessions_go(self, store: SessionStore, session: SampleSession, clock: ManualClock) -> None:
        store.create_session(sample_meta())
        session.commit("a")
        clock.advance(DAY_S)
        SampleSession(store, "beta").commit("a")
        clock.advance(DAY_S)
        report = store.apply_retention(Retention(sessions_ms=DAY_MS + DAY_MS // 2))
        assert report.sessions == ("alpha",)
        assert store.load_session("alpha") is None
        assert store.load_session_meta("alpha") is None
        assert [info.session_id for info in store.list_sessions()] == ["beta"]
        assert store.apply_retention(Retention(sessions_ms=DAY_MS + DAY_MS // 2)).sessions == ()
        assert store.check().problems == ()

    def test_a_sessions_age_is_that_of_its_latest_commit(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        session.commit("a")
        clock.advance(2 * DAY_S)
        session.commit("b", after="a")
        assert store.apply_retention(Retention(sessions_ms=DAY_MS)).sessions == ()
        assert session.node_ids() == ["a", "b"]

    def test_a_session_that_somebody_holds_stays(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        session.commit("a")
        clock.advance(2 * DAY_S)
        fence = session.claim()
        assert store.apply_retention(Retention(sessions_ms=DAY_MS)).sessions == ()
        store.release_lease(fence)
        assert store.apply_retention(Retention(sessions_ms=DAY_MS)).sessions == ("alpha",)

    def test_a_lease_that_expired_keeps_no_session(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        session.commit("a")
        session.claim()
        clock.advance(2 * DAY_S)
        assert store.apply_retention(Retention(sessions_ms=DAY_MS)).sessions == ("alpha",)

    def test_sessions_for_which_something_waits_stay(self, store: SessionStore, clock: ManualClock) -> None:
        names = ("told", "interjected", "woken", "commanded", "idle")
        sessions = {name: SampleSession(store, name) for name in names}
        for session in sessions.values():
            session.commit("a")
        sessions["told"].say()
        sessions["interjected"].say(ingress=during("t1"))
        sessions["woken"].wake(available_at_ms=clock.now_us() // 1000 + 9 * DAY_MS)
        sessions["commanded"].command()
        clock.advance(2 * DAY_S)
        assert store.apply_retention(Retention(sessions_ms=DAY_MS)).sessions == ("idle",)
        assert len(store.list_sessions()) == 4
        store.cancel_turn_input("told", sessions["told"].pending()[0])
        assert store.apply_retention(Retention(sessions_ms=DAY_MS)).sessions == ("told",)

    def test_old_receipts_go(self, store: SessionStore, session: SampleSession, clock: ManualClock) -> None:
        batch = session.command()
        clock.advance(2 * DAY_S)
        session.settle(got(session.claim_command()))
        assert store.apply_retention(Retention(receipts_ms=DAY_MS)).receipts == 0
        assert session.command().batch_id == batch.batch_id
        clock.advance(2 * DAY_S)
        assert store.apply_retention(Retention(receipts_ms=DAY_MS)).receipts == 1
        again = session.command()
        assert (again.batch_id != batch.batch_id, again.completed_at_us) == (True, None)

    def test_old_settled_inputs_go(self, store: SessionStore, session: SampleSession, clock: ManualClock) -> None:
        completed, cancelled = session.say("one", source_key="k"), session.say("two")
        clock.advance(2 * DAY_S)
        session.settle(got(session.claim_inputs(limit=1)))
        store.cancel_turn_input("alpha", cancelled.input_id)
        waiting = session.say("waits").input_id
        assert store.apply_retention(Retention(turn_inputs_ms=DAY_MS)).turn_inputs == 0
        assert session.say("one", source_key="k").input_id == completed.input_id
        clock.advance(2 * DAY_S)
        assert store.apply_retention(Retention(turn_inputs_ms=DAY_MS)).turn_inputs == 2
        assert session.pending() == [waiting]
        assert session.say("other words", source_key="k").input_id != completed.input_id

    def test_each_limit_is_for_itself(self, store: SessionStore, session: SampleSession, clock: ManualClock) -> None:
        session.command()
        session.settle(got(session.claim_command()))
        store.cancel_turn_input("alpha", session.say(source_key="k").input_id)
        clock.advance(2 * DAY_S)
        report = store.apply_retention(Retention(turn_inputs_ms=DAY_MS))
        assert report == RetentionReport(sessions=(), receipts=0, turn_inputs=1)
        report = store.apply_retention(Retention(receipts_ms=DAY_MS))
        assert report == RetentionReport(sessions=(), receipts=1, turn_inputs=0)
        assert store.load_session("alpha") is not None
