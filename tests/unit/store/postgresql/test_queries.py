"""What a query can do on PostgreSQL, and what it cannot."""

from __future__ import annotations

import decimal
import gc
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import psycopg
import pyarrow as pa
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.errors import QueryFailed, QueryRefused, UsageFault
from lash_host.store import open_store
from lash_host.store.dialects.postgresql_sql import bind, vet_query
from lash_host.testing.conformance import SampleSession


@pytest.fixture
def store(postgres_url: str) -> Iterator[SessionStore]:
    store = open_store(postgres_url)
    yield store
    store.close()


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE lash_tables.nodes ADD COLUMN x int",
        "TRUNCATE lash_tables.nodes",
        "COPY lash_tables.nodes TO '/tmp/out.csv'",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SET ROLE postgres",
        "RESET ALL",
        "DO $$ BEGIN END $$",
        "CALL something()",
        "LISTEN lash_work",
        "PREPARE p AS SELECT 1",
        "DECLARE c CURSOR FOR SELECT 1",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT \"pg_read_file\" ('/etc/passwd')",
        "SELECT pg_catalog . pg_read_file /* */ ('/etc/passwd')",
        "SELECT PG_LS_DIR('/')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_notify('lash_work', '')",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT nextval('lash_tables.session_numbers')",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT * FROM ts_stat('SELECT 1')",
        "SELECT * FROM dblink('', 'SELECT 1') AS t (a int)",
        "SELECT U&\"\\0070g_read_file\"('/etc/passwd')",
        "EXPLAIN ANALYZE SELECT pg_read_file('/etc/passwd')",
        "SELECT 1; COMMIT; DROP TABLE lash_tables.nodes",
        "SELECT ';' /* ; */ -- ;\n ; SELECT 2",
        "/* nothing /* at */ all */ ;",
    ],
)
def test_what_is_no_query_is_refused(store: SessionStore, sql: str) -> None:
    with pytest.raises(QueryRefused):
        store.query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN ANALYZE DELETE FROM lash_tables.sessions",
        "SELECT * FROM lash_tables.sessions FOR UPDATE",
        "SELECT 1 INTO public.more",
        "WITH gone AS (UPDATE lash_tables.sessions SET turns = 7 RETURNING 1) SELECT * FROM gone",
        "selec 1",
        "SELECT 'no end",
        "SELECT $$ no end",
        "SELECT 1 /* no end",
        "SELECT 1 / 0",
    ],
)
def test_what_the_server_refuses_is_passed_on(store: SessionStore, sql: str) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")
    with pytest.raises(QueryFailed):
        store.query(sql).fetchall()
    assert session.load().head_revision == 1


def test_even_what_is_not_seen_through_cannot_write(store: SessionStore, postgres_url: str) -> None:
    """Were a function overlooked, the transaction still only reads."""
    SampleSession(store, "alpha").commit("a")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION public.innocent() RETURNS int LANGUAGE sql AS"
            " 'DELETE FROM lash_tables.nodes; SELECT 1'"
        )
    with pytest.raises(QueryFailed, match="read-only"):
        store.query("SELECT public.innocent()").fetchall()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP FUNCTION public.innocent()")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'a;b' AS \"c;d\"",
        "SELECT $tag$ ; -- $tag$",
        "SELECT E'it\\'s; ' -- ; ",
        "(SELECT 1) UNION ALL (SELECT 2);",
        "VALUES (1), (2)",
        "TABLE lash_rows.sessions",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "EXPLAIN SELECT 1",
        "SELECT pg_typeof(1)::text",
        "SELECT u & 1 FROM (SELECT 3 AS u) AS bits",
    ],
)
def test_what_reads_is_run(store: SessionStore, sql: str) -> None:
    assert store.query(sql).columns


