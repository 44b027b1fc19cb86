"""What a graph delta must fulfil before it is written."""

from __future__ import annotations

import pytest

from lash_host.domain.graph import AppendNodes, ReplaceGraph, UnchangedGraph, check_delta

STORED = {"a", "b"}


def check(delta):
    return check_delta(delta, known=STORED.__contains__)


@pytest.mark.parametrize("leaf", ["a", None])
def test_a_leaf_may_move_to_what_is_stored(leaf):
    assert check(UnchangedGraph(leaf_node_id=leaf)) is None


def test_a_leaf_may_not_move_to_what_is_not_stored():
    assert check(UnchangedGraph(leaf_node_id="x")) == "leaf 'x' does not exist"


@pytest.mark.parametrize(
    ("nodes", "leaf", "problem"),
    [
        ([("x", "b"), ("y", "x")], "y", None),
        ([("x", None)], "a", None),
        ([], None, None),
        ([("a", "b")], "a", "node id 'a' is taken"),
        ([("x", "b"), ("x", "b")], "x", "node id 'x' is taken"),
        ([("x", "gone")], "x", "parent 'gone' of node 'x' does not exist"),
        ([("x", "y"), ("y", "b")], "y", "parent 'y' of node 'x' does not exist"),
        ([("x", "b")], "gone", "leaf 'gone' does not exist"),
    ],
)
def test_appended_nodes_hang_on_what_is_there(node, nodes, leaf, problem):
    assert check(AppendNodes(nodes=tuple(node(*pair) for pair in nodes), leaf_node_id=leaf)) == problem


@pytest.mark.parametrize(
    ("nodes", "leaf", "problem"),
    [
        ([("a", None), ("x", "a")], "x", None),
        ([], None, None),
        ([("x", "b")], "x", "parent 'b' of node 'x' does not exist"),
        ([("x", None)], "a", "leaf 'a' does not exist"),
        ([("x", None), ("x", None)], "x", "node id 'x' is taken"),
    ],
)
def test_a_replacement_stands_on_its_own(node, nodes, leaf, problem):
    assert check(ReplaceGraph(nodes=tuple(node(*pair) for pair in nodes), leaf_node_id=leaf)) == problem
