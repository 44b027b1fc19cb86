"""What is not ours is refused and not touched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from lash_host.errors import ForeignStore, SchemaTooNew
from lash_host.store import open_store
from lash_host.store.migrations import MIGRATIONS


def _contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Give bytes and times of the database and its log; the lock's own files do not count."""
    files = [file for file in folder.iterdir() if file.suffix in {".duckdb", ".wal"}]
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


@pytest.mark.parametrize(
    "content",
    [b"", b"hello world\n" * 500, b"SQLite format 3\x00" + bytes(8_000), bytes(20_000)],
    ids=["empty", "text", "sqlite", "zeros"],
)
def test_a_file_that_is_no_database(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    before = _contents(path.parent)
    with pytest.raises(ForeignStore):
        open_store(path)
    assert _contents(path.parent) == before


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ForeignStore):
        open_store(tmp_path)


@pytest.mark.parametrize(
    "sql",
    ["CREATE TABLE notes (a INTEGER)", "CREATE VIEW notes AS SELECT 1", "CREATE SCHEMA s; CREATE TABLE s.t (a INT)"],
)
def test_a_database_of_another_program(path: Path, sql: str) -> None:
    with duckdb.connect(path) as connection:
        connection.execute(sql)
    before = _contents(path.parent)
    with pytest.raises(ForeignStore, match="another program"):
        open_store(path)
    assert _contents(path.parent) == before


def test_a_database_of_another_program_that_was_not_closed(
    path: Path, program: Callable[..., subprocess.Popen[str]]
) -> None:
    process = program(
        """
        import duckdb, os, sys
        connection = duckdb.connect(sys.argv[1])
        connection.execute("CREATE TABLE notes AS SELECT range AS a FROM range(1000)")
        os._exit(0)
        """,
        path,
    )
    process.wait()
    before = _contents(path.parent)
    assert len(before) == 2
    with pytest.raises(ForeignStore):
        open_store(path)
    assert _contents(path.parent) == before


def test_a_store_of_a_newer_program(path: Path) -> None:
    open_store(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE lash_tables.meta SET value = '99' WHERE key = 'schema_version'")
    before = _contents(path.parent)
    with pytest.raises(SchemaTooNew) as caught:
        open_store(path)
    assert (caught.value.found, caught.value.known) == (99, len(MIGRATIONS))
    assert _contents(path.parent) == before


@pytest.mark.parametrize("sql", ["DELETE FROM lash_tables.meta", "UPDATE lash_tables.meta SET value = 'x'"])
def test_a_store_without_a_version(path: Path, sql: str) -> None:
    open_store(path).close()
    with duckdb.connect(path) as connection:
        connection.execute(sql)
    with pytest.raises(ForeignStore, match="schema version"):
        open_store(path)


def test_what_was_refused_can_be_used_by_its_own_program(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE notes (a INTEGER)")
    with pytest.raises(ForeignStore):
        open_store(path)
    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchall() == [(0,)]


def test_a_store_may_hold_tables_of_its_user(path: Path) -> None:
    open_store(path).close()
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE notes (a INTEGER)")
    store = open_store(path)
    assert store.query("SELECT count(*) FROM notes").fetchall() == [(0,)]
    store.close()