@pytest.mark.parametrize(
    ("sql", "params", "expected"),
    [
        ("SELECT $1::int + $2", [1, 2], 3),
        ("SELECT ?::int + ?", [1, 2], 3),
        ("SELECT $first::int + $second + $first", {"first": 1, "second": 2}, 4),
        ("SELECT '$first' || '?' || $first", {"first": "x", "unused": 1}, "$first?x"),
        ("SELECT '{\"a\": 1}'::jsonb ? 'a'", None, True),
        ("SELECT '{\"a\": 1}'::jsonb ? $1", ["b"], False),
        ("SELECT make_date($1, $2, $3)", [2026, 1, 31], date(2026, 1, 31)),
        ("SELECT $1::numeric", [2**70], decimal.Decimal(2**70)),
        ("SELECT $1::text IS NULL", [None], True),
    ],
)
def test_parameters(store: SessionStore, sql: str, params: object, expected: object) -> None:
    assert store.query(sql, params).fetchall() == [(expected,)]


def test_a_parameter_without_a_value_is_named() -> None:
    with pytest.raises(QueryFailed, match=r"\$wanted"):
        bind("SELECT $wanted", {"other": 1})


def test_vetting_needs_no_server() -> None:
    vet_query("SELECT 1")
    with pytest.raises(QueryRefused, match="got 2"):
        vet_query("SELECT 1; SELECT 2")


def test_arrow_keeps_types(store: SessionStore) -> None:
    table = store.query(
        "SELECT true AS b, 1::smallint AS s, 2::int AS i, 3::bigint AS l, 1.5::float8 AS d, 'x'::text AS t,"
        " date '2026-01-31' AS day, timestamp '2026-01-31 12:00' AS at, timestamptz '2026-01-31 12:00+01' AS zoned,"
        " 1.25::numeric AS n, 'ab'::bytea AS raw, gen_random_uuid() AS id, ARRAY['p', 'q'] AS list"
    ).arrow()
    assert table.schema.field("zoned").type == pa.timestamp("us", tz="UTC")
    (row,) = table.to_pylist()
    assert uuid.UUID(row.pop("id"))
    assert row == {
        "b": True,
        "s": 1,
        "i": 2,
        "l": 3,
        "d": 1.5,
        "t": "x",
        "day": date(2026, 1, 31),
        "at": datetime(2026, 1, 31, 12),  # noqa: DTZ001
        "zoned": datetime(2026, 1, 31, 11, tzinfo=UTC),
        "n": decimal.Decimal("1.25"),
        "raw": b"ab",
        "list": ["p", "q"],
    }


def test_arrow_of_no_rows_has_columns_and_types(store: SessionStore) -> None:
    table = store.query("SELECT session_id, turns FROM lash_rows.sessions").arrow()
    assert table.num_rows == 0
    assert table.schema == pa.schema({"session_id": pa.string(), "turns": pa.int64()})


def test_rows_come_in_batches(store: SessionStore) -> None:
    result = store.query("SELECT * FROM generate_series(1, 25)")
    assert [len(batch) for batch in result.batches(rows=10)] == [10, 10, 5]


def test_one_that_takes_longer_than_operations_may_is_not_stopped(postgres_url: str) -> None:
    store = open_store(f"{postgres_url}?options=-c%20statement_timeout%3D50ms")
    assert store.query("SELECT pg_sleep(0.2)::text").fetchall() == [("",)]
    store.close()


def test_closing_the_store_stops_what_is_running(postgres_url: str) -> None:
    store = open_store(postgres_url)
    result = store.query("SELECT pg_sleep(n) FROM generate_series(60, 61) AS n")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(result.fetchall)
        store.close()
        with pytest.raises((QueryFailed, UsageFault)):
            reading.result()


def test_rows_that_are_dropped_unread_leave_no_connection(store: SessionStore, postgres_url: str) -> None:
    store.query("SELECT 'dropped'")
    gc.collect()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SELECT pg_sleep(0.1)")
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%dropped%' AND pid <> pg_backend_pid()"
            " AND datname = current_database()"
        ).fetchall()
    assert found == [(0,)]
