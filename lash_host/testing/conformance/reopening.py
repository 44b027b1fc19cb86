"""What a later handle finds of what an earlier one left, one test a promise."""

from __future__ import annotations

from lash_host.domain.catalog import ToolState
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.attachments import intend
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.drafts import during, process_wake
from lash_host.testing.conformance.metadata import sample_meta
from lash_host.testing.conformance.samples import SampleSession, draft, got, owner

__all__ = ["ReopenConformance"]


class ReopenConformance(StoreSuite):
    """A durable store forgets nothing when it is closed; a shared one hides nothing while it is open."""

    def test_everything_is_there_through_another_handle(self, backend: Backend, clock: ManualClock) -> None:
        """RP32: metadata, the session, its tool state, queued work and an uncommitted attachment."""
        if not backend.reopens:
            return
        for close_first in (True, False):
            name = f"closed {close_first}"
            first = backend.open()
            session = SampleSession(first, name)
            first.create_session(sample_meta(name))
            body = ToolState(generation=77).model_dump_json().encode()
            session.commit("a", checkpoint=draft(tool_state=body))
            batch = session.wake(1)
            ref = intend(first, name.encode(), session_id=name)
            if close_first:
                first.close()
            second = backend.open()
            loaded = SampleSession(second, name).load()
            assert loaded.session_id == name
            assert ToolState.model_validate_json(loaded.tool_state or b"").generation == 77
            assert second.load_session_meta(name) == sample_meta(name)
            assert list(second.list_queued_work(name)) == [batch]
            assert batch.items[0].payload == process_wake(1)
            assert ref in second.list_uncommitted_attachments(older_than_us=clock.now_us())
            second.close()
            first.close()

    def test_waiting_work_is_there_after_a_reopen(self, backend: Backend) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        kept = [session.say("one", source_key="k"), session.say("two", ingress=during("t1"))]
        queued = [session.command("a"), session.wake(1)]
        before.close()
        after = backend.open()
        again = SampleSession(after, "alpha")
        assert list(after.list_pending_turn_inputs("alpha")) == kept
        assert list(after.list_queued_work("alpha")) == queued
        assert list(after.sessions_with_work(limit=10)) == ["alpha"]
        assert again.say("one", source_key="k") == kept[0]
        assert again.wake(1) == queued[1]
        after.close()

    def test_what_was_settled_stays_settled(self, backend: Backend) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        session.command()
        session.say("one", source_key="k")
        before.cancel_turn_input("alpha", session.say("two", source_key="l").input_id)
        session.settle(got(session.claim_command()), got(session.claim_inputs()))
        receipt, completed = session.command(), session.say("one", source_key="k")
        cancelled = session.say("two", source_key="l")
        before.close()
        after = backend.open()
        again = SampleSession(after, "alpha")
        assert again.command() == receipt
        assert receipt.completed_at_us is not None
        assert [again.say("one", source_key="k"), again.say("two", source_key="l")] == [completed, cancelled]
        assert (again.pending(), again.queued()) == ([], [])
        after.close()

    def test_claims_are_held_over_a_reopen(self, backend: Backend) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        session.say()
        session.wake()
        claims = got(session.claim_inputs()), got(session.claim_work())
        before.release_lease(session.claim())
        before.close()
        after = backend.open()
        other = SampleSession(after, "alpha").on(after, owner=owner("other"))
        assert (other.claim_inputs(), other.claim_work()) == (None, None)
        other.settle(*claims)
        assert (other.pending(), other.queued()) == ([], [])
        after.close()

    def test_a_turn_is_recognized_after_a_reopen(self, backend: Backend) -> None:
        """RP11: whoever repeats a commit whose answer was lost with the process gets that answer."""
        if not backend.reopens:
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        session.wake()
        commit = session.turn("t1", "a", completed_queue_claims=(got(session.claim_work()),))
        first = before.commit(commit)
        before.close()
        after = backend.open()
        assert after.commit(commit) == first
        assert SampleSession(after, "alpha").node_ids() == ["a"]
        after.close()

    def test_upkeep_survives_a_reopen(self, backend: Backend) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        session.commit("a", "b", checkpoint=draft(tool_state=b"one"))
        session.commit("c", after="a", checkpoint=draft(tool_state=b"two"))
        before.tombstone_nodes("alpha", ["b"])
        before.collect_garbage()
        before.vacuum()
        before.close()
        after = backend.open()
        again = SampleSession(after, "alpha")
        assert (again.node_ids(), again.load().tool_state) == (["a", "c"], b"two")
        assert (after.vacuum().removed_nodes, after.collect_garbage().deleted) == (0, 0)
        assert after.check().problems == ()
        after.close()
