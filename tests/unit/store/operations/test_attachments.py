"""References of sessions to attachments."""

from __future__ import annotations

import pytest

from lash_host.store import attachments


@pytest.fixture
def intend(store):
    def intend(attachment_id, *, session_id="s", media_type="image/png", label=None):
        return store.run(
            lambda work: attachments.record_intent(
                work, session_id, attachment_id, media_type=media_type, label=label, size_bytes=3
            )
        )

    return intend


@pytest.fixture
def refs(store):
    return lambda session_id="s": store.run(lambda work: attachments.list_refs(work, session_id))


@pytest.fixture
def name(store):
    return lambda *ids, session_id="s": store.run(lambda work: attachments.commit_refs(work, session_id, ids))


def test_an_intent_is_a_reference_before_any_commit(store, intend, refs):
    ref = intend("a", label="plan.png")
    assert (ref.session_id, ref.attachment_id, ref.media_type, ref.label, ref.size_bytes) == (
        "s",
        "a",
        "image/png",
        "plan.png",
        3,
    )
    assert (ref.intent_at_us, ref.committed_at_us) == (store.now_us, None)
    assert refs() == [ref]
    assert refs("nobody") == []


def test_a_repeated_intent_is_new_and_keeps_the_stamp(store, intend, refs, name):
    intend("a", media_type="text/plain")
    name("a")
    stamped_us = store.now_us
    store.advance(5)
    again = intend("a", label="renamed")
    assert (again.intent_at_us, again.committed_at_us) == (store.now_us, stamped_us)
    assert (again.media_type, again.label) == ("image/png", "renamed")
    assert refs() == [again]


def test_references_are_listed_by_their_latest_intent(store, intend, refs):
    for attachment_id in ("a", "b", "a"):
        store.advance(1)
        intend(attachment_id)
    assert [ref.attachment_id for ref in refs()] == ["b", "a"]


def test_sessions_own_the_same_content_apart(intend, refs, name, store):
    intend("a")
    intend("a", session_id="other")
    name("a", session_id="other")
    assert refs()[0].committed_at_us is None
    assert refs("other")[0].committed_at_us is not None
    store.run(lambda work: attachments.forget(work, "s", "a"))
    assert (refs(), len(refs("other"))) == ([], 1)


def test_committing_stamps_what_there_is(store, intend, refs, name):
    intend("a")
    name("a", "unknown")
    stamped_us = refs()[0].committed_at_us
    store.advance(5)
    name("a")
    assert store.written == []
    assert refs()[0].committed_at_us == stamped_us
    name("a", session_id="nobody")
    assert "nobody" not in store.heads


def test_a_session_holds_what_it_refers_to(store, intend, name):
    def holds(session_id, attachment_id):
        return store.run(lambda work: attachments.holds_ref(work, session_id, attachment_id))

    intend("a")
    assert (holds("s", "a"), holds("s", "b"), holds("other", "a")) == (True, False, False)
    name("a")
    assert holds("s", "a")
    for _ in range(2):
        store.run(lambda work: attachments.forget(work, "s", "a"))
    assert not holds("s", "a")


def test_only_aged_intents_without_a_commit_are_forgotten(store, intend, refs, name):
    for attachment_id in ("aged", "committed", "renewed"):
        intend(attachment_id)
    name("committed")
    cutoff_us = store.now_us
    store.advance(1)
    for attachment_id in ("renewed", "new"):
        intend(attachment_id)
    everything = ["aged", "committed", "renewed", "new", "unknown"]
    forgotten = store.run(lambda work: attachments.forget_aged(work, "s", everything, older_than_us=cutoff_us))
    assert (forgotten, store.written) == (1, [("remove", "attachments")])
    assert {ref.attachment_id for ref in refs()} == {"committed", "renewed", "new"}
