"""``lash store``: check, migrate, gc, vacuum, backup, copy."""

from __future__ import annotations

import json
import os
import pty

import duckdb
import pytest

from lash_host.store.migrations import MIGRATIONS

NOW = len(MIGRATIONS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.duckdb"


@pytest.fixture
def used(lash, path):
    """A store with two sessions."""
    lash("run", "list the files", "-s", "first")
    lash("run", "hello there", "-s", "second", "-m", "offline/echo")
    return lash


def break_it(path):
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE lash_tables.sessions SET live_nodes = 99 WHERE session_id = 'first'")


def test_a_sound_store(used):
    outcome = used("store", "check")
    document = used("store", "check", "--format", "json").json

    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("no problems in 2 sessions, 2 commits, ")
    assert (document["sessions"], document["commits"], document["problems"]) == (2, 2, [])


def test_a_broken_store_is_told_exactly_and_is_status_1(used, path):
    break_it(path)
    text, document = used("store", "check"), used("store", "check", "--format", "json")

    assert (text.status, document.status) == (1, 1)
    assert text.err == document.err == ""
    headings, row, summary = text.out.splitlines()
    assert headings.split() == ["problem", "session", "detail"]
    assert row.split()[:2] == ["live_node_count", "first"]
    assert "its head counts 99 live nodes, and there are" in row
    assert summary.startswith("1 problem in 2 sessions")
    (problem,) = document.json["problems"]
    assert (problem["kind"], problem["session_id"]) == ("live_node_count", "first")


@pytest.mark.parametrize("command", ["check", "gc", "vacuum", "migrate", "backup x.duckdb", "info"])
def test_a_store_that_is_not_there_is_not_made(lash, path, command):
    outcome = lash("store", *command.split())

    assert outcome.status == 2
    assert outcome.err == f"error [usage]: there is no store at {path}\n"
    assert not path.exists()


def test_garbage_goes(used, path):
    with duckdb.connect(path) as connection:
        connection.execute("INSERT INTO lash_tables.blobs VALUES (repeat('0', 64), 'abc'::BLOB, 3, 1)")
    document = used("store", "gc", "--format", "json").json

    assert (document["deleted"], document["deleted_bytes"], document["retained"] >= 1) == (1, 3, True)
    assert used("store", "gc").out == f"deleted 0 blobs (0 B), kept {document['retained']}\n"


def test_a_record_that_cannot_be_read_keeps_all_blobs(used, path):
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE lash_tables.sessions SET checkpoint = 'x' WHERE session_id = 'first'")
    outcome = used("store", "gc")

    assert outcome.status == 1
    assert outcome.err.startswith("error [store]: nothing was deleted: the checkpoint of session 'first'")


def test_vacuuming(used):
    assert used("store", "vacuum").out == "removed 0 nodes and 0 turn inputs\n"
    assert used("store", "vacuum", "--format", "json").json == {"removed_nodes": 0, "removed_turn_inputs": 0}


def test_migrating_says_from_where_to_where_and_where_the_backup_is(lash, path, store_v1):
    store_v1(path)
    outcome = lash("store", "migrate", "--format", "json")
    again = lash("store", "migrate")

    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.json == {"from_version": 1, "to_version": NOW, "backup": f"{path}.v1-backup"}
    assert (again.status, again.out) == (0, f"up to date: version {NOW}\n")
    assert lash("store", "migrate", "--format", "json").json == {"from_version": NOW, "to_version": NOW, "backup": None}


def test_migrating_for_people(lash, path, store_v1):
    store_v1(path)
    said = f"the store's schema went from version 1 to {NOW}; what it was before is in {path}.v1-backup\n"

    assert lash("store", "migrate").out == said


@pytest.mark.parametrize(
    "command", [["sessions", "list"], ["run", "hello", "-s", "talk"], ["store", "info"], ["sql", "select 1"]]
)
def test_every_command_migrates_and_says_so_in_one_line(lash, path, store_v1, command):
    store_v1(path)
    outcome, later = lash(*command), lash(*command)

    assert outcome.status == 0
    assert outcome.err.count("\n") == later.err.count("\n") + 1
    assert f"went from version 1 to {NOW}; what it was before is in {path}.v1-backup\n" in outcome.err
    assert "went from" not in later.err
    assert lash("store", "check").status == 0


def test_a_backup_is_a_store(used, tmp_path):
    target = tmp_path / "backup.duckdb"
    outcome = used("store", "backup", str(target))
    listed = used("sessions", "list", "--format", "json").json

    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"wrote {target} (")
    assert used("sessions", "list", "--format", "json", "--store", str(target)).json == listed
    refused = used("store", "backup", str(target))
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == f"error [usage]: {target} is there already, and nothing is overwritten\n"


