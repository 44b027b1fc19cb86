"""Attachments as a whole: references and bytes."""

from __future__ import annotations

import pytest

from lash_host.domain.commit import content_ref
from lash_host.errors import AttachmentNotFound, StoreError, StoreUnwritable
from lash_host.store import attachments
from lash_host.store.attachment_bytes import MemoryBytes
from lash_host.store.attachment_storing import get_attachment, put_attachment, reclaim_attachments
from lash_host.store.work import ATTACHMENTS

A = content_ref(b"a")
HOUR_MS = 3_600_000


class FakeReferences:
    """The references of a `FakeStore`; `on_look` is called before one is looked at again."""

    def __init__(self, store):
        self.store = store
        self.on_look = lambda attachment_id: None

    def _all(self):
        return [
            ref
            for session_id in self.store.heads
            for ref in self.store.run(lambda work, session_id=session_id: attachments.list_refs(work, session_id))
        ]

    def uncommitted(self, *, older_than_us):
        return [ref for ref in self._all() if ref.committed_at_us is None and ref.intent_at_us <= older_than_us]

    def ids(self):
        return sorted({ref.attachment_id for ref in self._all()})

    def exists(self, attachment_id):
        self.on_look(attachment_id)
        return attachment_id in self.ids()


class StubbornBytes(MemoryBytes):
    """Cannot write or delete what is named."""

    def __init__(self, *stubborn):
        super().__init__()
        self.stubborn = set(stubborn)

    def put(self, attachment_id, body, *, now_us):
        if attachment_id in self.stubborn:
            raise StoreUnwritable("somewhere", problem="full")
        super().put(attachment_id, body, now_us=now_us)

    def delete(self, attachment_id, *, not_after_us):
        if attachment_id in self.stubborn:
            raise StoreUnwritable("somewhere", problem="busy")
        return super().delete(attachment_id, not_after_us=not_after_us)


@pytest.fixture
def stored() -> StubbornBytes:
    return StubbornBytes()


@pytest.fixture
def references(store) -> FakeReferences:
    return FakeReferences(store)


@pytest.fixture
def put(store, stored):
    def put(body=b"a", *, session_id="s", label=None):
        return put_attachment(store, stored, session_id, body, media_type="text/plain", label=label)

    return put


@pytest.fixture
def commit_ref(store):
    return lambda *ids: store.run(lambda work: attachments.commit_refs(work, "s", ids))


@pytest.fixture
def reclaim(store, stored, references):
    return lambda *, grace_ms=HOUR_MS: reclaim_attachments(store, stored, references, grace_ms=grace_ms)


def ids(stored) -> set[str]:
    return {one.attachment_id for one in stored.stored()}


def test_bytes_are_given_to_the_session_that_has_them(store, stored, put):
    ref = put(label="a.txt")
    assert (ref.attachment_id, ref.size_bytes, ref.media_type, ref.label) == (A, 1, "text/plain", "a.txt")
    assert get_attachment(store, stored, "s", A) == b"a"
    for session_id in ("other", "nobody"):
        store.lease("other")
        with pytest.raises(AttachmentNotFound) as caught:
            get_attachment(store, stored, session_id, A)
        assert (caught.value.session_id, caught.value.attachment_id) == (session_id, A)


def test_the_intent_is_recorded_before_the_bytes_are_written(store, stored, put):
    stored.stubborn.add(A)
    with pytest.raises(StoreUnwritable):
        put()
    assert [row["attachment_id"] for row in store.table(ATTACHMENTS)] == [A]
    with pytest.raises(AttachmentNotFound):
        get_attachment(store, stored, "s", A)


def test_forgetting_leaves_the_bytes_but_gives_them_to_nobody(store, stored, put):
    put()
    store.run(lambda work: attachments.forget(work, "s", A))
    assert ids(stored) == {A}
    with pytest.raises(AttachmentNotFound):
        get_attachment(store, stored, "s", A)


def test_damaged_bytes_are_not_given_out(store, stored, put):
    put()
    stored.put(A, b"damaged", now_us=store.now_us)
    with pytest.raises(StoreError, match="damaged"):
        get_attachment(store, stored, "s", A)


def test_what_a_commit_named_is_kept_for_good(store, stored, put, commit_ref, reclaim):
    put()
    commit_ref(A)
    store.advance(100 * HOUR_MS)
    report = reclaim()
    assert (report.examined, report.reclaimed, report.forgotten_intents) == (1, 0, 0)
    assert ids(stored) == {A}


def test_aged_intents_are_forgotten_and_their_bytes_go(store, stored, put, reclaim):
    put(b"aged")
    put(b"aged", session_id="other")
    store.advance(HOUR_MS)
    put(b"fresh")
    report = reclaim()
    assert report.model_dump() == {
        "examined": 2, "reclaimed": 1, "reclaimed_bytes": 4, "within_grace": 0, "forgotten_intents": 2, "failures": (),
    }  # fmt: skip
    assert ids(stored) == {content_ref(b"fresh")}
    assert reclaim().examined == 1


def test_bytes_written_lately_are_left_alone(store, stored, put, reclaim):
    put()
    store.run(lambda work: attachments.forget(work, "s", A))
    store.advance(HOUR_MS - 1)
    report = reclaim()
    assert (report.within_grace, report.reclaimed, ids(stored)) == (1, 0, {A})
    store.advance(1)
    report = reclaim()
    assert (report.within_grace, report.reclaimed, ids(stored)) == (0, 1, set())


def test_bytes_that_another_session_has_stay(store, stored, put, commit_ref, reclaim):
    put()
    put(session_id="other")
    commit_ref(A)
    store.run(lambda work: attachments.forget(work, "other", A))
    store.advance(2 * HOUR_MS)
    assert reclaim().reclaimed == 0
    assert get_attachment(store, stored, "s", A) == b"a"


def test_a_reference_made_meanwhile_is_seen(store, stored, put, reclaim, references):
    put()
    store.run(lambda work: attachments.forget(work, "s", A))
    store.advance(HOUR_MS)
    references.on_look = lambda attachment_id: store.run(
        lambda work: attachments.record_intent(
            work, "other", attachment_id, media_type="text/plain", label=None, size_bytes=1
        )
    )
    assert (reclaim().reclaimed, ids(stored)) == (0, {A})


def test_bytes_put_at_the_very_last_moment_stay(store, stored, put, reclaim, monkeypatch):
    put()
    store.run(lambda work: attachments.forget(work, "s", A))
    store.advance(HOUR_MS)
    delete = stored.delete

    def put_first(attachment_id, *, not_after_us):
        put(session_id="other")
        return delete(attachment_id, not_after_us=not_after_us)

    monkeypatch.setattr(stored, "delete", put_first)
    assert reclaim().reclaimed == 0
    assert get_attachment(store, stored, "other", A) == b"a"


def test_an_intent_renewed_meanwhile_is_not_forgotten(store, put, references, reclaim):
    put()
    listed = references.uncommitted(older_than_us=store.now_us)
    store.advance(HOUR_MS)
    put()
    references.uncommitted = lambda *, older_than_us: listed
    assert reclaim().forgotten_intents == 0


def test_what_cannot_be_deleted_is_reported_and_the_rest_goes(store, stored, put, reclaim):
    for body in (b"a", b"b", b"c"):
        put(body)
    stored.stubborn.add(A)
    store.advance(HOUR_MS)
    report = reclaim()
    assert (report.examined, report.reclaimed, report.forgotten_intents) == (3, 2, 3)
    (failure,) = report.failures
    assert A in failure
    assert "busy" in failure
    assert ids(stored) == {A}
