"""The command line on a store that a PostgreSQL server keeps."""

from __future__ import annotations

import pytest


@pytest.fixture
def on_server(lash, postgres_url, monkeypatch):
    monkeypatch.setenv("LASH_STORE", postgres_url)
    return lash


@pytest.fixture
def with_turns(on_server):
    on_server("run", "list the files", "-s", "first")
    on_server("run", "hello there", "-s", "second", "-m", "offline/echo")
    return on_server


def test_a_conversation_goes_on(on_server):
    assert on_server("run", "my name is Ada", "-s", "talk", "-m", "offline/echo").status == 0
    again = on_server("run", "what did I say?", "-s", "talk", "-m", "offline/echo", "--json")
    assert (again.status, again.json["turn_index"]) == (0, 2)
    rows = on_server("sql", "select role, text from usage.messages order by created_at", "--format", "json").json
    assert [row["text"] for row in rows if row["role"] == "user"] == ["my name is Ada", "what did I say?"]


@pytest.mark.parametrize("by", ["model", "day", "source", "session", "plugin", "tool", "day,model", "session,plugin"])
def test_usage_by_everything(with_turns, by):
    rows = with_turns("usage", "--by", by, "--format", "json").json
    assert rows
    assert set(by.split(",")) - {"model", "session", "plugin", "tool"} <= set(rows[0])


def test_usage_adds_up(with_turns):
    (row,) = with_turns("usage", "--by", "", "--format", "json").json
    assert row["sessions"] == 2
    totals = with_turns("sql", "select sum(total_tokens)::bigint as total from usage.sessions", "--format", "json").json
    assert totals == [{"total": row["total_tokens"]}]


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet", "html"])
def test_usage_as_a_file(with_turns, place, file_format):
    outcome = with_turns("usage", "--since", "1d", "--format", file_format, "-o", f"usage.{file_format}")
    assert outcome.status == 0, outcome.err
    assert (place / f"usage.{file_format}").stat().st_size > 0


def test_usage_as_a_picture(with_turns, place):
    assert with_turns("usage", "--by", "day,model", "--chart", "usage.png").status == 0
    assert (place / "usage.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("format_name", ["table", "csv", "json"])
def test_sql_in_every_format(with_turns, format_name):
    outcome = with_turns("sql", "select session_id, turns from usage.sessions order by 1", "--format", format_name)
    assert (outcome.status, outcome.err) == (0, "")
    assert {
        "table": lambda: outcome.out == "session_id  turns\nfirst           1\nsecond          1\n",
        "csv": lambda: outcome.out == "session_id,turns\nfirst,1\nsecond,1\n",
        "json": lambda: [row["session_id"] for row in outcome.json] == ["first", "second"],
    }[format_name]()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("drop table lash_tables.meta", 2, "query_refused"),
        ("select 1; select 2", 2, "query_refused"),
        ("copy (select 1) to program 'cat'", 2, "query_refused"),
        ("select pg_read_file('/etc/passwd')", 2, "query_refused"),
        ("select * from nowhere", 1, "query_failed"),
        ("selec 1", 1, "query_failed"),
        ("", 2, "empty_query"),
    ],
)
def test_sql_that_is_refused(with_turns, query, status, code):
    outcome = with_turns("sql", query)
    assert (outcome.status, outcome.out) == (status, "")
    assert f"[{code}]" in outcome.err


def test_sessions_and_the_store(with_turns):
    listed = with_turns("sessions", "list", "--format", "json").json
    assert {row["session_id"] for row in listed} == {"first", "second"}
    info = with_turns("store", "info", "--format", "json").json
    assert "***" in str(info)
    assert with_turns("store", "check").status == 0
    assert with_turns("sessions", "delete", "first", "--yes").status == 0
    listed = with_turns("sessions", "list", "--format", "json").json
    assert [row["session_id"] for row in listed] == ["second"]


def test_a_server_that_is_not_there(lash):
    outcome = lash("run", "hello", "--store", "postgresql://user:hunter2@127.0.0.1:1/base")
    assert outcome.status == 1
    assert "[store_unreachable]" in outcome.err
    assert "hunter2" not in outcome.err
