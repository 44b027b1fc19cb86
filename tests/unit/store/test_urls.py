"""Where a store is, in the ways it may be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash_host.errors import UsageFault
from lash_host.store import open_store
from lash_host.store.dialects import parse_store_url


@pytest.mark.parametrize("text", [":memory:", "duckdb:///:memory:", "duckdb://", " :memory: "])
def test_memory(text: str) -> None:
    assert parse_store_url(text).path is None


def test_a_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = tmp_path.resolve() / "a" / "s.duckdb"
    assert parse_store_url("a/s.duckdb").path == expected
    assert parse_store_url(Path("a/s.duckdb")).path == expected
    assert parse_store_url("duckdb:///a/s.duckdb").path == expected
    assert parse_store_url(f"duckdb:///{expected}").path == expected


def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert parse_store_url(tmp_path / "link" / "s.duckdb").path == (tmp_path / "real" / "s.duckdb").resolve()


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_store_url("~/s.duckdb").path == tmp_path.resolve() / "s.duckdb"


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://user:secret@host/x"])
def test_another_database_is_refused_and_the_supported_are_named(url: str) -> None:
    with pytest.raises(UsageFault, match="duckdb:///path") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "  ", "://", "duckdb://host/x", "duckdb:///x.db?threads=1", "duckdb://u:p@/x.db"])
def test_what_is_not_a_store_url_is_refused(url: str) -> None:
    with pytest.raises(UsageFault):
        parse_store_url(url)


@pytest.mark.parametrize("name", ["usage.duckdb", "USAGE.db", "lash_tables.duckdb", "lash_rows.duckdb"])
def test_a_file_cannot_have_the_name_of_a_schema(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageFault, match="choose another name"):
        open_store(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
