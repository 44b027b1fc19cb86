"""Stores that cannot be used: one readable line, an exit status, and nothing lost."""

from __future__ import annotations

import resource
import signal
import sqlite3

import duckdb
import pytest


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store.duckdb"


def _is_one_line(outcome, code, status=1):
    assert outcome.status == status, outcome
    assert outcome.out == ""
    assert outcome.err.startswith(f"error [{code}]: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err


def _of_duckdb(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table theirs as select 1 as a")


def _of_sqlite(path):
    connection = sqlite3.connect(path)
    connection.execute("create table theirs (a)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("make", [_of_duckdb, _of_sqlite, lambda path: path.write_text("my diary\n" * 2000)])
@pytest.mark.parametrize("arguments", [["run", "hi"], ["sql", "select 1"], ["store", "info"]])
def test_a_file_of_another_program_is_left_alone(lash, store, make, arguments):
    make(store)
    before = store.read_bytes()

    _is_one_line(lash(*arguments), "foreign_store")

    assert store.read_bytes() == before


def test_a_newer_schema_names_both_versions(lash, store):
    lash("run", "hi", "-s", "a")
    version = lash("store", "info", "--format", "json").json["schema_version"]
    with duckdb.connect(str(store)) as connection:
        ((schema,),) = connection.sql("select schema_name from duckdb_tables() where table_name = 'meta'").fetchall()
        connection.execute(f"update {schema}.meta set value = '999' where key = 'schema_version'")

    outcome = lash("run", "hi")

    _is_one_line(outcome, "schema_too_new")
    assert "999" in outcome.err
    assert str(version) in outcome.err


def test_a_store_that_another_process_holds_names_it(lash, lash_process):
    holder = lash_process("chat", "-m", "offline/echo")
    holder.stdin.write(b"hi\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == b"hi\n"

    outcome = lash("run", "hi")
    holder.communicate(timeout=60)

    _is_one_line(outcome, "store_locked")
    assert str(holder.pid) in outcome.err
    assert lash("run", "hi").status == 0


@pytest.mark.parametrize("place", ["file/store.duckdb", "file"])
def test_a_place_that_cannot_be_written(lash, tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o400)

    outcome = lash("run", "hi", "--store", str(tmp_path / place / "s.duckdb"))

    _is_one_line(outcome, "store_unwritable")


def _small_disk() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_full_disk_loses_nothing(lash, lash_fed):
    lash("run", "hello", "-s", "a")

    outcome = lash_fed("run", "hello", "-s", "a", preexec_fn=_small_disk)

    assert outcome.status == 1
    assert outcome.err.splitlines()[-1].startswith("error [store_unwritable]: ")
    assert "Traceback" not in outcome.err
    assert lash("run", "what did I ask before?", "-s", "a").status == 0
    assert lash("sql", "select turns from usage.sessions", "--format", "json").json == [{"turns": 2}]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://somewhere/x", "store mysql://somewhere/x is not supported"),
        ("://", "not a store URL"),
        ("\udcff.duckdb", "is not UTF-8 text"),
    ],
)
def test_a_store_that_is_none(lash, url, message):
    outcome = lash("run", "hi", "--store", url)

    _is_one_line(outcome, "usage", status=2)
    assert message in outcome.err
