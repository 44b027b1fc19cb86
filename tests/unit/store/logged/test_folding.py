"""Folding: beside commits, once, and never of more than it has seen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.errors import StoreError
from lash_host.store import open_store
from lash_host.store.dialects.duckdb import DuckDBDriver
from lash_host.store.logged.engine import SharedLog
from lash_host.store.points import watch
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.drafts import wake_draft

AtPoint = Callable[[str, Callable[[], None]], None]
Entries = Callable[[SessionStore], int]
Fold = Callable[[SessionStore], None]
LogOf = Callable[[SessionStore], SharedLog]
RowsIn = Callable[..., dict[str, Any]]


@pytest.fixture
def session(store: SessionStore) -> SampleSession:
    return SampleSession(store, "alpha")


def _turn_ids(store: SessionStore, schema: str = "lash_tables") -> list[str]:
    return [row[0] for row in store.query(f"SELECT turn_id FROM {schema}.turns ORDER BY turn_id").fetchall()]


def test_a_fold_moves_what_was_committed_and_only_once(
    store: SessionStore, session: SampleSession, fold: Fold, rows_in: RowsIn, entries_in: Entries
) -> None:
    store.commit(session.turn("t1", "a"))
    session.wake()
    before = rows_in(store)
    assert entries_in(store) > 0
    assert rows_in(store, "lash_tables")["turns"] == []
    for _ in range(2):
        fold(store)
        assert rows_in(store) == rows_in(store, "lash_tables") == before
        assert entries_in(store) == 0


def test_what_is_written_during_a_fold_is_for_the_next(
    store: SessionStore, session: SampleSession, fold: Fold, entries_in: Entries, at_point: AtPoint
) -> None:
    store.commit(session.turn("t1", "a"))
    commit = session.turn("t2", "b", after="a")
    at_point("in_fold", lambda: store.commit(commit))
    fold(store)
    assert _turn_ids(store) == ["t1"]
    assert _turn_ids(store, "lash_rows") == ["t1", "t2"]
    assert entries_in(store) == 1
    assert session.node_ids() == ["a", "b"]
    fold(store)
    assert _turn_ids(store) == ["t1", "t2"]


def test_commits_go_on_while_another_thread_folds(
    store: SessionStore, session: SampleSession, fold: Fold, at_point: AtPoint
) -> None:
    in_fold, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        in_fold.set()
        assert go_on.wait(60)

    session.commit("a")
    at_point("in_fold", hold)
    folding = threading.Thread(target=fold, args=(store,))
    folding.start()
    assert in_fold.wait(60)
    for number in range(5):
        store.commit(session.turn(f"t{number}", f"b{number}", after=f"b{number - 1}" if number else "a"))
    store.enqueue_queued_work(wake_draft("alpha", 1))
    assert len(session.queued()) == 1
    go_on.set()
    folding.join()
    fold(store)
    assert session.node_ids() == ["a", *(f"b{number}" for number in range(5))]
    assert len(_turn_ids(store)) == 5


def test_a_fold_that_fails_leaves_everything_for_the_next(
    store: SessionStore, session: SampleSession, fold: Fold, rows_in: RowsIn, at_point: AtPoint
) -> None:
    def fail() -> None:
        raise duckdb.IOException("No space left on device")

    store.commit(session.turn("t1", "a"))
    before = rows_in(store)
    at_point("in_fold", fail)
    assert not store._engine.fold()
    assert _turn_ids(store) == []
    assert rows_in(store) == before
    assert session.node_ids() == ["a"]
    fold(store)
    assert rows_in(store, "lash_tables") == before


def test_a_fold_that_landed_although_it_failed_is_not_done_again(
    store: SessionStore, session: SampleSession, fold: Fold, rows_in: RowsIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit(session.turn("t1", "a"))
    before = rows_in(store)
    commit = DuckDBDriver.commit

    def land_and_fail(self: DuckDBDriver) -> None:
        commit(self)
        raise duckdb.IOException("the answer got lost")

    with monkeypatch.context() as patch:
        patch.setattr(DuckDBDriver, "commit", land_and_fail)
        with pytest.raises(StoreError):
            store._engine.fold()
    store.commit(session.turn("t2", "b", after="a"))
    fold(store)
    assert _turn_ids(store) == ["t1", "t2"]
    assert set(before["nodes"]) < set(rows_in(store, "lash_tables")["nodes"])


def test_what_a_crash_left_in_the_log_is_folded_at_open(
    path: Path, store: SessionStore, session: SampleSession, crash_copy: Callable[[Path], Path], rows_in: RowsIn
) -> None:
    store.commit(session.turn("t1", "a", "b"))
    session.say()
    session.claim_inputs()
    committed = rows_in(store)
    again = open_store(crash_copy(path))
    assert again.query("SELECT count(*) FROM lash_rows.commit_log").fetchall() == [(0,)]
    assert rows_in(again, "lash_tables") == committed
    assert SampleSession(again, "alpha").commit("c", after="b").head_revision == 2
    again.close()


def test_a_store_whose_log_cannot_be_folded_at_open_can_be_read(
    path: Path,
    store: SessionStore,
    crash_copy: Callable[[Path], Path],
    at_point: AtPoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise duckdb.IOException("No space left on device")

    SampleSession(store, "alpha").commit("a", "b")
    at_point("in_fold", fail)
    with caplog.at_level(logging.WARNING):
        again = open_store(crash_copy(path))
    assert "could not be folded" in caplog.text
    assert SampleSession(again, "alpha").node_ids() == ["a", "b"]
    again.close()


def test_keys_of_entries_grow_over_a_crash_though_the_clock_turned_back(
    path: Path, store: SessionStore, session: SampleSession, crash_copy: Callable[[Path], Path], clock: Any
) -> None:
    session.commit("a")
    copied = crash_copy(path)
    clock.set(clock.now_us() - 3_600_000_000)
    again = open_store(copied, clock=clock)
    SampleSession(again, "alpha").commit("b", after="a")
    assert SampleSession(again, "alpha").node_ids() == ["a", "b"]
    assert again.check().problems == ()
    again.close()


def _await_fold(store: SessionStore, session: SampleSession) -> None:
    """Commit a turn, and wait until it is folded."""
    told = threading.Event()
    watch(lambda reached: told.set() if reached == "after_fold" else None)
    store.commit(session.turn("t1", "a"))
    while _turn_ids(store) == []:
        assert told.wait(60)
        told.clear()


@pytest.mark.usefixtures("at_point")
def test_an_idle_moment_folds(store: SessionStore, session: SampleSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lash_host.store.logged.folding._IDLE_S", 0.001)
    _await_fold(store, session)
    assert _turn_ids(store) == ["t1"]


@pytest.mark.usefixtures("at_point")
def test_many_entries_are_folded_without_an_idle_moment(
    store: SessionStore, session: SampleSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lash_host.store.logged.folding._ENTRIES", 2)
    _await_fold(store, session)  # its claim and its commit are two
    assert session.node_ids() == ["a"]


def test_the_two_logs_take_turns(
    path: Path, session: SampleSession, store: SessionStore, monkeypatch: pytest.MonkeyPatch, at_point: AtPoint
) -> None:
    monkeypatch.setattr("lash_host.store.logged.folding._ENTRIES", 2)
    in_logs = "SELECT (SELECT count(*) FROM lash_tables.commit_log), (SELECT count(*) FROM lash_tables.commit_log_next)"
    counted, folding, may_go_on = [], threading.Event(), threading.Event()

    def wait() -> None:
        folding.set()
        assert may_go_on.wait(60)

    at_point("in_fold", wait)
    first = session.turn("t1", "a")
    store.commit(first)  # with the claim before it, the first log is long enough
    assert folding.wait(60)
    for number, key in enumerate("bcd", start=2):
        store.commit(session.turn(f"t{number}", key, after=chr(ord(key) - 1)))
        counted += store.query(in_logs).fetchall()
    assert counted == [(2, 1), (2, 2), (2, 3)]
    assert [row[0] for row in store.query("SELECT turn_id FROM lash_rows.turns ORDER BY 1").fetchall()] == [
        "t1", "t2", "t3", "t4",
    ]  # fmt: skip
    may_go_on.set()
    assert session.node_ids() == ["a", "b", "c", "d"]
    assert store.query(in_logs).fetchall() == [(0, 0)]
    assert store.check().problems == ()


def test_a_fold_that_fails_in_the_background_is_tried_again(
    store: SessionStore,
    session: SampleSession,
    monkeypatch: pytest.MonkeyPatch,
    at_point: AtPoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("lash_host.store.logged.folding._IDLE_S", 0.001)
    monkeypatch.setattr("lash_host.store.logged.folding._RETRY_S", 0.001)
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise duckdb.IOException("No space left on device")

    at_point("in_fold", fail)
    commit = session.turn("t1", "a")
    assert failed.wait(60)
    store.commit(commit)
    _await_fold(store, SampleSession(store, "beta"))
    assert "could not be folded" in caplog.text
    assert _turn_ids(store)[-1:] == ["t1"]


def test_the_thread_that_folds_ends_with_the_store(path: Path, log_of: LogOf) -> None:
    store = open_store(path)
    other = open_store(path)
    assert log_of(store)._folder._thread is None
    SampleSession(store, "alpha").commit("a")
    thread = log_of(store)._folder._thread
    assert thread is not None
    store.close()
    assert thread.is_alive()
    other.close()
    assert not thread.is_alive()
