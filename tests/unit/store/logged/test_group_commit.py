"""Operations that wait are decided together: one statement for all, and each for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import duckdb
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import CommitResult
from lash_host.errors import HeadRevisionConflict, SessionLeaseExpired, StoreError, StoreUnwritable
from lash_host.store import open_store
from lash_host.store.work import Work
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.drafts import wake_draft
from lash_host.testing.conformance.samples import TTL_MS

Together = Callable[..., list[Any]]
FailingLog = Callable[..., AbstractContextManager[None]]

INTO_LOG = "INSERT INTO lash_tables.commit_log"


def _writes(statements: list[str]) -> int:
    return sum(sql.startswith(INTO_LOG) for sql in statements)


@pytest.fixture
def sessions(memory: SessionStore) -> list[SampleSession]:
    found = [SampleSession(memory, f"s{number}") for number in range(6)]
    for session in found:
        session.commit("a")
    return found


def test_commits_that_wait_share_one_statement(
    memory: SessionStore, sessions: list[SampleSession], together: Together, statements: list[str]
) -> None:
    commits = [session.turn("t", "b", after="a") for session in sessions]
    statements.clear()
    outcomes = together(memory, *(partial(memory.commit, commit) for commit in commits))
    assert [outcome.head_revision for outcome in outcomes] == [2] * len(sessions)
    assert len(statements) == _writes(statements) == 1
    assert [session.node_ids() for session in sessions] == [["a", "b"]] * len(sessions)
    assert memory.query("SELECT count(*) FROM lash_rows.turns").fetchall() == [(len(sessions),)]


def test_one_that_is_refused_is_refused_alone(
    memory: SessionStore, sessions: list[SampleSession], together: Together, statements: list[str]
) -> None:
    commits = [session.turn("t", "b", after="a") for session in sessions]
    commits[2] = sessions[2].turn("t", "b", after="a", expected_head_revision=9)
    memory.release_lease(sessions[4].claim())
    statements.clear()
    outcomes = together(memory, *(partial(memory.commit, commit) for commit in commits))
    assert isinstance(outcomes[2], HeadRevisionConflict)
    assert isinstance(outcomes[4], SessionLeaseExpired)
    landed = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, CommitResult)]
    assert landed == [0, 1, 3, 5]
    assert _writes(statements) == 1
    assert sessions[2].node_ids() == sessions[4].node_ids() == ["a"]


def test_an_error_of_the_operation_itself_is_its_callers(
    memory: SessionStore, sessions: list[SampleSession], together: Together
) -> None:
    def wrong(work: Work) -> None:
        work.put_head(work.ensure_head("s0").changed({"title": "never"}))
        raise ZeroDivisionError

    commit = sessions[1].turn("t", "b", after="a")
    outcomes = together(memory, lambda: memory._engine.run(wrong), lambda: memory.commit(commit))
    assert isinstance(outcomes[0], ZeroDivisionError)
    assert outcomes[1].head_revision == 2
    info = memory.session_info("s0")
    assert info is not None
    assert info.title is None


def test_operations_on_one_session_land_one_after_another_in_order(
    memory: SessionStore, sessions: list[SampleSession], together: Together, statements: list[str]
) -> None:
    session = sessions[0]
    fence = session.claim()
    chain = [
        session.draft(f"n{number}", after=f"n{number - 1}" if number else "a", fence=fence, release_lease=False)
        for number in range(4)
    ]
    other = sessions[1].turn("t", "b", after="a")
    statements.clear()
    calls = [partial(memory.commit, commit) for commit in [*chain[:2], other, *chain[2:]]]
    outcomes = together(memory, *calls)
    assert [outcome.head_revision for outcome in outcomes] == [2, 3, 2, 4, 5]
    assert session.node_ids() == ["a", "n0", "n1", "n2", "n3"]
    assert _writes(statements) == 4  # the other session's came with the first


def test_work_of_one_session_is_claimed_once(memory: SessionStore, together: Together) -> None:
    session = SampleSession(memory, "alpha")
    batches = [session.wake(number).batch_id for number in range(1, 5)]
    session.claim()
    claims = together(memory, *(partial(session.claim_work, limit=1) for _ in range(6)))
    claimed = sorted(claim.batches[0].batch_id for claim in claims if claim is not None)
    assert claimed == batches


@pytest.mark.parametrize("stored", [["a"], ["a", "b"]], ids=["lost", "landed"])
def test_a_failure_of_the_database_is_told_to_all_and_leases_survive_it(
    memory: SessionStore, sessions: list[SampleSession], together: Together, failing_log: FailingLog, stored: list[str]
) -> None:
    commits = [session.turn("t", "b", after="a") for session in sessions]
    with failing_log(duckdb.IOException("No space left on device"), lands=len(stored) == 2):
        outcomes = together(memory, *(partial(memory.commit, commit) for commit in commits))
    assert [type(outcome) for outcome in outcomes] == [StoreUnwritable] * len(sessions)
    assert [session.node_ids() for session in sessions] == [stored] * len(sessions)
    assert [memory.commit(commit).head_revision for commit in commits] == [2] * len(sessions)
    assert [session.node_ids() for session in sessions] == [["a", "b"]] * len(sessions)
    assert memory.check().problems == ()


def test_a_lease_that_is_held_outlives_a_failure_of_the_database(
    memory: SessionStore, sessions: list[SampleSession], failing_log: FailingLog
) -> None:
    fence = sessions[0].claim()
    with failing_log(duckdb.IOException("No space left on device")), pytest.raises(StoreUnwritable):
        memory.enqueue_queued_work(wake_draft("s0", 1))
    assert memory.renew_lease(fence, ttl_ms=TTL_MS).fence == fence
    assert sessions[0].queued() == []


def test_an_interrupt_answers_everybody_and_the_next_goes_on(
    memory: SessionStore, sessions: list[SampleSession], together: Together
) -> None:
    def interrupt(work: Work) -> None:
        raise KeyboardInterrupt

    def interrupted() -> None:
        with pytest.raises((KeyboardInterrupt, StoreError)):
            memory._engine.run(interrupt)

    commits = [session.turn("t", "b", after="a") for session in sessions[:2]]
    calls = [partial(_swallowing_interrupts, partial(memory.commit, commit)) for commit in commits]
    outcomes = together(memory, calls[0], interrupted, calls[1])
    answered = [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
    assert all("outcome unknown" in str(outcome) for outcome in answered)
    assert [memory.commit(commit).head_revision for commit in commits] == [2, 2]
    assert [session.node_ids() for session in sessions[:2]] == [["a", "b"]] * 2
    assert memory.check().problems == ()


def _swallowing_interrupts(call: Callable[[], object]) -> object:
    """Make a call that may be the one whose thread is interrupted."""
    try:
        return call()
    except KeyboardInterrupt as error:
        return error


def test_many_threads_on_many_sessions(memory: SessionStore, statements: list[str]) -> None:
    threads_, rounds = 12, 12
    failures: list[BaseException] = []

    def work(number: int) -> None:
        session = SampleSession(memory, f"s{number}")
        try:
            for turn in range(rounds):
                memory.commit(session.turn(f"t{turn}", f"n{turn}", after=f"n{turn - 1}" if turn else None))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(threads_)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _writes(statements) <= threads_ * (rounds + 1)
    for number in range(threads_):
        assert SampleSession(memory, f"s{number}").node_ids() == [f"n{turn}" for turn in range(rounds)]
    assert memory.check().problems == ()


def test_whoever_waits_for_work_is_woken(memory: SessionStore) -> None:
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(memory.wait_for_work(timeout_ms=120_000)))
    waiting.start()
    number = 0
    while waiting.is_alive():
        number += 1
        memory.enqueue_queued_work(wake_draft("alpha", number))
    waiting.join()
    assert woken == [True]
    assert not memory.wait_for_work(timeout_ms=0)


def test_waiting_for_work_ends_when_there_is_none(memory: SessionStore) -> None:
    SampleSession(memory, "alpha").wake()
    assert not memory.wait_for_work(timeout_ms=1)


def test_an_operation_that_comes_too_late_says_that_the_store_was_closed(memory: SessionStore) -> None:
    engine = memory._engine
    memory.close()
    with pytest.raises(StoreError, match="was closed"):
        engine.run(lambda work: work.ensure_head("alpha"))


def test_closing_while_operations_wait_leaves_each_with_an_answer(path: Any) -> None:
    store = open_store(path)
    started, go_on = threading.Event(), threading.Event()
    outcomes: dict[int, object] = {}

    def hold(work: Work) -> None:
        started.set()
        assert go_on.wait(60)

    def enqueue(number: int) -> None:
        try:
            outcomes[number] = store.enqueue_queued_work(wake_draft(f"s{number}", number)).batch_id
        except StoreError as error:
            outcomes[number] = error

    engine, log = store._engine, store._engine._log
    first = threading.Thread(target=engine.run, args=(hold,))
    first.start()
    assert started.wait(60)
    others = [threading.Thread(target=enqueue, args=(number,)) for number in range(8)]
    for number, thread in enumerate(others):
        thread.start()
        while len(log._waiting) <= number:
            pass
    closing = threading.Thread(target=store.close)
    closing.start()
    go_on.set()
    for thread in (first, closing, *others):
        thread.join()
    refused = [str(outcome) for outcome in outcomes.values() if isinstance(outcome, StoreError)]
    assert all("was closed" in message for message in refused)
    landed = {number for number, outcome in outcomes.items() if isinstance(outcome, str)}
    assert len(refused) + len(landed) == len(others)
    again = open_store(path)
    assert {number for number in range(8) if again.list_queued_work(f"s{number}")} == landed
    again.close()
