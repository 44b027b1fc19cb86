"""Rows of older schema versions on a server come to today's schema and go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from lash_host.contracts.store import SessionStore
from lash_host.store import open_store
from lash_host.store.dialects import parse_store_url
from lash_host.store.dialects.postgresql import PostgresDialect
from lash_host.store.migrations import MIGRATIONS, migrate
from lash_host.store.pooled import PooledDatabase
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession
from lash_host.usage.views import builtin_views

Told = Callable[[SessionStore, Iterable[str]], dict[str, Any]]
Ledger = list[list[Any]]

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOW = len(MIGRATIONS)


def connected(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def asked(url: str, query: str) -> list[tuple[Any, ...]]:
    with connected(url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture(params=range(1, NOW))
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def folder(version: int) -> Path:
    return FIXTURES / f"store_v{version}"


@pytest.fixture
def old(empty_postgres_url: str, version: int, folder: Path) -> str:
    """Make the tables of a version, and fill them with the rows of a store of that version, but for its log's."""
    with connected(empty_postgres_url) as connection, connection.cursor() as cursor:
        if (schema := folder / "postgresql.sql").exists():
            cursor.execute(schema.read_text("utf-8").encode())
        else:
            _make_tables(empty_postgres_url, version)
            cursor.execute("DELETE FROM lash_tables.meta WHERE key = 'created_at_us'")
        for name, table in json.loads((folder / "rows.json").read_text("utf-8")).items():
            rows = [[bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for v in row] for row in table["rows"]]
            if name == "meta":
                rows = [row for row in rows if row[0] == "created_at_us"]
            if name != "commit_log":
                _insert(cursor, name, table["columns"], rows)
        bodies = {path.parent.name + path.name: path.read_bytes() for path in folder.glob("attachments/*/*")}
        if bodies:
            columns = ["attachment_id", "body", "modified_at_us"]
            _insert(cursor, "attachment_bytes", columns, [[*item, 1] for item in bodies.items()])
    return empty_postgres_url


def _make_tables(url: str, version: int) -> None:
    database = PooledDatabase(parse_store_url(url), PostgresDialect())
    with database.migrating():
        migrate(database, now_us=1, migrations=MIGRATIONS[:version])
    database.close()


def _insert(cursor: psycopg.Cursor, name: str, columns: list[str], rows: list[list[Any]]) -> None:
    into = sql.SQL("INSERT INTO lash_tables.{} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        sql.Identifier(name),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.Placeholder() * len(columns)),
    )
    cursor.executemany(into, rows)


@pytest.fixture
def loaded(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "loaded.json").read_text("utf-8"))["without_log"]
    return found


@pytest.fixture
def then(old: str) -> ManualClock:
    """Give the time ten seconds after the store was made."""
    return ManualClock(int(asked(old, "SELECT value FROM lash_tables.meta WHERE key = 'created_at_us'")[0][0]) + 10**7)


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Give the rows of sessions, as far as every version has their columns."""
    tables = asked(
        url,
        "SELECT table_name, string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns"
        " WHERE table_schema = 'lash_tables' AND table_name NOT IN ('meta', 'commit_log', 'commit_log_next')"
        " AND column_name NOT IN ('ledger', 'last_key', 'meta', 'replaced_before_key', 'chain_hash')"
        " GROUP BY table_name",
    )
    return {name: sorted(asked(url, f"SELECT {names} FROM lash_tables.{name}"), key=repr) for name, names in tables}


def test_every_row_is_there_and_every_session_as_it_was(
    old: str, loaded: dict[str, Any], then: ManualClock, told: Told
) -> None:
    before = rows_of(old)
    store = open_store(old, clock=then)
    assert store.info().schema_version == NOW
    assert {name: rows for name, rows in rows_of(old).items() if name in before} == before
    assert told(store, loaded) == loaded
    assert store.check().problems == ()
    store.close()


def test_sessions_go_on(
    old: str,
    loaded: dict[str, Any],
    go_on: Callable[[SessionStore, str, str], Ledger],
    spent: Callable[[SessionStore, str], Ledger],
) -> None:
    store = open_store(old)
    commits = store.check().commits
    session = SampleSession(store, "replaced")
    store.commit(session.turn("t3", "g", after="f"))
    assert session.node_ids() == ["c", "d", "e", "f", "g"]
    sessions = [name for name, one in loaded.items() if one["session"] is not None]
    for session_id in sessions:
        before = [entry[:2] for entry in loaded[session_id]["session"]["ledger"]]
        ledger = go_on(store, session_id, "next")
        assert ledger == spent(store, session_id)
        assert [entry[:2] for entry in ledger][: len(before)] == before
    report = store.check()
    assert (report.sessions, report.commits, report.problems) == (len(sessions), commits + 1 + len(sessions), ())
    assert store.vacuum().removed_nodes == 2
    assert store.check().problems == ()
    store.close()


def test_what_every_session_spent_is_noted(old: str, loaded: dict[str, Any]) -> None:
    open_store(old).close()
    found = asked(old, "SELECT session_id, ledger FROM lash_tables.sessions WHERE head_revision > 0")
    sessions = {name: one["session"] for name, one in loaded.items() if one["session"] is not None}
    assert {name: json.loads(ledger) for name, ledger in found} == {
        name: session["ledger"] for name, session in sessions.items()
    }


@pytest.mark.parametrize("version", range(2, NOW))
def test_the_views_answer_as_before_and_are_made_anew(old: str) -> None:
    views = [name for (name,) in asked(old, "SELECT viewname FROM pg_views WHERE schemaname = 'usage'")]
    before = {name: sorted(asked(old, f"SELECT * FROM usage.{name}"), key=repr) for name in views}
    store = open_store(old)
    for _ in range(2):
        assert {name: sorted(asked(old, f"SELECT * FROM usage.{name}"), key=repr) for name in views} == before
        store.install_views(builtin_views())
    store.close()
    assert before["sessions"]


def test_sessions_know_the_greatest_key_they_gave(old: str, version: int) -> None:
    open_store(old).close()
    found = asked(
        old,
        "SELECT s.session_id, s.last_key,"
        " greatest(s.session_key, max(n.node_key), max(m.call_key), max(t.call_key), max(i.enqueue_seq))"
        " FROM lash_tables.sessions AS s LEFT JOIN lash_tables.nodes AS n USING (session_key)"
        " LEFT JOIN lash_tables.model_calls AS m USING (session_key)"
        " LEFT JOIN lash_tables.turn_inputs AS i USING (session_key)"
        " LEFT JOIN lash_tables.tool_calls AS t USING (session_key) GROUP BY s.session_id",
    )
    assert len(found) >= 5
    for session_id, last_key, greatest in found:
        assert last_key == greatest or (version > 1 and last_key > greatest), session_id


def test_a_step_that_fails_leaves_an_old_version_usable(
    old: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(point: str) -> None:
        raise RuntimeError(point)

    rows = rows_of(old)
    with monkeypatch.context() as patched:
        patched.setattr("lash_host.store.migrations.reached", fail)
        with pytest.raises(RuntimeError, match="in_migration"):
            open_store(old)
    assert asked(old, "SELECT value FROM lash_tables.meta WHERE key = 'schema_version'") == [(str(version),)]
    assert rows_of(old) == rows
    store = open_store(old)
    assert store.info().schema_version == NOW
    store.close()
