"""What attachments promise, one test a promise: bytes, references, intents, stamps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.attachment import AttachmentRef
from lash_host.domain.commit import content_ref
from lash_host.errors import AttachmentNotFound, StoreError
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.samples import SampleSession

__all__ = ["AttachmentConformance", "intend", "put"]

IMAGE = b"\x89PNG\r\n\x1a\n\x00" + bytes(range(256))


def put(store: SessionStore, body: bytes = IMAGE, *, session_id: str = "alpha") -> str:
    """Store bytes for a session and give their id."""
    return store.put_attachment(session_id, body, media_type="image/png").attachment_id


def intend(store: SessionStore, body: bytes = IMAGE, *, session_id: str = "alpha") -> AttachmentRef:
    """Record the intent to store bytes, and do not store them."""
    return store.record_attachment_intent(
        session_id, content_ref(body), media_type="image/png", label="chart.png", size_bytes=len(body)
    )


class AttachmentConformance(StoreSuite):
    """Bytes are stored once; each session refers to them for itself."""

    @pytest.mark.parametrize("body", [b"", IMAGE, bytes(3_000_000)], ids=["empty", "some", "many"])
    def test_bytes_come_back(self, store: SessionStore, body: bytes) -> None:
        assert store.get_attachment("alpha", put(store, body)) == body

    def test_a_reference_tells_what_it_refers_to(self, store: SessionStore, clock: ManualClock) -> None:
        ref = store.put_attachment("alpha", IMAGE, media_type="image/png", label="chart, 日本.png")
        assert ref == AttachmentRef(
            session_id="alpha",
            attachment_id=content_ref(IMAGE),
            media_type="image/png",
            label="chart, 日本.png",
            size_bytes=len(IMAGE),
            intent_at_us=clock.now_us(),
        )
        assert list(store.list_attachments("alpha")) == [ref]

    def test_bytes_are_named_by_their_content(self, store: SessionStore) -> None:
        same, again, other = put(store, b"one"), put(store, b"one"), put(store, b"two")
        assert same == again != other
        assert sorted(store.stored_attachment_ids()) == sorted([same, other])
        assert len(store.list_attachments("alpha")) == 2

    def test_nothing_is_stored_at_first(self, store: SessionStore) -> None:
        assert list(store.stored_attachment_ids()) == []
        assert list(store.list_attachment_ids()) == []
        assert list(store.list_attachments("alpha")) == []

    def test_where_there_is_none_everything_is_empty(self, store: SessionStore, clock: ManualClock) -> None:
        """RP10: stamping, forgetting and reclaiming succeed, and every list stays empty."""
        store.commit_attachments("alpha", [content_ref(b"unknown")])
        store.forget_attachment("alpha", content_ref(b"unknown"))
        report = store.reclaim_attachments(grace_ms=0)
        assert (report.examined, report.reclaimed, report.forgotten_intents, report.failures) == (0, 0, 0, ())
        assert _uncommitted_refs(store, clock.now_us()) == []
        assert list(store.list_attachment_ids()) == []
        assert not store.holds_attachment("alpha", content_ref(b"unknown"))

    def test_what_was_never_stored_is_not_found(self, store: SessionStore) -> None:
        with pytest.raises(AttachmentNotFound) as caught:
            store.get_attachment("alpha", content_ref(b"nothing"))
        assert (caught.value.session_id, caught.value.attachment_id) == ("alpha", content_ref(b"nothing"))

    def test_bytes_of_another_session_are_not_found(self, store: SessionStore) -> None:
        attachment_id = put(store)
        assert attachment_id in store.stored_attachment_ids()
        with pytest.raises(AttachmentNotFound):
            store.get_attachment("beta", attachment_id)

    def test_equal_bytes_have_one_id_and_each_sessions_own_words(self, store: SessionStore) -> None:
        mine = store.put_attachment("alpha", IMAGE, media_type="image/png", label="mine")
        theirs = store.put_attachment("beta", IMAGE, media_type="application/octet-stream")
        assert mine.attachment_id == theirs.attachment_id
        assert list(store.stored_attachment_ids()) == [mine.attachment_id]
        assert list(store.list_attachments("alpha")) == [mine]
        assert list(store.list_attachments("beta")) == [theirs]
        assert (theirs.media_type, theirs.label) == ("application/octet-stream", None)

    def test_references_are_listed_by_their_intent(self, store: SessionStore, clock: ManualClock) -> None:
        ids = []
        for body in (b"one", b"two", b"three"):
            ids.append(put(store, body))
            clock.advance(1)
        assert [ref.attachment_id for ref in store.list_attachments("alpha")] == ids

    def test_attachments_alone_do_not_make_a_session(self, store: SessionStore) -> None:
        put(store)
        assert store.load_session("alpha") is None
        assert store.session_info("alpha") is None

    def test_intents_are_uncommitted_until_a_stamp(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        """RP7: one is stamped, one is named by a commit; the third is left, and forgetting it leaves none."""
        refs = [intend(store, body) for body in (b"stamped", b"named", b"orphan")]
        stamped, named, orphan = (ref.attachment_id for ref in refs)
        now_us = clock.now_us()
        assert sorted(_uncommitted(store, now_us)) == sorted([stamped, named, orphan])
        store.commit_attachments("alpha", [stamped])
        session.commit("a", attachment_ids=(named,))
        assert list(store.list_uncommitted_attachments(older_than_us=now_us)) == [refs[2]]
        assert refs[2].committed_at_us is None
        store.forget_attachment("alpha", orphan)
        assert _uncommitted(store, now_us) == []
        stamps = {ref.attachment_id: ref.committed_at_us for ref in store.list_attachments("alpha")}
        assert stamps == {stamped: now_us, named: now_us}

    def test_later_intents_are_not_old(self, store: SessionStore, clock: ManualClock) -> None:
        first_us = clock.now_us()
        first = intend(store, b"one").attachment_id
        clock.advance(1)
        second = intend(store, b"two", session_id="beta").attachment_id
        assert _uncommitted(store, first_us - 1) == []
        assert _uncommitted(store, first_us) == [first]
        assert sorted(_uncommitted(store, first_us + 1_000_000)) == sorted([first, second])

    def test_a_reference_is_its_sessions(self, store: SessionStore, clock: ManualClock) -> None:
        """RP8: a stamp in one session is none in another, and nothing erases it: no forgetting, no new intent."""
        attachment_id = intend(store).attachment_id
        intend(store, session_id="beta")
        store.commit_attachments("alpha", [attachment_id])
        committed_at_us = clock.now_us()
        assert [ref.session_id for ref in _uncommitted_refs(store, committed_at_us)] == ["beta"]
        store.forget_attachment("beta", attachment_id)
        assert store.holds_attachment("alpha", attachment_id)
        clock.advance(1)
        again = intend(store)
        assert (again.committed_at_us, again.intent_at_us) == (committed_at_us, committed_at_us + 1_000_000)
        assert list(store.list_attachments("alpha")) == [again]
        assert _uncommitted_refs(store, clock.now_us()) == []

    def test_references_are_tracked(self, store: SessionStore) -> None:
        """RP9: an intent and a committed one both count, in their session alone; each id is listed once."""
        intent, committed = put(store, b"intent"), put(store, b"committed")
        put(store, b"committed", session_id="beta")
        store.commit_attachments("alpha", [committed])
        assert store.holds_attachment("alpha", intent)
        assert store.holds_attachment("alpha", committed)
        assert not store.holds_attachment("beta", intent)
        assert not store.holds_attachment("alpha", content_ref(b"unknown"))
        assert sorted(store.list_attachment_ids()) == sorted([intent, committed])
        store.forget_attachment("alpha", intent)
        store.forget_attachment("alpha", committed)
        assert not store.holds_attachment("alpha", committed)
        assert list(store.list_attachment_ids()) == [committed]
        with pytest.raises(AttachmentNotFound):
            store.get_attachment("alpha", intent)

    def test_putting_again_says_the_latest_words(self, store: SessionStore, clock: ManualClock) -> None:
        attachment_id = put(store)
        store.commit_attachments("alpha", [attachment_id])
        committed_at_us = clock.now_us()
        clock.advance(1)
        again = store.put_attachment("alpha", IMAGE, media_type="image/x-png", label="renamed")
        assert list(store.list_attachments("alpha")) == [again]
        assert (again.media_type, again.label, again.committed_at_us) == ("image/x-png", "renamed", committed_at_us)

    def test_the_first_stamp_stays(self, store: SessionStore, session: SampleSession, clock: ManualClock) -> None:
        attachment_id = put(store)
        first_us = clock.now_us()
        session.commit("a", attachment_ids=(attachment_id,))
        clock.advance(1)
        session.commit("b", after="a", attachment_ids=(attachment_id,))
        store.commit_attachments("alpha", [attachment_id])
        assert [ref.committed_at_us for ref in store.list_attachments("alpha")] == [first_us]

    def test_a_stamp_makes_no_reference(self, store: SessionStore, session: SampleSession) -> None:
        attachment_id = put(store, session_id="beta")
        session.commit("a", attachment_ids=(attachment_id, content_ref(b"unknown")))
        store.commit_attachments("alpha", [attachment_id])
        assert list(store.list_attachments("alpha")) == []
        assert [ref.committed_at_us for ref in store.list_attachments("beta")] == [None]

    def test_a_commit_that_fails_stamps_nothing(self, store: SessionStore, session: SampleSession) -> None:
        attachment_id = put(store)
        failing = session.draft("a", attachment_ids=(attachment_id,))
        with pytest.raises(StoreError):
            store.commit(replace(failing, fence=None))
        assert [ref.committed_at_us for ref in store.list_attachments("alpha")] == [None]

    def test_an_intent_without_bytes_gives_none(self, store: SessionStore) -> None:
        ref = intend(store)
        assert store.holds_attachment("alpha", ref.attachment_id)
        assert list(store.stored_attachment_ids()) == []
        with pytest.raises(StoreError):
            store.get_attachment("alpha", ref.attachment_id)

    def test_forgetting_what_is_not_there_is_no_error(self, store: SessionStore) -> None:
        attachment_id = put(store)
        store.forget_attachment("alpha", content_ref(b"unknown"))
        store.forget_attachment("beta", attachment_id)
        store.forget_attachment("alpha", attachment_id)
        store.forget_attachment("alpha", attachment_id)
        assert list(store.list_attachments("alpha")) == []

    def test_attachments_survive_a_reopen(self, backend: Backend) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        attachment_id = put(before)
        before.commit_attachments("alpha", [attachment_id])
        expected = list(before.list_attachments("alpha"))
        before.close()
        after = backend.open()
        assert list(after.list_attachments("alpha")) == expected
        assert after.get_attachment("alpha", attachment_id) == IMAGE
        after.close()


def _uncommitted_refs(store: SessionStore, older_than_us: int) -> list[AttachmentRef]:
    return list(store.list_uncommitted_attachments(older_than_us=older_than_us))


def _uncommitted(store: SessionStore, older_than_us: int) -> list[str]:
    return [ref.attachment_id for ref in _uncommitted_refs(store, older_than_us)]
