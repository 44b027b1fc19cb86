"""What is remembered of a session's ids is what is stored, and it is bounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.graph import ReplaceGraph
from lash_host.errors import InvalidCommit, StoreUnwritable, TurnCommitConflict
from lash_host.store import open_store
from lash_host.store.database import Database
from lash_host.store.dialects.duckdb import DuckDBDriver
from lash_host.testing.conformance import SampleSession, message_nodes


@pytest.fixture
def session(memory: SessionStore) -> SampleSession:
    return SampleSession(memory, "alpha")


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the SQL that is run."""
    run: list[str] = []
    original = DuckDBDriver.rows

    def record(self: DuckDBDriver, sql: str, params: object = ()) -> list[tuple[object, ...]]:
        run.append(sql)
        return original(self, sql, params)

    monkeypatch.setattr(DuckDBDriver, "rows", record)
    return run


def test_a_turn_of_a_session_that_is_known_asks_for_nothing(
    memory: SessionStore, session: SampleSession, statements: list[str]
) -> None:
    memory.commit(session.turn("t1", "a"))
    commit = session.turn("t2", "b", "c", after="a")
    statements.clear()
    memory.commit(commit)
    assert [sql.split()[0] for sql in statements] == ["INSERT", "INSERT", "UPDATE"]


def test_a_session_of_an_earlier_process_is_asked_for_single_ids_first(
    store: SessionStore, path: Path, statements: list[str]
) -> None:
    store.commit(SampleSession(store, "alpha").turn("t1", "a"))
    store.close()
    again = open_store(path)
    session = SampleSession(again, "alpha")
    kinds = []
    for number in range(3):
        commit = session.turn(f"u{number}", f"b{number}", after=f"b{number - 1}" if number else "a")
        statements.clear()
        again.commit(commit)
        kinds.append([" IN (" in sql for sql in statements if sql.startswith("SELECT")])
    again.close()
    assert kinds == [[True], [False], []]


@pytest.mark.parametrize("most_ids", [1_000, 0], ids=["remembered", "not remembered"])
def test_ids_are_checked_whether_they_are_remembered_or_not(
    memory: SessionStore, session: SampleSession, monkeypatch: pytest.MonkeyPatch, most_ids: int
) -> None:
    monkeypatch.setattr("lash_host.store.known_ids._MOST_IDS", most_ids)
    first = session.turn("t1", "a")
    result = memory.commit(first)
    session.commit("b", after="a")
    session.commit("c", after="b")
    for ids, after in ((("a",), "c"), (("d",), "nowhere"), (("d", "b"), "c")):
        with pytest.raises(InvalidCommit):
            session.commit(*ids, after=after)
    assert memory.commit(replace(first, fence=None)) == result
    with pytest.raises(TurnCommitConflict):
        memory.commit(replace(session.turn("t1", "e", after="c")))
    assert session.node_ids() == ["a", "b", "c"]


def test_replaced_ids_are_free_again(session: SampleSession) -> None:
    session.commit("a", "b")
    session.commit("c", after="b")
    session.commit(graph=ReplaceGraph(nodes=message_nodes("b"), leaf_node_id="b"))
    session.commit("a", after="b")
    assert session.node_ids() == ["b", "a"]


def test_what_a_failed_commit_would_have_made_is_not_remembered(
    memory: SessionStore,
    session: SampleSession,
    database_of: Callable[[SessionStore], Database],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session.commit("a")
    commit = session.turn("t1", "b", after="a")

    def fail(_: object) -> None:
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(type(database_of(memory)._writer), "commit", fail)
    with pytest.raises(StoreUnwritable):
        memory.commit(commit)
    monkeypatch.undo()
    assert memory.commit(commit).head_revision == 2
    assert session.node_ids() == ["a", "b"]


def test_a_deleted_session_is_forgotten(memory: SessionStore, session: SampleSession) -> None:
    memory.commit(session.turn("t1", "a"))
    memory.delete_session("alpha")
    assert memory.commit(session.turn("t1", "a")).head_revision == 1


def test_only_so_many_ids_are_remembered(memory: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lash_host.store.known_ids._MOST_IDS", 10)
    for number in range(6):
        SampleSession(memory, f"s{number}").commit("a", "b", "c", "d")
    known = memory._shared.ids
    assert list(known._known) == ["s4", "s5"]
    assert known._count == sum(map(len, known._known.values())) == 8
