"""The commit contract, one test a promise: fences, revisions, stamps, all or nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import CommitResult, RuntimeCommit, content_ref, turn_commit_hash
from lash_host.domain.lease import LeaseAcquired
from lash_host.errors import HeadRevisionConflict, InvalidCommit, SessionLeaseExpired, StoreError, TurnCommitConflict
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, draft, model_call, owner

__all__ = ["CommitStoreConformance"]


class CommitStoreConformance(StoreSuite):
    """Who may commit, when a commit lands, and when it is answered again."""

    def test_the_store_declares_its_durability(self, backend: Backend, store: SessionStore) -> None:
        """RP1: the store is what its backend says it is."""
        assert store.durability == backend.durability
        assert store.info().durability == backend.durability

    def test_a_lease_alone_does_not_make_a_session(self, store: SessionStore, session: SampleSession) -> None:
        session.claim()
        assert store.load_session("alpha") is None
        assert store.session_info("alpha") is None
        assert store.list_sessions() == []

    def test_each_commit_advances_the_head_by_one(self, session: SampleSession) -> None:
        revisions = [session.commit("a").head_revision, session.commit("b", after="a").head_revision]
        assert revisions == [1, 2]
        assert session.load().head_revision == 2

    def test_even_a_first_commit_needs_a_fence(self, store: SessionStore, session: SampleSession) -> None:
        """RP12: a commit without a lease is refused."""
        with pytest.raises(SessionLeaseExpired):
            store.commit(session.draft("a", fence=None))
        assert store.load_session("alpha") is None

    def test_a_fence_of_another_session_is_no_fence(self, store: SessionStore, session: SampleSession) -> None:
        """RP3: a commit for one session with the proof of another's lease is refused."""
        beta = SampleSession(store, "beta")
        with pytest.raises(SessionLeaseExpired):
            store.commit(beta.draft("a", fence=session.claim()))
        assert store.load_session("beta") is None

    def test_a_released_fence_is_no_fence(self, store: SessionStore, session: SampleSession) -> None:
        fence = session.claim()
        store.release_lease(fence)
        with pytest.raises(SessionLeaseExpired):
            store.commit(session.draft("a", fence=fence))

    def test_an_expired_fence_is_no_fence(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        commit = session.draft("a")
        clock.advance(TTL_MS / 1000)
        with pytest.raises(SessionLeaseExpired):
            store.commit(commit)

    def test_a_fence_that_was_taken_over_is_no_fence(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        commit = session.draft("a")
        clock.advance(TTL_MS / 1000)
        store.claim_lease("alpha", owner("thief"), ttl_ms=TTL_MS)
        with pytest.raises(SessionLeaseExpired):
            store.commit(commit)
        assert isinstance(store.claim_lease("alpha", owner("thief"), ttl_ms=TTL_MS), LeaseAcquired)

    def test_a_fence_of_another_incarnation_is_no_fence(self, store: SessionStore, session: SampleSession) -> None:
        fence = session.claim()
        forged = fence.model_copy(update={"owner": owner("alpha", incarnation="later")})
        with pytest.raises(SessionLeaseExpired):
            store.commit(session.draft("a", fence=forged))

    def test_a_commit_may_keep_its_lease(self, session: SampleSession) -> None:
        fence = session.claim()
        session.commit("a", fence=fence, release_lease=False)
        assert session.commit("b", after="a", fence=fence).head_revision == 2

    def test_a_commit_may_release_its_lease(self, store: SessionStore, session: SampleSession) -> None:
        """RP12: the session is free after it."""
        commit = session.draft("a")
        store.commit(commit)
        other = store.claim_lease("alpha", owner("other"), ttl_ms=TTL_MS)
        assert isinstance(other, LeaseAcquired)
        assert commit.fence is not None
        assert other.lease.fence.fencing_token > commit.fence.fencing_token

    def test_a_stale_revision_is_refused(self, session: SampleSession) -> None:
        session.commit("a")
        with pytest.raises(HeadRevisionConflict) as caught:
            session.commit("b", after="a", expected_head_revision=0)
        assert (caught.value.expected, caught.value.actual) == (0, 1)
        assert session.node_ids() == ["a"]

    def test_a_revision_that_is_right_is_accepted(self, session: SampleSession) -> None:
        session.commit("a", expected_head_revision=0)
        assert session.commit("b", after="a", expected_head_revision=1).head_revision == 2

    def test_no_expected_revision_means_no_check(self, session: SampleSession) -> None:
        session.commit("a")
        assert session.commit("b", after="a", expected_head_revision=None).head_revision == 2

    def test_a_stamped_commit_is_answered_again_without_a_lease(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        """RP11: the same revision and checkpoint, and nothing twice. RP12: no lease is needed."""
        commit = session.turn("t1", "a", model_calls=(model_call("c1", input_tokens=5),))
        first = store.commit(commit)
        again = store.commit(replace(commit, fence=None, release_lease=False))
        assert again == first
        assert session.load().head_revision == 1
        assert [entry.usage.input_tokens for entry in session.load().token_ledger] == [5]

    def test_a_replay_does_not_look_at_the_expected_revision(self, store: SessionStore, session: SampleSession) -> None:
        """RP11: a stamp is recognized whatever revision the repeat was made from."""
        commit = session.turn("t1", "a", expected_head_revision=0)
        assert turn_commit_hash(replace(commit, expected_head_revision=7)) == turn_commit_hash(commit)
        first = store.commit(commit)
        session.commit("b", after="a")
        assert store.commit(replace(commit, expected_head_revision=7, fence=None)) == first

    def test_the_same_turn_with_other_content_conflicts_even_without_a_lease(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        """RP11: the same turn with another hash is a conflict."""
        commit = session.turn("t1", "a")
        store.commit(commit)
        assert commit.stamp is not None
        other = replace(commit, fence=None, stamp=commit.stamp.model_copy(update={"commit_hash": "other"}))
        with pytest.raises(TurnCommitConflict):
            store.commit(other)

    def test_a_turn_that_was_committed_cannot_be_committed_without_its_stamp(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        store.commit(session.turn("t1", "a"))
        with pytest.raises(TurnCommitConflict):
            store.commit(replace(session.turn("t1", "b", after="a"), stamp=None))

    def test_turn_ids_are_told_apart_by_session(self, store: SessionStore, session: SampleSession) -> None:
        store.commit(session.turn("t1", "a"))
        beta = SampleSession(store, "beta")
        assert store.commit(beta.turn("t1", "a")).head_revision == 1

    def test_a_replay_releases_the_lease_that_its_fence_still_holds(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        commit = session.turn("t1", "a", release_lease=False)
        store.commit(commit)
        store.commit(replace(commit, release_lease=True))
        assert isinstance(store.claim_lease("alpha", owner("other"), ttl_ms=TTL_MS), LeaseAcquired)

    def test_a_replay_does_not_release_the_lease_of_another(self, store: SessionStore, session: SampleSession) -> None:
        commit = session.turn("t1", "a")
        store.commit(commit)
        held = store.claim_lease("alpha", owner("other"), ttl_ms=TTL_MS)
        assert isinstance(held, LeaseAcquired)
        store.commit(commit)
        assert store.renew_lease(held.lease.fence, ttl_ms=TTL_MS).fence == held.lease.fence

    @pytest.mark.parametrize(
        ("after", "changes"),
        [
            ("a", {"expected_head_revision": 9}),
            ("a", {"checkpoint": draft(tool_state_ref="0" * 64)}),
            ("nowhere", {}),
        ],
        ids=["revision", "blob", "graph"],
    )
    def test_a_commit_that_fails_leaves_everything_as_it_was(
        self, store: SessionStore, session: SampleSession, after: str, changes: dict[str, object]
    ) -> None:
        session.commit("a")
        before = session.load()
        failing = session.turn("t1", "b", after=after, model_calls=(model_call("c1", input_tokens=5),), **changes)
        with pytest.raises(StoreError):
            store.commit(failing)
        now = session.load()
        assert replace(now, graph=before.graph) == before
        assert list(now.graph.nodes) == list(before.graph.nodes)
        assert failing.fence is not None
        assert store.renew_lease(failing.fence, ttl_ms=TTL_MS).fence == failing.fence

    def test_a_commit_that_failed_leaves_no_stamp(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        failing = session.turn("t1", "b", after="a", expected_head_revision=9)
        with pytest.raises(HeadRevisionConflict):
            store.commit(failing)
        assert store.commit(replace(failing, expected_head_revision=1)).head_revision == 2
        assert session.node_ids() == ["a", "b"]

    def test_a_stamp_must_be_that_of_the_turn(self, store: SessionStore, session: SampleSession) -> None:
        commit = session.turn("t1", "a")
        assert commit.stamp is not None
        with pytest.raises(InvalidCommit):
            store.commit(replace(commit, stamp=commit.stamp.model_copy(update={"turn_id": "t2"})))

    def test_the_current_frame_must_be_one_of_the_frames(self, session: SampleSession) -> None:
        with pytest.raises(InvalidCommit):
            session.commit("a", current_agent_frame_id="nowhere")

    def test_one_of_several_concurrent_writers_wins(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("root")
        fence = session.claim()
        commits = [
            session.draft(f"n{n}", after="root", fence=fence, expected_head_revision=1, release_lease=False)
            for n in range(8)
        ]
        with ThreadPoolExecutor(max_workers=8) as pool:
            outcomes = list(pool.map(lambda commit: _outcome(store, commit), commits))
        assert sum(isinstance(outcome, CommitResult) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, HeadRevisionConflict) for outcome in outcomes) == 7
        assert len(session.node_ids()) == 2

    def test_concurrent_sessions_do_not_disturb_each_other(self, store: SessionStore) -> None:
        def write(name: str) -> int:
            session = SampleSession(store, name)
            session.commit("a")
            return session.commit("b", after="a", expected_head_revision=1).head_revision

        with ThreadPoolExecutor(max_workers=8) as pool:
            assert set(pool.map(write, [f"s{n}" for n in range(16)])) == {2}
        assert len(store.list_sessions()) == 16

    def test_a_blob_comes_back_by_its_content(self, store: SessionStore, session: SampleSession) -> None:
        image = bytes(range(256))
        session.commit("a", blobs={content_ref(image): image})
        assert store.load_blob(content_ref(image)) == image

    def test_a_blob_that_was_never_stored_is_none(self, store: SessionStore) -> None:
        assert store.load_blob(content_ref(b"nothing")) is None

    def test_a_blob_is_named_by_its_content(self, session: SampleSession) -> None:
        with pytest.raises(InvalidCommit):
            session.commit("a", blobs={content_ref(b"one"): b"another"})

    def test_the_same_blob_may_be_committed_twice(self, store: SessionStore, session: SampleSession) -> None:
        body = {content_ref(b"same"): b"same"}
        session.commit("a", blobs=body)
        SampleSession(store, "beta").commit("a", blobs=body)
        assert store.info().blobs == 1


def _outcome(store: SessionStore, commit: RuntimeCommit) -> CommitResult | HeadRevisionConflict:
    try:
        return store.commit(commit)
    except HeadRevisionConflict as conflict:
        return conflict
