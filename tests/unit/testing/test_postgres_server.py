"""A PostgreSQL server of a test's own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from lash_host.errors import MissingExtra, StoreError
from lash_host.testing.postgres_server import URL_VARIABLE, PostgresServer, installed_binaries


@pytest.fixture
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)


@pytest.mark.usefixtures("no_url")
def test_it_stops_whatever_happens() -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), PostgresServer() as server:
        server.execute("SELECT 1 / (SELECT 0)")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.admin_url)


@pytest.mark.usefixtures("no_url")
def test_it_leaves_no_files_and_syncs_those_it_has() -> None:
    with PostgresServer() as server:
        folder = Path(server.execute("SHOW data_directory")[0][0]).parent
        assert folder.exists()
        assert server.execute("SHOW fsync") == [("on",)]
    assert not folder.exists()


@pytest.mark.usefixtures("no_url")
def test_it_asks_for_its_password() -> None:
    with PostgresServer() as server:
        before, _, place = server.admin_url.rpartition("@")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"{before.rpartition(':')[0]}:wrong@{place}")


@pytest.mark.usefixtures("no_url")
def test_one_that_cannot_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as place, socket.socket() as taken:
        Path(place).chmod(0o755)  # so that another user can reach it
        monkeypatch.setattr("tempfile.tempdir", place)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr("lash_host.testing.postgres_server._free_port", lambda: taken.getsockname()[1])
        with pytest.raises(StoreError, match="pg_ctl failed"), PostgresServer():
            pass
        assert list(Path(place).iterdir()) == []


@pytest.mark.usefixtures("no_url")
def test_programs_that_are_nowhere_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lash_host.testing.postgres_server.installed_binaries", lambda: None)
    with pytest.raises(MissingExtra, match=URL_VARIABLE), PostgresServer():
        pass


def test_a_server_that_is_there_is_used_and_left_as_it_was(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "SELECT datname FROM pg_database ORDER BY 1"
    before = postgres_server.execute(names)
    monkeypatch.setenv(URL_VARIABLE, postgres_server.admin_url)
    with PostgresServer() as other:
        assert other.admin_url == postgres_server.admin_url
        url = other.database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        copy = other.database(template=url)
        with psycopg.connect(copy) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchall() == [(0,)]
        other.drop(copy)
        assert len(postgres_server.execute(names)) == len(before) + 1
    assert postgres_server.execute(names) == before


def test_programs_are_found() -> None:
    found = installed_binaries()
    assert found is not None
    assert os.access(found / "postgres", os.X_OK)


@pytest.mark.usefixtures("no_url")
def test_it_ends_with_whoever_started_it() -> None:
    source = """
import sys
from lash_host.testing.postgres_server import PostgresServer
with PostgresServer() as server:
    print(server.admin_url, flush=True)
    sys.stdin.read()
"""
    starter = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    url = starter.stdout.readline().strip()
    with psycopg.connect(url, autocommit=True) as connection:
        folder = Path(connection.execute("SHOW data_directory").fetchall()[0][0]).parent
        starter.kill()
        starter.communicate()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(60)")
    watch = Deadline(seconds=30)
    while folder.exists():
        watch.check()


class Deadline:
    """Ends a wait that would never end."""

    def __init__(self, *, seconds: float) -> None:
        self._until = monotonic() + seconds

    def check(self) -> None:
        assert monotonic() < self._until
