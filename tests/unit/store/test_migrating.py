"""A store of an older schema version, with sessions in it, comes to today's schema and goes on."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseOwner
from lash_host.errors import SchemaTooNew, StoreUnwritable
from lash_host.store import open_store
from lash_host.store.migrations import MIGRATIONS
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession
from lash_host.usage.views import builtin_views

Program = Callable[..., "subprocess.Popen[str]"]
Told = Callable[[SessionStore, Iterable[str]], dict[str, Any]]
Ledger = list[list[Any]]
GoOn = Callable[[SessionStore, str, str], Ledger]
Spent = Callable[[SessionStore, str], Ledger]

NOW = len(MIGRATIONS)
VERSIONS = range(1, NOW)
FIXTURES = Path(__file__).parents[2] / "fixtures"
REMOVED = {1: (2, 2), 2: (4, 2)}
"""By version: nodes that a vacuum removes, and blobs that nothing refers to."""

MIGRATE_AND_DIE = """
import os, signal, sys
from lash_host.store import open_store
from lash_host.store.points import watch

left = int(sys.argv[3])

def die(point):
    global left
    left -= point == sys.argv[2]
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

watch(die)
open_store(sys.argv[1])
print("still alive")
"""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def old(version: int, request: pytest.FixtureRequest, path: Path) -> Path:
    write: Callable[[Path], Path] = request.getfixturevalue(f"store_v{version}")
    return write(path)


@dataclass(frozen=True)
class Past:
    """What an old store answered about its sessions, and when: ten seconds after it was made."""

    loaded: dict[str, Any]
    clock: ManualClock
    told: Told

    @property
    def sessions(self) -> dict[str, dict[str, Any]]:
        return {name: one["session"] for name, one in self.loaded.items() if one["session"] is not None}

    def is_kept_by(self, store: SessionStore) -> bool:
        assert self.told(store, self.loaded) == self.loaded
        assert store.check().problems == ()
        return store.info().schema_version == NOW


@pytest.fixture
def past(old: Path, version: int, told: Told) -> Past:
    loaded = json.loads((FIXTURES / f"store_v{version}" / "loaded.json").read_text("utf-8"))["all"]
    created_at_us = rows_of(old, {"meta": "value"}, where="key = 'created_at_us'")["meta"][0][0]
    return Past(loaded=loaded, clock=ManualClock(int(created_at_us) + 10_000_000), told=told)


def the_backup(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}.v{version}-backup")


def version_of(path: Path) -> int:
    return int(rows_of(path, {"meta": "value"}, where="key = 'schema_version'")["meta"][0][0])


def columns_of(path: Path) -> dict[str, str]:
    """Give the columns of each table that holds rows of sessions."""
    with duckdb.connect(path, read_only=True) as connection:
        found = connection.execute(
            "SELECT table_name, string_agg(column_name, ', ' ORDER BY column_index) FROM duckdb_columns()"
            " WHERE schema_name = 'lash_tables' AND table_name NOT IN ('meta', 'commit_log') GROUP BY table_name"
        ).fetchall()
    return dict(found)


def rows_of(
    path: Path, columns: dict[str, str], *, where: str = "true", schema: str = "lash_tables"
) -> dict[str, list[tuple[Any, ...]]]:
    """Give the rows of tables, in a schema or, where it does not have them, in `lash_tables`."""
    with duckdb.connect(path, read_only=True) as connection:
        known = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", [schema])
        names = {name for (name,) in known.fetchall()}
        return {
            name: connection.execute(
                f"SELECT {wanted} FROM {schema if name in names else 'lash_tables'}.{name} WHERE {where} ORDER BY ALL"
            ).fetchall()
            for name, wanted in columns.items()
        }


def answers_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Give what the views of schema `usage` answer, whoever made them."""
    with duckdb.connect(path, read_only=True) as connection:
        views = connection.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'usage'").fetchall()
        return {
            name: [rounded(row) for row in connection.execute(f"SELECT * FROM usage.{name} ORDER BY ALL").fetchall()]
            for (name,) in views
        }


def rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(round(value, 6) if isinstance(value, float) else value for value in row)


def test_every_session_is_as_it_was(old: Path, past: Past) -> None:
    for _ in range(2):
        store = open_store(old, clock=past.clock)
        assert store.info().created_at_us == past.clock.now_us() - 10_000_000
        found = {info.session_id: (info.head_revision, info.turns) for info in store.list_sessions()}
        assert found == {name: (one["head_revision"], one["turns"]) for name, one in past.sessions.items()}
        assert past.is_kept_by(store)
        store.close()
    assert {"talk", "pictures", "replaced", "child", "leased"} <= past.loaded.keys()


def test_no_row_is_lost(old: Path) -> None:
    columns = columns_of(old)
    before = rows_of(old, columns, schema="lash_rows")
    open_store(old).close()
    assert rows_of(old, columns, schema="lash_rows") == before
    assert rows_of(old, columns) == before
    assert before["tool_calls"]


def test_sessions_know_the_greatest_key_they_gave(old: Path, version: int) -> None:
    open_store(old).close()
    with duckdb.connect(old, read_only=True) as connection:
        found = connection.execute(
            "SELECT session_id, last_key, (SELECT max(k) FROM ("
            " SELECT node_key AS k, session_key FROM lash_tables.nodes UNION ALL"
            " SELECT call_key, session_key FROM lash_tables.model_calls UNION ALL"
            " SELECT call_key, session_key FROM lash_tables.tool_calls UNION ALL"
            " SELECT enqueue_seq, session_key FROM lash_tables.turn_inputs UNION ALL"
            " SELECT enqueue_seq, session_key FROM lash_tables.queued_work) AS r"
            " WHERE r.session_key = s.session_key), session_key FROM lash_tables.sessions AS s"
        ).fetchall()
    for session_id, last_key, greatest, session_key in found:
        assert last_key >= (greatest or session_key), session_id
        assert last_key == (greatest or session_key) or version > 1, session_id


