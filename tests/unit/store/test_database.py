"""Transactions: all or nothing, one writer, and what a database's errors become."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import text

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired
from lash_host.errors import ForeignStore, StoreError, StoreLocked, StoreUnwritable
from lash_host.store import open_store
from lash_host.store.database import Database, Transaction
from lash_host.store.dialects import ConstraintViolated, TransactionConflict, parse_store_url
from lash_host.store.dialects.duckdb import DuckDBDialect
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import TTL_MS

DatabaseOf = Callable[[SessionStore], Database]
FailingLog = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def database(memory: SessionStore, database_of: DatabaseOf) -> Database:
    database = database_of(memory)
    with database.write() as transaction:
        transaction.script("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    return database


def _numbers(database: Database) -> list[int]:
    with database.read() as transaction:
        return [row[0] for row in transaction.rows(text("SELECT a FROM t ORDER BY a"))]


def test_a_transaction_lands_as_a_whole(database: Database) -> None:
    with database.write() as transaction:
        transaction.script("INSERT INTO t VALUES (1)")
        transaction.script("INSERT INTO t VALUES (2)")
    assert _numbers(database) == [1, 2]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StoreError])
def test_a_transaction_that_fails_leaves_no_trace(database: Database, error: type[BaseException]) -> None:
    def fail(transaction: Transaction) -> None:
        transaction.script("INSERT INTO t VALUES (1)")
        raise error("stop")

    with pytest.raises(error), database.write() as transaction:
        fail(transaction)
    assert _numbers(database) == []
    with database.write() as transaction:
        transaction.script("INSERT INTO t VALUES (2)")
    assert _numbers(database) == [2]


def test_a_broken_constraint_is_told_and_the_next_transaction_runs(database: Database) -> None:
    with pytest.raises(ConstraintViolated), database.write() as transaction:
        transaction.script("INSERT INTO t VALUES (1), (1)")
    with database.write() as transaction:
        transaction.script("INSERT INTO t VALUES (1)")
    assert _numbers(database) == [1]


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(StoreError), database.read() as transaction:
        transaction.script("INSERT INTO t VALUES (1)")
    assert _numbers(database) == []


def test_a_read_keeps_its_moment(database: Database) -> None:
    with database.read() as transaction:
        assert transaction.rows(text("SELECT count(*) FROM t")) == [(0,)]
        with database.write() as writing:
            writing.script("INSERT INTO t VALUES (1)")
        assert transaction.rows(text("SELECT count(*) FROM t")) == [(0,)]
    assert _numbers(database) == [1]


def test_writers_take_turns(database: Database) -> None:
    started, release, order = threading.Event(), threading.Event(), []

    def first() -> None:
        with database.write() as transaction:
            transaction.script("INSERT INTO t VALUES (1)")
            started.set()
            release.wait()
            order.append("first")

    def second() -> None:
        started.wait()
        with database.write() as transaction:
            transaction.script("INSERT INTO t VALUES (2)")
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    started.wait()
    release.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "second"]


def test_many_readers_beside_a_writer(database: Database) -> None:
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(30):
                _numbers(database)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(30):
        with database.write() as transaction:
            transaction.script(f"INSERT INTO t VALUES ({number})")
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(_numbers(database)) == 30


def test_a_commit_survives_a_read_that_begins_inside_it(memory: SessionStore, database_of: DatabaseOf) -> None:
    database = database_of(memory)
    with database.write() as transaction:
        transaction.script("CREATE TABLE s AS SELECT 1 AS a")
        memory.list_sessions()
        memory.query("SELECT 1").fetchall()
        transaction.script("INSERT INTO s VALUES (2)")
    assert memory.query("SELECT count(*) FROM s").fetchall() == [(2,)]


def test_closing_while_somebody_reads_ends_the_read(store: SessionStore) -> None:
    started = threading.Event()
    outcome: list[object] = []

    def read() -> None:
        started.set()
        try:
            sql = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range + b.range = 17"
            outcome.append(store.query(sql).fetchall())
        except StoreError as error:
            outcome.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    started.wait()
    store.close()
    thread.join()
    assert isinstance(outcome[0], StoreError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (duckdb.TransactionException("Failed to commit: write-write conflict on key"), TransactionConflict),
        (duckdb.IOException("No space left on device"), StoreUnwritable),
    ],
)
def test_a_commit_that_the_database_refuses_can_be_tried_again(
    memory: SessionStore, failing_log: FailingLog, error: Exception, kind: type[StoreError]
) -> None:
    session = SampleSession(memory, "alpha")
    session.commit("a")
    commit = session.turn("t1", "b", after="a")
    with failing_log(error):
        for _ in range(2):
            with pytest.raises(kind):
                memory.commit(commit)
        assert session.node_ids() == ["a"]
    assert memory.commit(commit).head_revision == 2  # the lease is still held, the head where it was
    assert session.node_ids() == ["a", "b"]


def test_a_commit_that_landed_although_it_failed_is_found(
    path: Path, store: SessionStore, failing_log: FailingLog
) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")
    commit = session.turn("t1", "b", after="a")
    with failing_log(duckdb.IOException("the answer got lost"), lands=True), pytest.raises(StoreError):
        store.commit(commit)
    assert session.node_ids() == ["a", "b"]
    assert store.commit(commit).head_revision == 2
    assert store.query("SELECT turn_id FROM lash_rows.turns").fetchall() == [("t1",)]
    session.commit("c", after="b")
    store.close()
    again = open_store(path)
    assert SampleSession(again, "alpha").node_ids() == ["a", "b", "c"]
    assert again.query("SELECT turn_id FROM lash_tables.turns").fetchall() == [("t1",)]
    again.close()


def test_a_lease_costs_the_database_nothing(
    memory: SessionStore, database_of: DatabaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SampleSession(memory, "alpha")
    session.commit("a")

    def fail(*_: object) -> None:
        raise AssertionError("no statement is needed")

    monkeypatch.setattr(type(database_of(memory)._writer), "rows", fail)
    for _ in range(20):
        claimed = memory.claim_lease("alpha", session.owner, ttl_ms=TTL_MS)
        assert isinstance(claimed, LeaseAcquired)
        memory.renew_lease(claimed.lease.fence, ttl_ms=TTL_MS)
        memory.release_lease(claimed.lease.fence)
    monkeypatch.undo()


def test_many_sessions_are_not_all_remembered(memory: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lash_host.store.logged.memory._MOST_SESSIONS", 4)
    for number in range(12):
        SampleSession(memory, f"s{number}").commit("a")
    for number in range(12):
        session = SampleSession(memory, f"s{number}")
        assert session.commit("b", after="a", expected_head_revision=1).head_revision == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (duckdb.IOException('Could not write file "x.wal": No space left on device'), StoreUnwritable),
        (duckdb.IOException('Cannot open file "x": Permission denied'), StoreUnwritable),
        (duckdb.IOException('Cannot open file "x": Read-only file system'), StoreUnwritable),
        (duckdb.TransactionException("Failed to commit: Could not write file: Disk quota exceeded"), StoreUnwritable),
        (duckdb.TransactionException("Conflict on update!"), TransactionConflict),
        (
            duckdb.TransactionException('Failed to commit: PRIMARY KEY constraint violation: duplicate key "1"'),
            ConstraintViolated,
        ),
        (duckdb.ConstraintException("Constraint Error: duplicate key"), ConstraintViolated),
        (duckdb.IOException("Could not set lock on file: Conflicting lock is held in python (PID 7)"), StoreLocked),
        (duckdb.IOException('The file "x" exists, but it is not a valid DuckDB database file!'), ForeignStore),
        (duckdb.IOException("Trying to read a database file with version number 99"), ForeignStore),
        (duckdb.InternalException("something else"), StoreError),
    ],
)
def test_an_error_of_the_database_becomes_one_of_ours(error: Exception, kind: type[StoreError], path: Path) -> None:
    translated = DuckDBDialect().translate(error, url=parse_store_url(path))
    assert type(translated) is kind


def test_columns_that_hold_nothing_can_be_inserted_together(database: Database) -> None:
    from lash_host.store.schema import plugins_seen

    rows = [(1, "a", "1", 5, None), (2, "b", "2", 6, None)]
    with database.write() as transaction:
        transaction.insert(plugins_seen, rows)
        transaction.insert(plugins_seen, [])
    with database.read() as transaction:
        assert transaction.rows(text("SELECT * FROM lash_tables.plugins_seen ORDER BY session_key")) == rows
