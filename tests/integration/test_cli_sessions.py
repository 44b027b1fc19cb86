"""``lash sessions`` and ``lash store``."""

from __future__ import annotations

import json
import os
import pty
import re
from datetime import datetime

import pytest


@pytest.fixture
def with_sessions(lash):
    """Two sessions: one of two turns with a tool call, one of one turn."""
    lash("run", "list the files", "-s", "first")
    lash("run", "my colour is blue", "-s", "first")
    lash("run", "hello there", "-s", "second", "-m", "offline/echo")
    return lash


def test_a_list_has_the_views_columns_and_the_latest_session_first(with_sessions):
    found = with_sessions("sessions", "list", "--format", "json")
    view = with_sessions("sql", "select * from usage.sessions order by last_turn_at desc", "--format", "json")

    assert found.json == view.json
    assert [row["session_id"] for row in found.json] == ["second", "first"]
    assert found.json[1]["turns"] == 2
    assert found.err == ""
    assert datetime.fromisoformat(found.json[0]["last_turn_at"]).utcoffset().total_seconds() == 0


def test_a_list_for_people(with_sessions):
    lines = with_sessions("sessions", "list", "-n", "1").out.splitlines()

    assert lines[0].split() == ["session", "last", "turn", "turns", "tokens", "model", "title"]
    assert re.fullmatch(r"second +just now +1 +\d+ +offline/echo +hello there", lines[1])
    assert len(lines) == 2


def test_nothing_to_list_is_an_empty_array_and_makes_no_store(lash, tmp_path):
    outcome = lash("sessions", "list", "--format", "json")

    assert (outcome.status, outcome.json) == (0, [])
    assert "there is no store at" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_a_session_is_shown_as_its_model_sees_it(with_sessions):
    text = with_sessions("sessions", "show", "first").out

    for part in ("session    first", "model      offline/agent", "turns      2", "list_files(", "my colour is blue"):
        assert part in text
    document = with_sessions("sessions", "show", "first", "--format", "json").json
    assert document["title"] == "list the files"
    assert [message["role"] for message in document["messages"]] == [
        "user", "assistant", "user", "assistant", "user", "assistant"
    ]  # fmt: skip
    assert document["messages"][1]["parts"][0]["kind"] == "tool_call"
    assert [frame["reason"] for frame in document["frames"]] == ["initial"]
    assert document["usage"]["total_tokens"] == document["usage_by_source_model"][0]["total_tokens"] > 0


def test_a_compacted_session_shows_its_fresh_frame_and_everything_on_request(with_sessions):
    for word in ("one", "two", "three", "four"):
        with_sessions("run", word, "-s", "first")

    outcome = with_sessions("sessions", "compact", "first", "--instructions", "keep the colour")
    now = with_sessions("sessions", "show", "first", "--format", "json").json
    everything = with_sessions("sessions", "show", "first", "--format", "json", "--all").json

    assert (outcome.status, outcome.out) == (0, "compacted\n")
    assert [frame["status"] for frame in now["frames"]] == ["superseded", "active"]
    assert now["messages"][0]["origin"]["kind"] == "compaction"
    assert len(everything["messages"]) > len(now["messages"])
    assert "compaction" in {row["source"] for row in now["usage_by_source_model"]}
    assert "(compaction by compaction_summary)" in with_sessions("sessions", "show", "first").out


def test_there_may_be_nothing_to_compact(with_sessions):
    assert with_sessions("sessions", "compact", "second").out == "nothing to compact\n"


def test_deleting_needs_a_yes(with_sessions):
    refused = with_sessions("sessions", "delete", "first")
    done = with_sessions("sessions", "delete", "first", "--yes")

    assert (refused.status, done.status) == (2, 0)
    assert refused.err.startswith("error [confirmation_needed]: ")
    assert re.match(r"deleted first: 2 turns, \d+ nodes, 3 model calls, 1 tool call\n", done.out)
    assert [row["session_id"] for row in with_sessions("sessions", "list", "--format", "json").json] == ["second"]


@pytest.mark.parametrize(("answer", "status", "left"), [(b"n\n", 1, 1), (b"y\n", 0, 0)])
def test_deleting_asks_on_a_terminal(lash, lash_process, answer, status, left):
    lash("run", "hello", "-s", "a")
    master, slave = pty.openpty()
    os.write(master, answer)

    process = lash_process("sessions", "delete", "a", stdin=slave)
    _, err = process.communicate(timeout=60)

    os.close(slave)
    os.close(master)
    assert process.returncode == status
    assert b"Delete session a (hello) with 1 turn?" in err
    assert len(lash("sessions", "list", "--format", "json").json) == left


@pytest.mark.parametrize("arguments", [["show", "x"], ["compact", "x"], ["delete", "x", "--yes"]])
def test_an_unknown_session_is_one_line_and_status_2(with_sessions, arguments):
    outcome = with_sessions("sessions", *arguments)

    assert (outcome.status, outcome.err) == (2, "error [unknown_session]: no session 'x' in this store\n")


def test_what_the_store_is(with_sessions, tmp_path):
    text = with_sessions("store", "info").out
    document = with_sessions("store", "info", "--format", "json").json

    assert str(tmp_path / "store.duckdb") in text
    assert "sessions  2" in text
    assert document["path"] == str(tmp_path / "store.duckdb")
    assert (document["sessions"], document["turns"], document["durability"]) == (2, 3, "durable")
    assert document["created_at"].endswith("Z")
    assert document["size_bytes"] > 0
    assert document["schema_version"] >= 1


def test_a_store_that_is_not_there_is_not_made_by_looking(lash, tmp_path):
    outcome = lash("store", "info")

    assert outcome.status == 2
    assert "there is no store at" in outcome.err
    assert not (tmp_path / "store.duckdb").exists()


def test_a_store_is_named_by_option_variable_or_settings(lash, place, tmp_path, monkeypatch):
    (place / "lash.toml").write_text('store = "from-settings.duckdb"\nmodel = "offline/echo"\n')
    lash("run", "a", "--store", str(tmp_path / "from-option.duckdb"))
    lash("run", "b")
    monkeypatch.delenv("LASH_STORE")
    lash("run", "c")

    assert (tmp_path / "from-option.duckdb").exists()
    assert (tmp_path / "store.duckdb").exists()
    assert (place / "from-settings.duckdb").exists()
    titles = json.loads(lash("sessions", "list", "--format", "json").out)
    assert [row["title"] for row in titles] == ["c"]
