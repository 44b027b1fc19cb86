"""Steps from one schema version to the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.schema import CreateTable

from lash_host.errors import SchemaTooNew, StoreError
from lash_host.store.database import Database, Transaction
from lash_host.store.dialects import dialect_of, parse_store_url
from lash_host.store.migrations import MIGRATIONS, Migration, MigrationReport, migrate, stored_version
from lash_host.store.schema import SCHEMA, commit_log_next, metadata


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    url = parse_store_url(path)
    database = Database(url, dialect_of(url), ownership=None)
    yield database
    database.close()


def _step(number: int, sql: str) -> Migration:
    return Migration(number=number, name=f"step_{number}", apply=lambda transaction: transaction.script(sql))


def _rows(database: Database, sql: str) -> list[tuple[object, ...]]:
    with database.read() as transaction:
        return transaction.rows(text(sql))


def test_an_empty_database_has_version_zero(database: Database) -> None:
    assert stored_version(database, known=1) == 0


def test_todays_schema_is_what_the_steps_make(database: Database) -> None:
    assert migrate(database, now_us=1) == MigrationReport(from_version=0, to_version=len(MIGRATIONS))
    engine = create_engine("duckdb:///:memory:")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        for table in (*metadata.sorted_tables, commit_log_next):
            connection.exec_driver_sql(str(CreateTable(table).compile(engine)))
        columns = (
            "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns()"
            f" WHERE schema_name = '{SCHEMA}' ORDER BY table_name, column_index"
        )
        keys = (
            "SELECT table_name, constraint_type, constraint_column_names FROM duckdb_constraints()"
            f" WHERE schema_name = '{SCHEMA}' ORDER BY ALL"
        )
        for question in (columns, keys):
            assert _rows(database, question) == [tuple(row) for row in connection.exec_driver_sql(question)]
    engine.dispose()


def test_steps_are_numbered_without_gaps() -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_migrating_twice_does_nothing(database: Database) -> None:
    migrate(database, now_us=1)
    migrate(database, now_us=2)
    assert _rows(database, f"SELECT value FROM {SCHEMA}.meta WHERE key = 'created_at_us'") == [("1",)]


def test_a_database_of_an_earlier_version_is_brought_forward(database: Database) -> None:
    earlier = (*MIGRATIONS[:1],)
    migrate(database, now_us=1, migrations=earlier)
    later = (
        *earlier,
        _step(2, f"CREATE TABLE {SCHEMA}.notes (a INTEGER); INSERT INTO {SCHEMA}.notes VALUES (1)"),
        _step(3, f"ALTER TABLE {SCHEMA}.notes ADD COLUMN b INTEGER DEFAULT 7"),
    )
    assert migrate(database, now_us=2, migrations=later).to_version == 3
    assert _rows(database, f"SELECT a, b FROM {SCHEMA}.notes") == [(1, 7)]
    assert stored_version(database, known=3) == 3


def test_a_step_that_fails_leaves_the_version_before_it(database: Database) -> None:
    migrate(database, now_us=1, migrations=MIGRATIONS[:1])
    steps = (
        *MIGRATIONS[:1],
        _step(2, f"CREATE TABLE {SCHEMA}.notes (a INTEGER)"),
        _step(3, f"CREATE TABLE {SCHEMA}.more (a INTEGER); SELECT broken"),
    )
    with pytest.raises(StoreError):
        migrate(database, now_us=2, migrations=steps)
    assert stored_version(database, known=3) == 2
    names = _rows(database, f"SELECT table_name FROM duckdb_tables() WHERE schema_name = '{SCHEMA}'")
    assert ("notes",) in names
    assert ("more",) not in names


def test_a_first_step_that_fails_leaves_the_database_empty(database: Database) -> None:
    def fail(transaction: Transaction) -> None:
        MIGRATIONS[0].apply(transaction)
        transaction.script("SELECT broken")

    with pytest.raises(StoreError):
        migrate(database, now_us=1, migrations=[Migration(number=1, name="broken", apply=fail)])
    assert stored_version(database, known=1) == 0
    assert migrate(database, now_us=1).to_version == len(MIGRATIONS)


def test_a_later_version_is_refused(database: Database) -> None:
    migrate(database, now_us=1, migrations=[*MIGRATIONS[:1], _step(2, "SELECT 1")])
    with pytest.raises(SchemaTooNew) as caught:
        migrate(database, now_us=2, migrations=MIGRATIONS[:1])
    assert (caught.value.found, caught.value.known) == (2, 1)