def test_fencing_tokens_go_on_growing(old: Path) -> None:
    before = rows_of(old, {"sessions": "session_id, fencing_token"}, schema="lash_rows")["sessions"]
    store = open_store(old)
    for session_id, token in before:
        lease = store.claim_lease(session_id, LeaseOwner(owner_id="o", incarnation_id="o"), ttl_ms=1_000).lease
        assert lease.fence.fencing_token > token
    store.close()


def test_sessions_go_on_and_their_commits_are_recorded(old: Path) -> None:
    store = open_store(old)
    commits = store.check().commits
    session = SampleSession(store, "replaced")
    store.commit(session.turn("t3", "g", after="f"))
    SampleSession(store, "child").commit("c", after="a")
    assert session.node_ids() == ["c", "d", "e", "f", "g"]
    report = store.check()
    assert (report.commits, report.problems) == (commits + 2, ())
    store.close()


def test_sessions_go_on_spending(old: Path, past: Past, go_on: GoOn, spent: Spent) -> None:
    """What a session spent before counts, wherever it was noted, and so does what it spends from now on."""
    for time in (1, 2):
        store = open_store(old)
        for session_id, session in past.sessions.items():
            for turn_id in (f"{time}.1", f"{time}.2"):
                ledger = go_on(store, session_id, turn_id)
                assert ledger == spent(store, session_id)
            entries = {(source, model): counts for source, model, *counts in ledger}
            before = {(source, model): counts for source, model, *counts in session["ledger"]}
            assert list(entries)[: len(before)] == list(before)
            for key, counts in before.items():
                added = [20 * time, 2 * time, 0, 0, 0] if key == ("turn", "large") else [0] * 5
                assert entries[key] == [a + b for a, b in zip(counts, added, strict=True)]
        assert store.check().problems == ()
        store.close()


def test_upkeep_works_on_what_was_there(old: Path, version: int) -> None:
    store = open_store(old)
    assert (store.vacuum().removed_nodes, store.collect_garbage().deleted) == REMOVED[version]
    assert store.check().problems == ()
    store.close()


def test_the_views_answer_as_before_and_are_made_anew(old: Path) -> None:
    before = answers_of(old)
    store = open_store(old)
    store.close()
    assert answers_of(old) == before
    store = open_store(old)
    store.install_views(builtin_views())
    store.close()
    assert answers_of(old) == before
    assert before["sessions"]


def test_a_backup_is_made_first_and_opens(
    old: Path, version: int, past: Past, caplog: pytest.LogCaptureFixture
) -> None:
    columns = columns_of(old) | ({"commit_log": "*"} if version > 1 else {})
    rows = rows_of(old, columns)
    with caplog.at_level(logging.INFO, "lash_host.store.migrations"):
        open_store(old).close()
    backup = the_backup(old, version)
    assert f"went from version {version} to {NOW}; what it was before is in {backup}" in caplog.text
    assert (version_of(old), version_of(backup)) == (NOW, version)
    assert rows_of(backup, columns) == rows
    shutil.move(backup, old)
    store = open_store(old, clock=past.clock)
    assert past.is_kept_by(store)
    store.close()


def test_opening_again_makes_no_further_backup(old: Path, version: int) -> None:
    open_store(old).close()
    open_store(old).close()
    assert sorted(old.parent.glob("*backup*")) == [the_backup(old, version)]


def test_a_backup_that_is_there_is_not_overwritten(old: Path, version: int) -> None:
    backup = the_backup(old, version)
    backup.write_text("mine")
    open_store(old).close()
    assert backup.read_text() == "mine"
    assert version_of(Path(f"{backup}-2")) == version


def test_without_a_place_for_the_backup_nothing_is_changed(
    old: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    rows = rows_of(old, columns_of(old))
    monkeypatch.setattr("lash_host.store.dialects.duckdb.write_backup", full)
    with pytest.raises(StoreUnwritable, match="No space left"):
        open_store(old)
    assert version_of(old) == version
    assert rows_of(old, columns_of(old)) == rows


@pytest.mark.parametrize(
    ("version", "at"),
    [
        *((version, ("in_backup", 1)) for version in VERSIONS),
        *((version, ("in_migration", step)) for version in VERSIONS for step in range(1, NOW - version + 1)),
    ],
)
def test_a_crash_leaves_a_version_usable(
    old: Path, version: int, past: Past, program: Program, at: tuple[str, int]
) -> None:
    point, time = at
    columns = columns_of(old)
    rows = rows_of(old, columns)
    process = program(MIGRATE_AND_DIE, old, point, time)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (-signal.SIGKILL, "")
    assert version_of(old) == version + time - 1
    assert rows_of(old, columns) == rows
    assert the_backup(old, version).exists() is (point == "in_migration")
    store = open_store(old, clock=past.clock)
    assert past.is_kept_by(store)
    store.close()


def test_a_program_of_an_old_version_refuses_what_was_migrated(
    old: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(old).close()
    monkeypatch.setattr("lash_host.store.migrations.migrate.__kwdefaults__", {"migrations": MIGRATIONS[:version]})
    with pytest.raises(SchemaTooNew, match=str(NOW)):
        open_store(old)
