"""What a check says of a log that was not folded yet, and of a fold that does not show what the log holds."""

from __future__ import annotations

import json

import pytest

from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession


@pytest.fixture
def unfolded(tmp_path, monkeypatch):
    """A store that folds nothing until it is closed: a session with a commit that is folded and two that are not."""
    monkeypatch.setattr("lash_host.store.logged.folding._IDLE_S", 3_600)
    store = open_store(tmp_path / "x.duckdb", clock=ManualClock())
    session = SampleSession(store, "alpha")
    session.say("first")
    store.commit(session.turn("t1", "a", "b"))
    store._engine.fold()
    store.commit(session.turn("t2", "c", after="b"))
    session.say("second")
    SampleSession(store, "beta").commit("a")
    yield store
    store.close()


@pytest.fixture
def write(unfolded):
    def run(sql):
        with unfolded._engine.database.write() as transaction:
            transaction.script(sql)

    return run


def add_entry(write, **columns):
    texts = ", ".join(
        "NULL" if columns.get(name) is None else f"'{columns[name]}'" for name in ("state", "facts", "nodes")
    )
    write(f"INSERT INTO lash_tables.commit_log VALUES (9223372036854775807, 1, {texts})")


def test_what_was_not_folded_is_checked_like_the_rest(unfolded):
    before = unfolded.check()
    assert before.unfolded_commits == 2
    assert (before.commits, before.nodes, before.problems) == (3, 4, ())
    unfolded._engine.fold()
    assert unfolded.check() == before.model_copy(update={"unfolded_commits": 0})


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"facts": "[1]"}, "cannot be read"),
        ({"facts": "[1"}, "what is committed cannot be read because of that"),
        ({"nodes": json.dumps({"nodes": [[1, 2]]})}, "a row of nodes does not fit it: 2 values where 10 belong"),
        ({"facts": json.dumps({"nothing": []})}, "it holds 'nothing', which is no table of the log"),
        ({"facts": json.dumps({"-turns": []})}, "it holds '-turns', which is no table of the log"),
        (
            {"state": json.dumps({"-turn_inputs": [[1]]})},
            "a row of -turn_inputs does not fit it: 1 values where 2 belong",
        ),
    ],
)
def test_an_entry_that_nobody_can_read(unfolded, write, columns, said):
    add_entry(write, **columns)
    problems = [one for one in unfolded.check().problems if one.kind == "log_entry"]
    assert any(said in one.detail for one in problems)
    write("DELETE FROM lash_tables.commit_log WHERE entry_key = 9223372036854775807")


@pytest.mark.parametrize(
    ("view", "body", "said"),
    [
        ("nodes", "SELECT * FROM lash_tables.nodes", "a row of nodes is in the log, and not shown"),
        ("turns", "SELECT * FROM lash_tables.turns", "a row of turns is in the log, and not shown"),
        ("sessions", "SELECT * FROM lash_tables.sessions", "a row of sessions is not shown as the log has it"),
        ("turn_inputs", "SELECT * FROM lash_tables.turn_inputs", "a row of turn_inputs is not shown as the log has it"),
        (
            "nodes",
            "SELECT * FROM was_nodes UNION ALL SELECT * FROM was_nodes",
            "a row of nodes is shown, and neither in the table nor in the log",
        ),
        ("nodes", "SELECT * FROM was_nodes WHERE node_id <> ''a''", "a row of nodes is in the table, and not shown"),
    ],
)
def test_a_fold_that_shows_something_else(unfolded, write, view, body, said):
    ((kept,),) = unfolded.query(
        "SELECT sql FROM duckdb_views() WHERE schema_name = 'lash_rows' AND view_name = ?", [view]
    ).fetchall()
    write(kept.replace(f"lash_rows.{view}", f"was_{view}", 1))
    write(f"CREATE OR REPLACE VIEW lash_rows.{view} AS {body}".replace("''", "'"))
    found = [one.detail for one in unfolded.check().problems if one.kind == "log_entry"]
    assert any(detail.startswith(said) for detail in found)