def test_a_backup_as_json(used, tmp_path):
    target = tmp_path / "backup.duckdb"
    document = used("store", "backup", str(target), "--format", "json").json

    assert document == {"path": str(target), "size_bytes": target.stat().st_size, "attachments": 0}


def test_a_server_is_backed_up_by_its_own_tools(lash, tmp_path):
    outcome = lash("store", "backup", str(tmp_path / "x.duckdb"), "--store", "postgresql+psycopg://u:secret@host/db")

    assert outcome.status == 2
    assert "use pg_dump, or lash store copy to a DuckDB file" in outcome.err
    assert "secret" not in outcome.err


def test_a_copy_is_checked_and_has_the_views(used, path, tmp_path):
    target = tmp_path / "copy.duckdb"
    outcome = used("store", "copy", str(path), str(target))
    listed = used("sessions", "list", "--format", "json").json

    assert (outcome.status, outcome.err) == (0, "")
    copied, checked = outcome.out.splitlines()
    assert copied.startswith("copied ")
    assert copied.endswith(" rows and 0 attachments")
    assert checked.startswith("no problems in 2 sessions, 2 commits")
    with duckdb.connect(target, read_only=True) as connection:
        found = connection.execute("SELECT session_id FROM usage.sessions ORDER BY 1").fetchall()
    assert found == [("first",), ("second",)]
    assert used("sessions", "list", "--format", "json", "--store", str(target)).json == listed


def test_a_copy_to_a_server_and_back(used, path, tmp_path, empty_postgres_url):
    back = tmp_path / "back.duckdb"
    there = used("store", "copy", str(path), empty_postgres_url, "--format", "json")
    here = used("store", "copy", empty_postgres_url, str(back), "--format", "json")
    listed = used("sessions", "list", "--format", "json").json

    assert (there.status, here.status, there.json["rows"]) == (0, 0, here.json["rows"])
    assert there.json["check"]["problems"] == []
    for store in (empty_postgres_url, str(back)):
        assert used("sessions", "list", "--format", "json", "--store", store).json == listed
    assert used("store", "info", "--format", "json", "--store", empty_postgres_url).json["path"] is None
    assert "database  postgresql, durable" in used("store", "info", "--store", empty_postgres_url).out


def test_a_copy_of_a_broken_store_is_as_broken_and_status_1(used, path, tmp_path):
    break_it(path)
    outcome = used("store", "copy", str(path), str(tmp_path / "copy.duckdb"))

    assert outcome.status == 1
    assert "live_node_count" in outcome.out


def test_a_copy_over_a_store_is_refused(used, path, tmp_path):
    other = tmp_path / "other.duckdb"
    used("run", "hello", "-s", "mine", "--store", str(other))
    outcome = used("store", "copy", str(path), str(other))

    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("error [usage]: the target holds a store already: ")


def test_a_terminal_sees_how_far_it_is_and_a_pipe_does_not(used, lash_process, path, tmp_path):
    environ = {"TERM": "xterm"}
    piped = lash_process("store", "copy", str(path), str(tmp_path / "a.duckdb"), "--format", "json", environ=environ)
    rows, nothing = piped.communicate(timeout=120)
    master, slave = pty.openpty()
    arguments = ("store", "copy", str(path), str(tmp_path / "b.duckdb"), "--format", "json")
    shown = lash_process(*arguments, environ=environ, stderr=slave)
    os.close(slave)
    drawn = _all_of(master)

    assert nothing == b""
    assert json.loads(shown.communicate(timeout=120)[0])["rows"] == json.loads(rows)["rows"]
    assert "copying nodes" in drawn
    assert drawn.endswith("\x1b[2K")


def _all_of(master):
    """Read what is drawn on a terminal until nobody has it open."""
    drawn = b""
    while True:
        try:
            drawn += os.read(master, 1 << 16)
        except OSError:
            os.close(master)
            return drawn.decode()
