"""What reclaiming attachments promises, one test a promise."""

from __future__ import annotations

from functools import partial

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.errors import AttachmentNotFound
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.attachments import IMAGE, intend, put
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.racing import race
from lash_host.testing.conformance.samples import SampleSession

__all__ = ["ReclaimConformance"]

GRACE_MS = 60_000


class ReclaimConformance(StoreSuite):
    """Bytes go when no session refers to them and some time has passed, never before."""

    def test_bytes_stay_while_any_session_refers_to_them(self, store: SessionStore, clock: ManualClock) -> None:
        attachment_id = put(store)
        put(store, session_id="beta")
        for session_id in ("alpha", "beta"):
            store.commit_attachments(session_id, [attachment_id])
        clock.advance(GRACE_MS)
        store.forget_attachment("alpha", attachment_id)
        kept = store.reclaim_attachments(grace_ms=GRACE_MS)
        assert (kept.reclaimed, kept.forgotten_intents, kept.failures) == (0, 0, ())
        assert store.get_attachment("beta", attachment_id) == IMAGE
        store.forget_attachment("beta", attachment_id)
        gone = store.reclaim_attachments(grace_ms=GRACE_MS)
        assert (gone.reclaimed, gone.reclaimed_bytes, gone.failures) == (1, len(IMAGE), ())
        assert list(store.stored_attachment_ids()) == []

    def test_every_stored_attachment_is_looked_at(self, store: SessionStore, clock: ManualClock) -> None:
        kept, gone = put(store, b"kept"), put(store, b"gone")
        store.commit_attachments("alpha", [kept, gone])
        store.forget_attachment("alpha", gone)
        clock.advance(GRACE_MS)
        assert store.reclaim_attachments(grace_ms=GRACE_MS).examined == 2
        assert list(store.stored_attachment_ids()) == [kept]

    def test_late_bytes_are_left_alone(self, store: SessionStore, clock: ManualClock) -> None:
        store.forget_attachment("alpha", put(store))
        early = store.reclaim_attachments(grace_ms=GRACE_MS)
        assert (early.reclaimed, early.within_grace) == (0, 1)
        assert len(store.stored_attachment_ids()) == 1
        clock.advance(GRACE_MS / 1000 + 1)
        late = store.reclaim_attachments(grace_ms=GRACE_MS)
        assert (late.reclaimed, late.within_grace) == (1, 0)
        assert list(store.stored_attachment_ids()) == []

    def test_late_intents_are_left_alone(self, store: SessionStore, clock: ManualClock) -> None:
        attachment_id = put(store)
        clock.advance(GRACE_MS / 1000 - 1)
        report = store.reclaim_attachments(grace_ms=GRACE_MS)
        assert (report.forgotten_intents, report.reclaimed) == (0, 0)
        assert store.get_attachment("alpha", attachment_id) == IMAGE

    def test_old_intents_are_forgotten_first(self, store: SessionStore, clock: ManualClock) -> None:
        attachment_id = put(store)
        intend(store, b"never written", session_id="beta")
        clock.advance(GRACE_MS / 1000 + 1)
        report = store.reclaim_attachments(grace_ms=GRACE_MS)
        assert (report.forgotten_intents, report.reclaimed, report.reclaimed_bytes) == (2, 1, len(IMAGE))
        assert list(store.list_attachment_ids()) == []
        with pytest.raises(AttachmentNotFound):
            store.get_attachment("alpha", attachment_id)

    def test_an_intent_that_was_said_again_is_new(self, store: SessionStore, clock: ManualClock) -> None:
        attachment_id = put(store)
        clock.advance(GRACE_MS / 1000 + 1)
        intend(store)
        assert store.reclaim_attachments(grace_ms=GRACE_MS).forgotten_intents == 0
        assert store.get_attachment("alpha", attachment_id) == IMAGE

    def test_what_a_commit_named_stays_however_old(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        attachment_id = put(store)
        session.commit("a", attachment_ids=(attachment_id,))
        clock.advance(1_000_000)
        report = store.reclaim_attachments(grace_ms=0)
        assert (report.reclaimed, report.forgotten_intents) == (0, 0)
        assert store.get_attachment("alpha", attachment_id) == IMAGE

    def test_bytes_of_a_deleted_session_go(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        mine, shared = put(store, b"mine"), put(store, b"shared")
        put(store, b"shared", session_id="beta")
        store.commit_attachments("beta", [shared])
        session.commit("a", attachment_ids=(mine, shared))
        store.delete_session("alpha")
        clock.advance(GRACE_MS)
        assert store.reclaim_attachments(grace_ms=0).reclaimed == 1
        assert list(store.stored_attachment_ids()) == [shared]

    def test_reclaiming_twice_finds_nothing_more(self, store: SessionStore, clock: ManualClock) -> None:
        store.forget_attachment("alpha", put(store))
        clock.advance(GRACE_MS)
        assert store.reclaim_attachments(grace_ms=0).reclaimed == 1
        again = store.reclaim_attachments(grace_ms=0)
        assert (again.examined, again.reclaimed, again.forgotten_intents) == (0, 0, 0)

    def test_reclaimed_bytes_can_be_stored_again(self, store: SessionStore, clock: ManualClock) -> None:
        store.forget_attachment("alpha", put(store))
        clock.advance(GRACE_MS)
        store.reclaim_attachments(grace_ms=0)
        assert store.get_attachment("beta", put(store, session_id="beta")) == IMAGE

    def test_bytes_that_are_stored_while_others_reclaim_stay(self, backend: Backend, clock: ManualClock) -> None:
        store = backend.open()
        other = backend.open() if backend.shares_storage else store
        for number in range(10):
            body = f"body {number}".encode()
            store.forget_attachment("alpha", put(store, body))
            clock.advance(GRACE_MS / 1000 + 1)
            attachment_id = race(
                [
                    partial(put, store, body, session_id="beta"),
                    partial(_reclaim, other),
                ]
            )[0]
            assert isinstance(attachment_id, str)
            assert store.get_attachment("beta", attachment_id) == body
            store.commit_attachments("beta", [attachment_id])
        assert len(store.stored_attachment_ids()) == 10
        other.close()
        store.close()


def _reclaim(store: SessionStore) -> str:
    return str(store.reclaim_attachments(grace_ms=GRACE_MS))
