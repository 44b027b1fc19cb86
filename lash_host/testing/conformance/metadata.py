"""What making, describing and deleting sessions promises before and besides their turns, one test a promise."""

from __future__ import annotations

from typing import Any

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired
from lash_host.domain.session import SessionMeta
from lash_host.errors import AttachmentNotFound
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, draft, got, model_call, owner

__all__ = ["SessionMetaConformance", "sample_meta"]


def sample_meta(session_id: str = "alpha", **changes: Any) -> SessionMeta:
    """Make metadata with something in every field."""
    meta = SessionMeta(
        session_id=session_id,
        name="A name, 日本",
        created_at_us=1_000,
        model="acme/large",
        cwd="/home/someone",
        parent_session_id="parent",
        caused_by={"tool": "delegate", "depth": 2},
    )
    return meta.model_copy(update=changes)


class SessionMetaConformance(StoreSuite):
    """Metadata are there before anything is committed, and a deleted session leaves none."""

    def test_metadata_come_back(self, store: SessionStore) -> None:
        """RP6: every field of them."""
        meta = sample_meta()
        store.save_session_meta(meta)
        assert store.load_session_meta("alpha") == meta

    def test_metadata_are_written_over(self, store: SessionStore) -> None:
        store.save_session_meta(sample_meta())
        bare = SessionMeta(session_id="alpha", created_at_us=2_000)
        store.save_session_meta(bare)
        assert store.load_session_meta("alpha") == bare

    def test_an_unknown_session_has_none(self, store: SessionStore) -> None:
        store.save_session_meta(sample_meta("beta"))
        assert store.load_session_meta("alpha") is None

    def test_nothing_else_makes_metadata(self, store: SessionStore, session: SampleSession) -> None:
        session.say()
        session.wake()
        session.commit("a", title="Title")
        assert store.load_session_meta("alpha") is None

    def test_metadata_alone_do_not_make_a_session(self, store: SessionStore) -> None:
        store.create_session(sample_meta())
        assert store.load_session("alpha") is None
        assert store.session_info("alpha") is None
        assert store.list_sessions() == []
        assert store.info().sessions == 0

    def test_a_session_is_made_with_its_metadata(self, store: SessionStore) -> None:
        meta = sample_meta()
        assert store.create_session(meta) == meta
        assert store.load_session_meta("alpha") == meta

    def test_making_a_session_again_keeps_its_metadata(self, store: SessionStore) -> None:
        store.create_session(sample_meta())
        custom = sample_meta(name="Renamed", model="acme/small", parent_session_id="elsewhere")
        store.save_session_meta(custom)
        assert store.create_session(sample_meta(model="other/model", parent_session_id=None)) == custom
        assert store.load_session_meta("alpha") == custom

    def test_a_session_that_has_turns_may_get_metadata(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        assert store.create_session(sample_meta()) == sample_meta()
        session.commit("b", after="a")
        assert (store.load_session_meta("alpha"), session.node_ids()) == (sample_meta(), ["a", "b"])

    def test_metadata_do_not_disturb_a_lease(self, store: SessionStore, session: SampleSession) -> None:
        fence = session.claim()
        store.create_session(sample_meta())
        store.save_session_meta(sample_meta(name="Renamed"))
        assert store.renew_lease(fence, ttl_ms=TTL_MS).fence == fence
        assert store.load_session_meta("alpha") == sample_meta(name="Renamed")

    def test_metadata_survive_a_reopen(self, backend: Backend) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        before.create_session(sample_meta())
        before.close()
        after = backend.open()
        assert after.load_session_meta("alpha") == sample_meta()
        assert after.create_session(sample_meta(name="Other")) == sample_meta()
        after.close()

    def test_deleting_tells_of_all_that_was_kept(self, store: SessionStore, session: SampleSession) -> None:
        _fill(session)
        report = store.delete_session("alpha")
        assert report.existed
        assert (report.nodes, report.turns, report.model_calls) == (2, 1, 1)
        assert (report.queued_batches, report.turn_inputs, report.attachments) == (2, 3, 1)

    def test_nothing_that_waited_is_left_of_a_deleted_session(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        attachment_id = _fill(session)
        store.delete_session("alpha")
        assert store.load_session_meta("alpha") is None
        assert (session.pending(), session.queued()) == ([], [])
        assert list(store.sessions_with_work(limit=10)) == []
        assert (list(store.list_attachments("alpha")), list(store.list_attachment_ids())) == ([], [])
        with pytest.raises(AttachmentNotFound):
            store.get_attachment("alpha", attachment_id)

    def test_a_session_made_anew_knows_nothing_of_the_old_one(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        _fill(session)
        store.delete_session("alpha")
        clock.advance(1)
        fresh = sample_meta(name="Anew", parent_session_id=None)
        assert store.create_session(fresh) == fresh
        claimed = store.claim_lease("alpha", owner("other"), ttl_ms=TTL_MS)
        assert isinstance(claimed, LeaseAcquired)
        assert claimed.lease.fence.fencing_token == 1
        store.release_lease(claimed.lease.fence)
        assert (session.pending(), session.queued(), session.claim_inputs(), session.claim_work()) == (
            [],
            [],
            None,
            None,
        )
        assert session.say("other words", source_key="said").input.text == "other words"
        assert session.command("done").completed_at_us is None
        assert store.commit(session.turn("t1", "a")).head_revision == 1
        assert session.node_ids() == ["a"]
        assert session.load().token_ledger == ()

    def test_what_was_kept_before_a_first_commit_is_deleted_too(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        store.create_session(sample_meta())
        session.say()
        session.wake()
        store.put_attachment("alpha", b"bytes", media_type="text/plain")
        report = store.delete_session("alpha")
        assert (report.queued_batches, report.turn_inputs, report.attachments) == (1, 1, 1)
        assert store.load_session_meta("alpha") is None
        assert (session.pending(), session.queued(), list(store.list_attachments("alpha"))) == ([], [], [])

    def test_deleting_does_not_touch_what_waits_for_others(self, store: SessionStore, session: SampleSession) -> None:
        other = SampleSession(store, "beta")
        for one in (session, other):
            _fill(one)
        store.delete_session("alpha")
        assert (len(other.pending()), len(other.queued())) == (2, 2)
        assert store.load_session_meta("beta") == sample_meta("beta")
        assert len(store.list_attachments("beta")) == 1

    def test_a_deletion_survives_a_reopen(self, backend: Backend) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        _fill(session)
        before.delete_session("alpha")
        before.close()
        after = backend.open()
        again = SampleSession(after, "alpha")
        assert after.load_session("alpha") is None
        assert after.load_session_meta("alpha") is None
        assert (again.pending(), again.queued(), list(after.list_attachments("alpha"))) == ([], [], [])
        assert again.claim().fencing_token == 1
        after.close()


def _fill(session: SampleSession) -> str:
    """Keep something of everything for a session: 2 nodes, 3 inputs, 2 batches, a receipt, an attachment."""
    store, session_id = session.store, session.session_id
    store.create_session(sample_meta(session_id))
    session.command("done")
    session.settle(got(session.claim_command()))
    session.say("said", source_key="said")
    session.settle(got(session.claim_inputs()))
    session.say("waits")
    session.say("now", ingress=during("t9"))
    session.wake(1)
    session.command("waits")
    attachment = store.put_attachment(session_id, b"bytes", media_type="text/plain")
    call = model_call("c1", input_tokens=5)
    checkpoint = draft(tool_state=b"tools")
    store.commit(session.turn("t1", "a", "b", model_calls=(call,), checkpoint=checkpoint))
    return attachment.attachment_id
