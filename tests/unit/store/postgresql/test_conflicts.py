"""What happens when others are in the way, or the connection is gone: all of it really provoked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Barrier, BrokenBarrierError

import psycopg
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.errors import HeadRevisionConflict, StoreError, StoreUnreachable
from lash_host.store import open_store
from lash_host.store.dialects import ConstraintViolated, TransactionConflict
from lash_host.store.schema import SCHEMA, commits
from lash_host.store.work import Work
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import owner

_FAIL_AT_COMMIT = """
CREATE SEQUENCE public.attempts;
CREATE FUNCTION public.fail_at_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('public.attempts') <= {times} THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fail_at_commit AFTER INSERT ON lash_tables.commits
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fail_at_first();
"""


@pytest.fixture
def url(empty_postgres_url: str) -> str:
    open_store(empty_postgres_url).close()
    return empty_postgres_url


@pytest.fixture
def store(url: str) -> Iterator[SessionStore]:
    store = open_store(url)
    yield store
    store.close()


@contextmanager
def _row_locked(url: str) -> Iterator[None]:
    with psycopg.connect(url) as blocking:
        blocking.execute("SELECT 1 FROM lash_tables.sessions FOR UPDATE")
        yield


def _execute(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def test_a_serialization_failure_at_commit_is_tried_again(store: SessionStore, url: str) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")
    _execute(url, _FAIL_AT_COMMIT.format(times=2))
    result = session.commit("b", after="a", expected_head_revision=1)
    assert result.head_revision == 2
    assert session.node_ids() == ["a", "b"]
    assert _execute(url, "SELECT last_value FROM public.attempts") == [(3,)]


def test_what_stays_a_conflict_is_one_of_the_head(store: SessionStore, url: str) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")
    _execute(url, _FAIL_AT_COMMIT.format(times=1000))
    with pytest.raises(HeadRevisionConflict) as caught:
        session.commit("b", after="a", expected_head_revision=1)
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, TransactionConflict)
    assert session.node_ids() == ["a"]
    with pytest.raises(TransactionConflict):
        session.commit("b", after="a")


def test_two_who_lock_each_others_sessions_both_get_through(store: SessionStore) -> None:
    for session_id in ("x", "y"):
        SampleSession(store, session_id).commit("a")
    crossing, runs = Barrier(2), []

    def both(first: str, second: str) -> None:
        def operation(work: Work) -> None:
            runs.append(first)
            work.ensure_head(first)
            try:
                crossing.wait(timeout=2)
            except BrokenBarrierError:
                assert len(runs) > 2  # the one that goes again goes alone
            work.ensure_head(second)
            work.announce_work()

        store._engine.run(operation)

    with ThreadPoolExecutor(2) as pool:
        for waiting in (pool.submit(both, "x", "y"), pool.submit(both, "y", "x")):
            waiting.result()
    assert len(runs) == 3


def test_a_lock_that_is_not_given_up_is_a_conflict(url: str) -> None:
    store = open_store(f"{url}?options=-c%20lock_timeout%3D50ms")
    session = SampleSession(store, "alpha")
    session.commit("a")
    with _row_locked(url), pytest.raises(TransactionConflict, match="lock timeout"):
        session.claim()
    assert session.claim().fencing_token == 2
    store.close()


def test_a_row_that_is_there_is_a_broken_constraint(store: SessionStore) -> None:
    SampleSession(store, "alpha").commit("a")

    def again(work: Work) -> None:
        head = work.ensure_head("alpha")
        work.append(commits, [(head.session_key, 1, 1, 1, None, 1, "", "", False)])

    with pytest.raises(ConstraintViolated, match="commits_pkey"):
        store._engine.run(again)
    assert store.check().problems == ()


def test_connections_that_were_lost_are_replaced(store: SessionStore, url: str) -> None:
    """As after the server was restarted: nobody notices."""
    session = SampleSession(store, "alpha")
    session.commit("a")
    for action in (
        lambda: session.commit("b", after="a"),
        session.node_ids,
        lambda: store.list_queued_work("alpha"),
        store.collect_garbage,
        store.info,
    ):
        _end_others(url)
        action()
    assert session.node_ids() == ["a", "b"]


def test_a_connection_lost_while_something_may_have_landed_is_not_tried_again(store: SessionStore, url: str) -> None:
    SampleSession(store, "alpha").commit("a")
    runs = []

    def operation(work: Work) -> None:
        runs.append(work)
        work.put_head(work.ensure_head("alpha").changed({"title": "new"}))
        _end_others(url)

    with pytest.raises(StoreUnreachable) as caught:
        store._engine.run(operation)
    assert caught.value.retryable
    assert len(runs) == 1


def test_a_failing_operation_changes_nothing(store: SessionStore) -> None:
    def operation(work: Work) -> None:
        work.put_head(work.ensure_head("alpha").changed({"title": "new"}))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store._engine.run(operation)
    assert store.query(f"SELECT count(*) FROM {SCHEMA}.sessions").fetchall() == [(0,)]


def _end_others(url: str) -> None:
    _execute(
        url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def test_upkeep_waits_for_operations_and_they_for_it(store: SessionStore, url: str) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")
    order = []

    def upkeep() -> None:
        with store._engine.exclusive() as transaction:
            order.append("upkeep")
            transaction.script("SELECT pg_sleep(0.2)")
            assert session.node_ids() == ["a"]  # who reads does not wait
            order.append("upkeep done")

    def operation(work: Work) -> None:
        work.ensure_head("alpha")
        order.append("operation")
        waiting = pool.submit(upkeep)
        while not _execute(url, "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'ExclusiveLock'"):
            assert not waiting.done()
        work.put_head(work.ensure_head("alpha").changed({"title": "new"}))
        order.append("operation done")

    with ThreadPoolExecutor(2) as pool:
        store._engine.run(operation)
        while len(order) < 3:
            pass
        session.commit("b", after="a")
        order.append("another")
    assert order == ["operation", "operation done", "upkeep", "upkeep done", "another"]


@pytest.mark.parametrize("wrong", ["a\0b", "a\ud800b"])
def test_what_postgresql_cannot_hold_is_refused_and_nothing_else_lands(store: SessionStore, wrong: str) -> None:
    def operation(work: Work) -> None:
        head = work.ensure_head("alpha")
        work.put_head(head.changed({"model": wrong, "title": "new"}))

    session = SampleSession(store, "alpha")
    session.commit("a")
    with pytest.raises(StoreError):
        store._engine.run(operation)
    with pytest.raises(StoreError):
        store.claim_lease(wrong, owner("somebody"), ttl_ms=1_000)
    assert store.query("SELECT title FROM lash_tables.sessions").fetchall() == [(None,)]
    assert session.commit("b", after="a").head_revision == 2


def test_a_title_may_be_whatever_somebody_typed(store: SessionStore) -> None:
    SampleSession(store, "alpha").commit("a", title="a\0b")
    assert store.list_sessions()[0].title == "a\ufffdb"


def test_failures_say_nothing_beside_their_error(
    url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Psycopg logs what it makes of a failed pipeline; on a terminal that would be noise."""
    store = open_store(f"{url}?options=-c%20lock_timeout%3D20ms")
    SampleSession(store, "alpha").commit("a")
    with _row_locked(url), pytest.raises(TransactionConflict):
        SampleSession(store, "alpha").claim()
    with pytest.raises(StoreError):
        SampleSession(store, "a\0b").claim()
    store.close()
    assert [record for record in caplog.records if record.levelname != "INFO"] == []
    assert capfd.readouterr().err == ""


def test_a_commit_after_a_failure_that_was_swallowed_is_none(store: SessionStore) -> None:
    """PostgreSQL answers such a COMMIT with a rollback, and calls it no error."""

    def careless() -> None:
        with store._engine.exclusive() as transaction:
            transaction.script("DELETE FROM lash_tables.meta")
            with suppress(psycopg.Error):
                transaction.script("SELECT 1 / 0")

    with pytest.raises(StoreError, match="failed before: ROLLBACK"):
        careless()
    assert store.info().schema_version > 0
