"""Where a store on a server is, and who is shown its password: nobody."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest

from lash_host.errors import MissingExtra, StoreError, StoreUnreachable, UsageFault
from lash_host.store import open_store
from lash_host.store.dialects import dialect_of, parse_store_url
from lash_host.testing.postgres_server import PostgresServer

SECRET = "hunter2"


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_a_url_is_read(scheme: str) -> None:
    url = parse_store_url(f"{scheme}://user:{SECRET}@host:5433/base?sslmode=require")
    assert url.dialect == "postgresql"
    assert url.path is None
    assert not url.is_in_memory
    assert url.text == "postgresql+psycopg://user:***@host:5433/base?sslmode=require"
    assert url.address == f"postgresql://user:{SECRET}@host:5433/base?sslmode=require"


@pytest.mark.parametrize(
    "url", [f"postgresql://user:{SECRET}@host/base", f"postgresql://host/base?password={SECRET}&sslpassword={SECRET}"]
)
def test_a_password_is_not_shown(url: str) -> None:
    parsed = parse_store_url(url)
    assert SECRET not in parsed.text
    assert SECRET not in repr(parsed)
    assert SECRET in str(parsed.address)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://user:{secret}@127.0.0.1:1/base", "refused"),
        ("postgresql://lash:{secret}@{place}/postgres", "password authentication failed"),
        ("postgresql://nobody_here:{secret}@{place}/postgres", "authentication failed"),
        ("postgresql://host/base?no_such_option={secret}", "no_such_option"),
    ],
)
def test_what_cannot_be_opened_is_one_clear_error(
    postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture, url: str, problem: str
) -> None:
    place = postgres_server.admin_url.rpartition("@")[2].partition("/")[0]
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreError, match=problem) as caught:
        open_store(url.format(secret=SECRET, place=place))
    told = str(caught.value) + "".join(traceback.format_exception(caught.value)) + caplog.text
    assert SECRET not in told


def test_a_database_that_is_not_there_is_named(postgres_server: PostgresServer) -> None:
    url = postgres_server.admin_url.rpartition("/")[0] + "/no_such_base"
    with pytest.raises(StoreUnreachable, match='database "no_such_base" does not exist') as caught:
        open_store(url)
    assert not caught.value.retryable


def test_a_server_that_does_not_answer_may_do_so_later() -> None:
    with pytest.raises(StoreUnreachable) as caught:
        open_store("postgresql://127.0.0.1:1/base")
    assert caught.value.retryable


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lash_host.store.dialects.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install "lash-host\[postgresql\]"'):
        dialect_of(parse_store_url("postgresql://host/base"))
    with pytest.raises(MissingExtra):
        open_store("postgresql://host/base")


def test_an_old_server_is_refused(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lash_host.store.dialects.postgresql.OLDEST", 99)
    with pytest.raises(StoreError, match="needs 99 or newer"):
        open_store(postgres_url)


@pytest.mark.parametrize("url", ["postgresql://user:hunter2@host/base", "duckdb:///x.duckdb"])
def test_a_url_made_a_path_is_not_a_file(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageFault, match="give it as text") as caught:
        open_store(Path(url))
    assert SECRET not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
