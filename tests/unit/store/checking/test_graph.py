"""What a check says of graphs that do not hang together."""

from __future__ import annotations

import pytest


def test_a_sound_store_has_no_problems(store):
    report = store.check()
    assert report.problems == ()
    assert (report.sessions, report.commits, report.nodes, report.blobs) == (2, 6, 7, 2)


def test_two_live_nodes_of_one_id(store, damage, kinds):
    damage("UPDATE lash_tables.nodes SET node_id = 'e' WHERE session_key = {alpha} AND node_id = 'f'")
    found = store.check()
    assert kinds(found)["duplicate_node_id"] == 1
    problem = next(one for one in found.problems if one.kind == "duplicate_node_id")
    assert (problem.session_id, problem.detail) == ("alpha", "2 live nodes have the id 'e'")


def test_a_node_may_have_the_id_of_one_that_was_replaced(store, damage, kinds):
    damage("UPDATE lash_tables.nodes SET node_id = 'a' WHERE session_key = {alpha} AND node_id = 'f'")
    assert "duplicate_node_id" not in kinds(store.check())


def test_a_parent_that_is_gone(store, damage):
    damage("DELETE FROM lash_tables.nodes WHERE session_key = {alpha} AND node_id = 'd'")
    details = {one.kind: one.detail for one in store.check().problems}
    assert details["missing_parent"] == "the parent 'd' of node 'e' is not there"
    assert details["live_node_count"] == "its head counts 4 live nodes, and there are 3"
    assert details["commit_content"].startswith("the rows of revision 3 hash to ")


def test_a_parent_that_was_replaced(store, damage, kinds):
    damage("UPDATE lash_tables.nodes SET parent_node_id = 'b' WHERE session_key = {alpha} AND node_id = 'c'")
    assert kinds(store.check()) == {"missing_parent": 1, "commit_content": 1}


def test_a_parent_may_be_hidden_and_vacuumed(store):
    store.tombstone_nodes("alpha", ["d"])
    assert store.check().problems == ()
    store.vacuum()
    assert store.check().problems == ()


def test_a_vacuumed_past_excuses_no_missing_parent(store, damage, kinds):
    store.vacuum()
    assert store.check().problems == ()
    damage("DELETE FROM lash_tables.nodes WHERE session_key = {alpha} AND node_id = 'd'")
    assert kinds(store.check()) == {"missing_parent": 1, "live_node_count": 1, "commit_content": 1}


def test_a_leaf_that_is_not_there(store, damage):
    damage("UPDATE lash_tables.sessions SET leaf_node_id = 'b' WHERE session_id = 'alpha'")
    (problem,) = store.check().problems
    assert (problem.kind, problem.session_id, problem.detail) == (
        "missing_leaf", "alpha", "the leaf 'b' is no live node",
    )  # fmt: skip


def test_a_count_that_is_wrong(store, damage):
    damage("UPDATE lash_tables.sessions SET live_nodes = 9 WHERE session_id = 'alpha'")
    (problem,) = store.check().problems
    assert (problem.kind, problem.detail) == ("live_node_count", "its head counts 9 live nodes, and there are 4")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("SET node_key = node_key + 1000000", "beyond the last one"),
        ("SET session_key = 7", "node 'f' belongs to no session"),
    ],
)
def test_a_node_that_nobody_wrote(store, damage, change, said):
    damage(f"UPDATE lash_tables.nodes {change} WHERE session_key = {{alpha}} AND node_id = 'f'")
    details = [one.detail for one in store.check().problems if one.kind == "commit_content"]
    assert any(said in detail for detail in details)


def test_only_so_many_problems_of_a_kind_are_told_one_by_one(store, damage, monkeypatch):
    monkeypatch.setattr("lash_host.store.checking.findings.MOST_OF_A_KIND", 1)
    damage("UPDATE lash_tables.sessions SET live_nodes = 9")
    assert [one.detail for one in store.check().problems] == [
        "its head counts 9 live nodes, and there are 4",
        "and 1 more of this kind",
    ]
