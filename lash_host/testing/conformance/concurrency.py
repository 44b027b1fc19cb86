"""What holds when several write at once, one test a promise."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lash_host.contracts.store import ReadScope, SessionStore
from lash_host.domain.commit import CommitResult, RuntimeCommit
from lash_host.domain.lease import LeaseAcquired, LeaseBusy, LeaseFence
from lash_host.errors import (
    HeadRevisionConflict,
    InvalidCommit,
    LashError,
    QueuedWorkClaimExpired,
    SessionLeaseExpired,
    StoreError,
)
from lash_host.testing.conformance.backend import DeadOwners, StoreSuite
from lash_host.testing.conformance.racing import landed, race
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, got, model_call, owner, settling

__all__ = ["ConcurrencyConformance"]

TURNS = 8
WRITERS = 3


class ConcurrencyConformance(StoreSuite):
    """Nothing is lost, doubled or torn."""

    def test_one_of_two_writers_wins_each_revision(self, handles: tuple[SessionStore, SessionStore]) -> None:
        writers = [SampleSession(store, "alpha") for store in handles]
        fence = writers[0].claim()
        for revision in range(TURNS):
            after = writers[0].load().graph.leaf_node_id if revision else None
            commits = [_step(writer, f"n{revision}-{n}", after, revision, fence) for n, writer in enumerate(writers)]
            outcomes = race([partial(w.store.commit, c) for w, c in zip(writers, commits, strict=True)])
            won = [outcome.head_revision for outcome in landed(outcomes)]
            lost = [outcome for outcome in outcomes if isinstance(outcome, HeadRevisionConflict)]
            assert (won, [(one.expected, one.actual) for one in lost]) == ([revision + 1], [(revision, revision + 1)])
        loaded = writers[1].load()
        assert len(loaded.graph) == len(loaded.graph.active_path) == loaded.head_revision == TURNS
        assert [entry.usage.input_tokens for entry in loaded.token_ledger] == [TURNS]

    def test_writers_that_wait_for_the_lease_lose_nothing(self, handles: tuple[SessionStore, SessionStore]) -> None:
        def write(store: SessionStore, name: str) -> int:
            session = SampleSession(store, "alpha").on(store, owner=owner(name))
            number = 0
            for _ in range(100_000):
                number += _commit_next(session, f"{name}-{number}")
                if number == TURNS:
                    return number
            raise AssertionError("the lease was never free")

        with ThreadPoolExecutor(max_workers=WRITERS) as pool:
            done = [pool.submit(write, handles[n % 2], f"w{n}") for n in range(WRITERS)]
            assert [one.result() for one in done] == [TURNS] * WRITERS
        session = SampleSession(handles[0], "alpha")
        path = session.node_ids(ReadScope.ACTIVE_PATH)
        assert sorted(path) == sorted(f"w{n}-{m}" for n in range(WRITERS) for m in range(TURNS))
        assert [entry.usage.input_tokens for entry in session.load().token_ledger] == [WRITERS * TURNS]
        assert session.load().head_revision == WRITERS * TURNS

    def test_commits_without_an_expected_revision_all_land(self, handles: tuple[SessionStore, SessionStore]) -> None:
        writers = [SampleSession(handles[n % 2], "alpha") for n in range(8)]
        writers[0].commit("root")
        fence = writers[0].claim()
        commits = [_step(writer, f"n{n}", "root", None, fence) for n, writer in enumerate(writers)]
        outcomes = race([partial(w.store.commit, c) for w, c in zip(writers, commits, strict=True)])
        assert sorted(outcome.head_revision for outcome in landed(outcomes)) == list(range(2, 10))
        assert sorted(writers[0].node_ids()) == sorted(["root", *(f"n{n}" for n in range(8))])

    def test_a_turn_that_is_committed_by_many_lands_once(self, handles: tuple[SessionStore, SessionStore]) -> None:
        """RP11: whoever repeats it at the same moment gets the same answer."""
        commit = SampleSession(handles[0], "alpha").turn("t1", "a", model_calls=(model_call("c1", input_tokens=5),))
        outcomes = race([partial(handles[n % 2].commit, commit) for n in range(8)])
        assert len({outcome.model_dump_json() for outcome in landed(outcomes)}) == 1
        assert len(landed(outcomes)) == 8
        loaded = SampleSession(handles[1], "alpha").load()
        assert (loaded.head_revision, [entry.usage.input_tokens for entry in loaded.token_ledger]) == (1, [5])

    def test_of_many_commits_at_once_one_may_fail_alone(self, handles: tuple[SessionStore, SessionStore]) -> None:
        sessions = [SampleSession(handles[n % 2], f"s{n}") for n in range(12)]
        for session in sessions:
            session.commit("root")
        commits = [session.draft("a", after="root", expected_head_revision=1) for session in sessions]
        commits[3] = sessions[3].draft("a", after="nowhere")
        commits[5] = sessions[5].draft("a", after="root", expected_head_revision=7)
        commits[7] = sessions[7].draft("a", after="root", fence=None)
        outcomes = race([partial(s.store.commit, c) for s, c in zip(sessions, commits, strict=True)])
        failed = {n: type(outcome) for n, outcome in enumerate(outcomes) if isinstance(outcome, StoreError)}
        assert failed == {3: InvalidCommit, 5: HeadRevisionConflict, 7: SessionLeaseExpired}
        for number, session in enumerate(sessions):
            assert session.node_ids() == (["root"] if number in failed else ["root", "a"])
            assert session.load().head_revision == (1 if number in failed else 2)
        assert handles[0].check().problems == ()

    def test_racing_first_claims_have_one_winner(self, handles: tuple[SessionStore, SessionStore]) -> None:
        """RP31: over two handles, whatever the session."""
        for number in range(8):
            claims = [
                partial(handles[n % 2].claim_lease, f"s{number}", owner(f"w{n}"), ttl_ms=TTL_MS) for n in range(4)
            ]
            outcomes = race(claims)
            (won,) = [outcome for outcome in outcomes if isinstance(outcome, LeaseAcquired)]
            busy = [outcome.holder for outcome in outcomes if isinstance(outcome, LeaseBusy)]
            assert won.lease.fence.fencing_token == 1
            assert busy == [won.lease.fence] * 3

    def test_racing_reclaims_have_one_winner(
        self, handles: tuple[SessionStore, SessionStore], dead: DeadOwners
    ) -> None:
        """RP13: over two handles; the others see the winner."""
        dead.owner_ids.add("alpha")
        for number in range(8):
            session = SampleSession(handles[0], f"s{number}").on(handles[0], owner=owner("alpha"))
            observed = session.claim()
            outcomes = race(
                [
                    partial(
                        handles[n % 2].reclaim_lease, session.session_id, owner(f"w{n}"), observed=observed,
                        ttl_ms=TTL_MS,
                    )
                    for n in range(4)
                ]
            )  # fmt: skip
            (won,) = [outcome for outcome in outcomes if isinstance(outcome, LeaseAcquired)]
            assert (won.kind, won.lease.fence.fencing_token) == ("reclaimed", 2)
            assert [one.holder for one in outcomes if isinstance(one, LeaseBusy)] == [won.lease.fence] * 3

    def test_settling_races_with_abandoning(self, handles: tuple[SessionStore, SessionStore]) -> None:
        here, there = handles
        for number in range(10):
            session = SampleSession(here, f"s{number}")
            session.wake()
            claim = got(session.claim_work())
            commit = session.draft("a", **settling([claim]))
            actions: list[Callable[[], CommitResult | None]] = [
                partial(here.commit, commit),
                partial(there.abandon_queued_work_claim, claim),
            ]
            settled, abandoned = race(actions)
            assert abandoned is None
            if isinstance(settled, CommitResult):
                assert (session.queued(), session.node_ids()) == ([], ["a"])
            else:
                assert isinstance(settled, QueuedWorkClaimExpired)
                assert session.queued(include_claimed=False) == [claim.batches[0].batch_id]
                assert here.load_session(session.session_id) is None

    def test_committing_races_with_deleting(self, handles: tuple[SessionStore, SessionStore]) -> None:
        here, there = handles
        for number in range(10):
            session = SampleSession(here, f"s{number}")
            session.commit("a")
            commit = session.draft("b", after="a")
            actions: list[Callable[[], object]] = [
                partial(here.commit, commit),
                partial(there.delete_session, session.session_id),
            ]
            committed, deleted = race(actions)
            assert isinstance(committed, CommitResult | SessionLeaseExpired)
            assert not isinstance(deleted, LashError)
            assert here.load_session(session.session_id) is None
            assert session.claim().fencing_token == 1
        assert here.list_sessions() == []


def _step(
    session: SampleSession, node_id: str, after: str | None, revision: int | None, fence: LeaseFence
) -> RuntimeCommit:
    return session.draft(
        node_id,
        after=after,
        fence=fence,
        release_lease=False,
        expected_head_revision=revision,
        model_calls=(model_call(node_id, input_tokens=1),),
    )


def _commit_next(session: SampleSession, node_id: str) -> int:
    """Commit one node after the leaf, if the lease is free; say how many were committed."""
    claimed = session.store.claim_lease("alpha", session.owner, ttl_ms=TTL_MS)
    if isinstance(claimed, LeaseBusy):
        return 0
    loaded = session.store.load_session("alpha", scope=ReadScope.CURRENT_FRAME)
    leaf, revision = (None, 0) if loaded is None else (loaded.graph.leaf_node_id, loaded.head_revision)
    commit = _step(session, node_id, leaf, revision, claimed.lease.fence)
    session.store.commit(commit)
    session.store.release_lease(claimed.lease.fence)
    return 1
