"""A store of schema version 1, with sessions in it, comes to today's schema and goes on."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from lash_host.contracts.store import ReadScope, SessionStore
from lash_host.domain.lease import LeaseOwner
from lash_host.errors import SchemaTooNew, StoreUnwritable
from lash_host.store import open_store
from lash_host.store.migrations import MIGRATIONS
from lash_host.testing.conformance import SampleSession
from lash_host.usage.views import builtin_views

Program = Callable[..., "subprocess.Popen[str]"]
Writer = Callable[[Path], Path]

NOW = len(MIGRATIONS)

MIGRATE_AND_DIE = """
import os, signal, sys
from lash_host.store import open_store
from lash_host.store.points import watch

watch(lambda point: os.kill(os.getpid(), signal.SIGKILL) if point == sys.argv[2] else None)
open_store(sys.argv[1])
print("still alive")
"""


@pytest.fixture
def old(store_v1: Writer, path: Path) -> Path:
    return store_v1(path)


def the_backup(path: Path) -> Path:
    return path.with_name(f"{path.name}.v1-backup")


def version_of(path: Path) -> str:
    with duckdb.connect(path, read_only=True) as connection:
        row = connection.execute("SELECT value FROM lash_tables.meta WHERE key = 'schema_version'").fetchone()
    assert row is not None
    return str(row[0])


def rows_of(path: Path, table: str) -> list[tuple[object, ...]]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(f"SELECT * FROM lash_tables.{table} ORDER BY ALL").fetchall()


def test_every_session_is_as_it_was(old: Path) -> None:
    store = open_store(old)
    assert (store.info().schema_version, store.info().created_at_us) == (NOW, 1795358483547483)
    found = {info.session_id: (info.head_revision, info.turns) for info in store.list_sessions()}
    assert found == {"talk": (6, 5), "pictures": (2, 2), "replaced": (3, 2), "child": (1, 1)}
    talk = store.load_session("talk", scope=ReadScope.CURRENT_FRAME)
    assert talk is not None
    assert (talk.checkpoint.turn_index, len(talk.agent_frames), talk.tool_state is not None) == (5, 2, True)
    assert SampleSession(store, "replaced").node_ids() == ["c", "d", "e", "f"]
    assert store.check().problems == ()
    store.close()


def test_no_row_is_lost(old: Path) -> None:
    tables = ("nodes", "turns", "model_calls", "tool_calls", "hook_calls", "plugins_seen", "blobs")
    before = {name: rows_of(old, name) for name in tables}
    open_store(old).close()
    assert {name: rows_of(old, name) for name in tables} == before
    assert before["tool_calls"]


def test_sessions_know_the_greatest_key_they_gave(old: Path) -> None:
    open_store(old).close()
    with duckdb.connect(old, read_only=True) as connection:
        found = connection.execute(
            "SELECT session_id, last_key, chain_hash, replaced_before_key, (SELECT max(k) FROM ("
            " SELECT node_key AS k, session_key FROM lash_tables.nodes UNION ALL"
            " SELECT call_key, session_key FROM lash_tables.model_calls UNION ALL"
            " SELECT call_key, session_key FROM lash_tables.tool_calls) AS r WHERE r.session_key = s.session_key),"
            " session_key FROM lash_tables.sessions AS s ORDER BY session_id"
        ).fetchall()
    assert [row[0] for row in found] == ["child", "leased", "pictures", "replaced", "talk"]
    for _, last_key, chain_hash, replaced_before_key, greatest, session_key in found:
        assert (last_key, chain_hash, replaced_before_key) == (greatest or session_key, None, 0)


def test_sessions_go_on_and_their_commits_are_recorded_from_now_on(old: Path) -> None:
    store = open_store(old)
    session = SampleSession(store, "replaced")
    store.commit(session.turn("t3", "g", after="f"))
    SampleSession(store, "child").commit("b", after="a")
    assert session.node_ids() == ["c", "d", "e", "f", "g"]
    report = store.check()
    assert (report.commits, report.problems) == (2, ())
    store.close()
    assert [row[1] for row in rows_of(old, "commits")] == [4, 2]


def test_fencing_tokens_go_on_growing(old: Path) -> None:
    before = {row[1]: row[20] for row in rows_of(old, "sessions")}
    store = open_store(old)
    for session_id, token in before.items():
        lease = store.claim_lease(session_id, LeaseOwner(owner_id="o", incarnation_id="o"), ttl_ms=1_000).lease
        assert lease.fence.fencing_token > token
    store.close()


def test_upkeep_works_on_what_was_there(old: Path) -> None:
    store = open_store(old)
    assert store.vacuum().removed_nodes == 2
    assert store.collect_garbage().deleted == 2
    assert store.check().problems == ()
    store.close()


def test_the_views_are_made_anew(old: Path) -> None:
    def totals(store: SessionStore) -> list[tuple[object, ...]]:
        with_rows = store.query("SELECT session_id, turns, total_tokens FROM usage.sessions ORDER BY session_id")
        return with_rows.fetchall()

    with duckdb.connect(old, read_only=True) as connection:
        before = connection.execute(
            "SELECT session_id, turns, total_tokens FROM usage.sessions ORDER BY session_id"
        ).fetchall()
    store = open_store(old)
    assert totals(store) == before
    store.install_views(builtin_views())
    assert totals(store) == before
    store.close()


def test_a_backup_is_made_first_and_opens(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes = rows_of(old, "nodes")
    with caplog.at_level(logging.INFO, "lash_host.store.migrations"):
        open_store(old).close()
    backup = the_backup(old)
    assert f"went from version 1 to {NOW}; what it was before is in {backup}" in caplog.text
    assert (version_of(old), version_of(backup)) == (str(NOW), "1")
    assert rows_of(backup, "nodes") == nodes
    shutil.move(backup, old)
    store = open_store(old)
    assert SampleSession(store, "replaced").node_ids() == ["c", "d", "e", "f"]
    store.close()


def test_opening_again_makes_no_further_backup(old: Path) -> None:
    open_store(old).close()
    open_store(old).close()
    assert sorted(old.parent.glob("*backup*")) == [the_backup(old)]


def test_a_backup_that_is_there_is_not_overwritten(old: Path) -> None:
    the_backup(old).write_text("mine")
    open_store(old).close()
    assert the_backup(old).read_text() == "mine"
    assert version_of(Path(f"{the_backup(old)}-2")) == "1"


def test_without_a_place_for_the_backup_nothing_is_changed(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lash_host.store.dialects.duckdb.write_backup", full)
    with pytest.raises(StoreUnwritable, match="No space left"):
        open_store(old)
    assert version_of(old) == "1"


@pytest.mark.parametrize("point", ["in_backup", "in_migration"])
def test_a_crash_leaves_version_1_usable(old: Path, program: Program, point: str) -> None:
    nodes = rows_of(old, "nodes")
    process = program(MIGRATE_AND_DIE, old, point)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (-signal.SIGKILL, "")
    assert version_of(old) == "1"
    assert rows_of(old, "nodes") == nodes
    assert the_backup(old).exists() is (point == "in_migration")
    store = open_store(old)
    assert store.info().schema_version == NOW
    assert store.check().problems == ()
    store.close()


def test_a_program_of_version_1_refuses_what_was_migrated(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(old).close()
    monkeypatch.setattr("lash_host.store.migrations.migrate.__kwdefaults__", {"migrations": MIGRATIONS[:1]})
    with pytest.raises(SchemaTooNew, match=str(NOW)):
        open_store(old)
