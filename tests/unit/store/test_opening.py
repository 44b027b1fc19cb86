"""Opening and closing a store's file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from lash_host.contracts.store import SessionStore, UsageView
from lash_host.errors import StoreError, StoreLocked, UsageFault
from lash_host.store import open_store
from lash_host.store.migrations import MIGRATIONS
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession


def test_the_folder_is_made(tmp_path: Path) -> None:
    open_store(tmp_path / "a" / "b" / "s.duckdb").close()
    assert (tmp_path / "a" / "b" / "s.duckdb").is_file()


def test_nothing_is_made_where_nothing_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no store at"):
        open_store(tmp_path / "a" / "s.duckdb", create=False)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_opened_without_creating(path: Path) -> None:
    open_store(path).close()
    store = open_store(path, create=False)
    assert store.info().sessions == 0
    store.close()


def test_an_empty_database_becomes_a_store(path: Path) -> None:
    duckdb.connect(path).close()
    store = open_store(path)
    assert store.info().schema_version == len(MIGRATIONS)
    store.close()


def test_two_handles_of_a_process_share_the_file(path: Path, store: SessionStore) -> None:
    other = open_store(str(path))
    SampleSession(store, "alpha").commit("a")
    assert SampleSession(other, "alpha").node_ids() == ["a"]
    other.close()
    assert SampleSession(store, "alpha").commit("b", after="a").head_revision == 2


def test_the_last_handle_closes_the_file(path: Path) -> None:
    first, second = open_store(path), open_store(path)
    first.close()
    first.close()
    assert path.with_name("store.duckdb.owner").exists()
    second.close()
    assert not path.with_name("store.duckdb.owner").exists()


def test_a_closed_handle_says_so(path: Path, store: SessionStore) -> None:
    other = open_store(path)
    other.close()
    with pytest.raises(StoreError, match="was closed"):
        other.session_info("alpha")
    assert store.session_info("alpha") is None


def test_two_stores_in_memory_are_two(memory: SessionStore) -> None:
    other = open_store(":memory:")
    SampleSession(memory, "alpha").commit("a")
    assert other.list_sessions() == []
    other.close()


def test_the_write_ahead_log_is_folded_in_at_the_end(path: Path) -> None:
    store = open_store(path)
    SampleSession(store, "alpha").commit("a")
    store.close()
    assert not path.with_name("store.duckdb.wal").exists()


def test_the_file_is_written_for_duckdb_1_5(path: Path) -> None:
    open_store(path).close()
    with duckdb.connect(path, read_only=True) as connection:
        tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()
    assert tags == [({"storage_version": "v1.5.0+"},)]


@pytest.mark.parametrize("name", ["lash.duckdb", "main.db", "temp.db", "select.db", "a b.db", "naïve.db"])
def test_views_are_there_for_plain_duckdb_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    store = open_store(tmp_path / name)
    view = UsageView(name="ids", sql="SELECT session_id FROM lash_rows.sessions", description="Ids.")
    store.install_views([view])
    SampleSession(store, "alpha").commit("a")
    assert store.query("SELECT session_id FROM usage.ids").fetchall() == [("alpha",)]
    store.close()
    with duckdb.connect(tmp_path / name, read_only=True) as connection:
        assert connection.execute("SELECT * FROM usage.ids").fetchall() == [("alpha",)]


def test_a_file_that_this_process_opened_with_duckdb_is_held(path: Path) -> None:
    with duckdb.connect(path):
        with pytest.raises(StoreLocked, match="this process"):
            open_store(path)
    open_store(path).close()


def test_keys_go_on_where_they_were_though_the_clock_turned_back(path: Path, clock: ManualClock) -> None:
    store = open_store(path, clock=clock)
    SampleSession(store, "alpha").commit("a", "b")
    store.close()
    clock.set(clock.now_us() - 3_600_000_000)
    store = open_store(path, clock=clock)
    SampleSession(store, "alpha").commit("c", after="b")
    assert SampleSession(store, "alpha").node_ids() == ["a", "b", "c"]
    store.close()


def test_a_store_tells_what_it_is(path: Path, store: SessionStore, clock: ManualClock) -> None:
    info = store.info()
    assert (info.url, info.dialect, info.durability) == (f"duckdb:///{path.resolve()}", "duckdb", "durable")
    assert info.created_at_us == clock.now_us()
    assert info.size_bytes is not None
    assert info.size_bytes > 0


def test_a_store_in_memory_has_no_size(memory: SessionStore) -> None:
    assert memory.info().size_bytes is None
