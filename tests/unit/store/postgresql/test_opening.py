"""What is in a database that was just opened, and who makes its schema."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from lash_host.errors import ForeignStore, SchemaTooNew, StoreError, StoreUnwritable, UsageFault
from lash_host.store import open_store
from lash_host.store.migrations import MIGRATIONS
from lash_host.testing.conformance import SampleSession
from lash_host.testing.postgres_server import PostgresServer
from lash_host.usage.views import builtin_views


def _execute(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE SCHEMA lash_tables",
        "CREATE SCHEMA usage",
        "CREATE SCHEMA lash_tables; CREATE TABLE lash_tables.meta (id int)",
        "CREATE SCHEMA lash_tables; CREATE TABLE lash_tables.meta (key text, value text)",
    ],
)
def test_another_programs_schema_is_not_touched(empty_postgres_url: str, sql: str) -> None:
    _execute(empty_postgres_url, sql)
    tables = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema !~ '^(pg_|info)'"
    before = _execute(empty_postgres_url, tables)
    with pytest.raises(ForeignStore):
        open_store(empty_postgres_url)
    assert _execute(empty_postgres_url, tables) == before


def test_other_schemas_are_nobodys_business(empty_postgres_url: str) -> None:
    _execute(empty_postgres_url, "CREATE TABLE public.sessions (id int); INSERT INTO public.sessions VALUES (7)")
    store = open_store(empty_postgres_url)
    SampleSession(store, "alpha").commit("a")
    store.close()
    assert _execute(empty_postgres_url, "SELECT id FROM public.sessions") == [(7,)]


def test_a_newer_schema_is_refused(empty_postgres_url: str) -> None:
    open_store(empty_postgres_url).close()
    _execute(empty_postgres_url, "UPDATE lash_tables.meta SET value = '999' WHERE key = 'schema_version'")
    with pytest.raises(SchemaTooNew, match="999"):
        open_store(empty_postgres_url)


def test_nothing_is_made_unless_asked(empty_postgres_url: str) -> None:
    with pytest.raises(UsageFault, match="there is no store at"):
        open_store(empty_postgres_url, create=False)
    assert _execute(empty_postgres_url, "SELECT 1 FROM pg_namespace WHERE nspname = 'lash_tables'") == []
    open_store(empty_postgres_url).close()
    open_store(empty_postgres_url, create=False).close()


def test_a_user_who_may_not_write_is_told(empty_postgres_url: str) -> None:
    reading = f"{empty_postgres_url}?options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(StoreUnwritable, match="read-only"):
        open_store(reading)
    open_store(empty_postgres_url).close()
    store = open_store(reading)
    with pytest.raises(StoreUnwritable):
        SampleSession(store, "alpha").claim()
    assert store.list_sessions() == []
    store.close()


def test_text_must_be_utf8(postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE DATABASE not_utf8 TEMPLATE template0 ENCODING 'SQL_ASCII'")
    url = postgres_server.admin_url.rpartition("/")[0] + "/not_utf8"
    with pytest.raises(ForeignStore, match="SQL_ASCII"):
        open_store(url)
    postgres_server.drop(url)


def test_of_many_first_opens_in_threads_one_makes_the_schema(empty_postgres_url: str) -> None:
    together = Barrier(16)

    def first(number: int) -> int:
        together.wait()
        store = open_store(empty_postgres_url)
        store.install_views(builtin_views())
        SampleSession(store, f"session {number}").commit("a")
        version = store.info().schema_version
        store.close()
        return version

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(first, range(16))) == [len(MIGRATIONS)] * 16
    assert _execute(empty_postgres_url, "SELECT count(*) FROM usage.sessions") == [(16,)]


def test_of_many_first_opens_in_processes_one_makes_the_schema(empty_postgres_url: str) -> None:
    source = textwrap.dedent("""
        import sys
        from lash_host.store import open_store
        sys.stdin.readline()
        store = open_store(sys.argv[1])
        print(store.info().schema_version)
        store.close()
    """)
    command = [sys.executable, "-c", source, empty_postgres_url]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == [f"{len(MIGRATIONS)}\n"] * 4
    made = _execute(empty_postgres_url, "SELECT count(*) FROM lash_tables.meta WHERE key = 'schema_version'")
    assert made == [(1,)]


def test_a_forked_child_does_not_use_its_parents_sockets(postgres_url: str) -> None:
    store = open_store(postgres_url)
    SampleSession(store, "alpha").commit("a")
    result = store.query("SELECT session_id FROM lash_rows.sessions")
    child = os.fork()
    if not child:
        try:
            store.list_sessions()
        except StoreError as exc:
            os._exit(0 if "open the store after forking" in str(exc) else 1)
        os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert result.fetchall() == [("alpha",)]
    assert len(store.list_sessions()) == 1
    store.close()


def test_a_handle_that_was_closed_says_so(postgres_url: str) -> None:
    store = open_store(postgres_url)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="was closed"):
        store.list_sessions()
