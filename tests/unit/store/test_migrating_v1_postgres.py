"""Rows of schema version 1 on a server come to today's schema and go on."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from lash_host.store import open_store
from lash_host.store.dialects import parse_store_url
from lash_host.store.dialects.postgresql import PostgresDialect
from lash_host.store.migrations import MIGRATIONS, migrate
from lash_host.store.pooled import PooledDatabase
from lash_host.testing.conformance import SampleSession

ROWS = Path(__file__).parents[2] / "fixtures" / "store_v1" / "rows.json"
TABLES = ("nodes", "turns", "model_calls", "tool_calls", "hook_calls", "plugins_seen", "blobs")


def connected(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


@pytest.fixture
def old(empty_postgres_url: str) -> str:
    """Make the tables of version 1, and fill them with the rows of a store of that version."""
    database = PooledDatabase(parse_store_url(empty_postgres_url), PostgresDialect())
    with database.migrating():
        migrate(database, now_us=1, migrations=MIGRATIONS[:1])
    database.close()
    with connected(empty_postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM lash_tables.meta")
        for name, table in json.loads(ROWS.read_text("utf-8")).items():
            rows = [[bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for v in row] for row in table["rows"]]
            columns, marks = ", ".join(table["columns"]), ", ".join(["%s"] * len(table["columns"]))
            cursor.executemany(f"INSERT INTO lash_tables.{name} ({columns}) VALUES ({marks})", rows)
    return empty_postgres_url


def count_rows(url: str) -> dict[str, int]:
    with connected(url) as connection:
        found = {name: connection.execute(f"SELECT count(*) FROM lash_tables.{name}").fetchone() for name in TABLES}
    return {name: row[0] for name, row in found.items() if row is not None}


def test_every_row_is_there_and_sessions_go_on(old: str) -> None:
    before = count_rows(old)
    store = open_store(old)
    assert store.info().schema_version == len(MIGRATIONS)
    assert count_rows(old) == before
    session = SampleSession(store, "replaced")
    assert session.node_ids() == ["c", "d", "e", "f"]
    store.commit(session.turn("t3", "g", after="f"))
    assert session.node_ids() == ["c", "d", "e", "f", "g"]
    report = store.check()
    assert (report.sessions, report.commits, report.problems) == (4, 1, ())
    assert store.vacuum().removed_nodes == 2
    assert store.check().problems == ()
    store.close()


def test_sessions_know_the_greatest_key_they_gave(old: str) -> None:
    open_store(old).close()
    with connected(old) as connection:
        found = connection.execute(
            "SELECT s.session_id, s.last_key,"
            " greatest(s.session_key, max(n.node_key), max(m.call_key), max(t.call_key))"
            " FROM lash_tables.sessions AS s LEFT JOIN lash_tables.nodes AS n USING (session_key)"
            " LEFT JOIN lash_tables.model_calls AS m USING (session_key)"
            " LEFT JOIN lash_tables.tool_calls AS t USING (session_key) GROUP BY s.session_id"
        ).fetchall()
    assert len(found) == 5
    assert all(last_key == greatest for _, last_key, greatest in found)


def test_a_step_that_fails_leaves_version_1_usable(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(point: str) -> None:
        raise RuntimeError(point)

    with monkeypatch.context() as patched:
        patched.setattr("lash_host.store.migrations.reached", fail)
        with pytest.raises(RuntimeError, match="in_migration"):
            open_store(old)
    with connected(old) as connection:
        row = connection.execute("SELECT value FROM lash_tables.meta WHERE key = 'schema_version'").fetchone()
    assert row == ("1",)
    open_store(old).close()
