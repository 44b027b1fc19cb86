"""What a query cannot do in DuckDB."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from lash_host.contracts.store import SessionStore, UsageView
from lash_host.errors import MissingExtra, QueryFailed, QueryRefused, UsageFault
from lash_host.store import open_store
from lash_host.store.database import Database
from lash_host.testing.conformance import SampleSession

a_python_variable = [1, 2, 3]

NOT_QUERIES = [
    "ALTER TABLE lash_tables.nodes ADD COLUMN x INTEGER",
    "TRUNCATE lash_tables.nodes",
    "COPY lash_tables.nodes TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{folder}/out.parquet'",
    "EXPORT DATABASE '{folder}/out'",
    "IMPORT DATABASE '{folder}/out'",
    "ATTACH '{folder}/out.duckdb'",
    "DETACH store",
    "USE usage",
    "SET threads = 1",
    "SET VARIABLE x = 1",
    "RESET threads",
    "PRAGMA threads = 1",
    "CHECKPOINT",
    "VACUUM",
    "CALL checkpoint()",
    "CALL enable_logging()",
    "LOAD json",
    "INSTALL httpfs",
    "CREATE TEMP TABLE t (a INTEGER)",
    "CREATE SEQUENCE s",
    "CREATE MACRO m() AS 1",
    "MERGE INTO lash_tables.nodes USING (SELECT 1) ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "ROLLBACK",
    "SELECT * FROM checkpoint()",
    'SELECT * FROM "checkpoint" ()',
    "SELECT * FROM force_checkpoint()",
    "SELECT * FROM /* */ checkpoint /* */ ()",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM disable_logging()",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT write_log('x')",
    "SELECT nextval('s')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
]

QUERIES_THAT_FAIL = [
    "SELECT * FROM read_csv('{folder}/in.csv')",
    "SELECT * FROM read_text('{folder}/in.csv')",
    "SELECT * FROM read_blob('{folder}/*')",
    "SELECT * FROM read_parquet('{folder}/in.parquet')",
    "SELECT * FROM read_json('{folder}/in.json')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM '{folder}/in.csv'",
    "SELECT * FROM sniff_csv('{folder}/in.csv')",
    "SELECT * FROM read_csv('https://127.0.0.1:9/x.csv')",
    "SELECT * FROM a_python_variable",
    "SELECT getenv('HOME')",
    "SELECT * FROM duckdb_secrets()",
    "EXPLAIN ANALYZE INSERT INTO lash_tables.meta VALUES ('a', 'b')",
    "WITH x AS (UPDATE lash_tables.sessions SET title = 'x' RETURNING 1) FROM x",
]

READ_ONLY = [
    "FROM lash_tables.sessions",
    "TABLE lash_tables.sessions",
    "VALUES (1), (2)",
    "DESCRIBE lash_tables.sessions",
    "SUMMARIZE lash_tables.sessions",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    pytest.param(
        "PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)",
        marks=pytest.mark.skipif(duckdb.__version__ < "2", reason="DuckDB 1.5 makes two statements of it"),
    ),
    "WITH x AS (SELECT 1) SELECT * FROM x;",
    "SELECT 'checkpoint()', 'DROP TABLE lash_tables.nodes; SELECT 1' -- ; CHECKPOINT",
]


@pytest.fixture
def full(store: SessionStore, path: Path) -> SessionStore:
    (path.parent / "in.csv").write_text("a,b\n1,2\n")
    SampleSession(store, "alpha").commit("a")
    return store


def _files(path: Path) -> set[str]:
    return {file.name for file in path.parent.iterdir()}


@pytest.mark.parametrize("sql", NOT_QUERIES)
def test_what_is_not_a_query_is_refused(full: SessionStore, path: Path, sql: str) -> None:
    before = _files(path)
    with pytest.raises((QueryRefused, QueryFailed)):
        full.query(sql.format(folder=path.parent))
    assert _files(path) == before
    assert SampleSession(full, "alpha").node_ids() == ["a"]


@pytest.mark.parametrize("sql", QUERIES_THAT_FAIL)
def test_a_query_reaches_neither_files_nor_the_program_nor_the_tables(full: SessionStore, path: Path, sql: str) -> None:
    a_local_variable = a_python_variable
    assert a_local_variable
    with pytest.raises(QueryFailed) as caught:
        full.query(sql.format(folder=path.parent)).fetchall()
    assert str(caught.value)
    assert full.query("SELECT count(*), count(title) FROM lash_rows.sessions").fetchall() == [(1, 0)]


@pytest.mark.parametrize("sql", READ_ONLY)
def test_what_only_reads_is_run(full: SessionStore, sql: str) -> None:
    result = full.query(sql)
    assert result.columns
    assert isinstance(result.fetchall(), list)


def test_a_refusal_says_why(full: SessionStore) -> None:
    with pytest.raises(QueryRefused, match="one statement at a time, got 2"):
        full.query("SELECT 1; SELECT 2")
    with pytest.raises(QueryRefused, match="got DROP"):
        full.query("DROP TABLE lash_tables.nodes")
    with pytest.raises(QueryRefused, match="function checkpoint"):
        full.query("SELECT * FROM checkpoint()")


def test_settings_stay_what_they_are_after_a_query(full: SessionStore) -> None:
    for sql in ("SET enable_external_access = true", "SELECT * FROM enable_profiling()"):
        with pytest.raises(QueryRefused):
            full.query(sql)
    settings = dict(
        full.query(
            "SELECT name, value FROM duckdb_settings() WHERE name IN"
            " ('enable_external_access', 'python_enable_replacements')"
        ).fetchall()
    )
    assert settings == {
        "enable_external_access": "false",
        "python_enable_replacements": "false",
    }


def test_parameters_go_by_position_or_name(full: SessionStore) -> None:
    assert full.query("SELECT $1 + $2", [1, 2]).fetchall() == [(3,)]
    assert full.query("SELECT ? + ?", (1, 2)).fetchall() == [(3,)]
    assert full.query("SELECT $a + $b", {"a": 1, "b": 2}).fetchall() == [(3,)]
    with pytest.raises(QueryFailed):
        full.query("SELECT $1")


def test_an_alias_may_have_any_name(full: SessionStore) -> None:
    assert full.query("SELECT count(lash.node_id) FROM lash_rows.nodes AS lash").fetchall() == [(1,)]


def test_arrow(full: SessionStore) -> None:
    table = full.query("SELECT range AS a FROM range(5000)").arrow()
    assert (table.num_rows, table.column_names) == (5000, ["a"])


@pytest.mark.parametrize(("way", "package"), [("arrow", "pyarrow"), ("df", "pandas"), ("pl", "polars")])
def test_a_missing_package_is_named(
    full: SessionStore, monkeypatch: pytest.MonkeyPatch, way: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = full.query("SELECT 1")
    with pytest.raises((UsageFault, MissingExtra), match=r"pip install"):
        getattr(result, way)()
    result.close()


def test_queries_run_beside_each_other_and_beside_commits(full: SessionStore) -> None:
    session = SampleSession(full, "alpha")

    def count() -> int:
        return full.query("SELECT count(*) FROM lash_rows.nodes").fetchall()[0][0]

    with ThreadPoolExecutor(max_workers=4) as pool:
        counting = [pool.submit(count) for _ in range(40)]
        for number in range(10):
            session.commit(f"n{number}", after=f"n{number - 1}" if number else "a")
        counts = [counted.result() for counted in counting]
    assert set(counts) <= set(range(1, 12))
    assert count() == 11


def test_an_open_result_does_not_hold_up_closing(full: SessionStore, path: Path) -> None:
    result = full.query("SELECT range FROM range(100000)")
    full.close()
    result.close()
    again = open_store(path)
    assert SampleSession(again, "alpha").node_ids() == ["a"]
    again.close()


def test_unchanged_views_cost_no_ddl(
    full: SessionStore, database_of: Callable[[SessionStore], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [UsageView(name="one", sql="SELECT 1 AS a", description="One.")]
    full.install_views(views)

    def refuse() -> None:
        raise AssertionError("nothing has to be written")

    monkeypatch.setattr(database_of(full), "write", refuse)
    full.install_views(list(views))
    assert full.query("SELECT a FROM usage.one").fetchall() == [(1,)]


def test_views_are_described_and_may_have_any_name(full: SessionStore) -> None:
    full.install_views([UsageView(name='od"d', sql="SELECT 1 AS a;", description="It's odd.")])
    assert full.query('SELECT a FROM usage."od""d"').fetchall() == [(1,)]
    comments = full.query("SELECT comment FROM duckdb_views() WHERE schema_name = 'usage'").fetchall()
    assert comments == [("It's odd.",)]


def test_a_users_own_view_stays(full: SessionStore, path: Path) -> None:
    full.install_views([UsageView(name="one", sql="SELECT 1 AS a", description="One.")])
    full.close()
    with duckdb.connect(path) as connection:
        connection.execute("CREATE VIEW usage.mine AS SELECT 2 AS b")
    again = open_store(path)
    again.install_views([])
    assert again.query("SELECT b FROM usage.mine").fetchall() == [(2,)]
    again.close()
