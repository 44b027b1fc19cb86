"""The session graph: append-only, shared, with one active path."""

from __future__ import annotations

import random

import pytest

from lash_host.domain.graph import SessionGraph, SessionNode, message_node, unique_node_id
from lash_host.domain.message import Message, Role, ToolCallPart


def ids(nodes) -> list[str]:
    return [node.node_id for node in nodes]


@pytest.fixture
def chain(node):
    """Make a graph a-b-c, the leaf c."""
    return SessionGraph([node("a"), node("b", "a"), node("c", "b")], leaf_node_id="c")


def test_an_empty_graph_has_no_path():
    graph = SessionGraph()
    assert (len(graph), ids(graph.nodes), ids(graph.active_path), graph.leaf_node_id) == (0, [], [], None)


def test_appending_moves_the_leaf_and_leaves_the_old_graph_alone(chain, node):
    longer = chain.append([node("d", "c"), node("e", "d")])
    assert ids(longer.active_path) == ["a", "b", "c", "d", "e"]
    assert longer.leaf_node_id == "e"
    assert ids(chain.active_path) == ["a", "b", "c"] == ids(chain.nodes)
    assert "d" in longer
    assert "d" not in chain
    assert chain.node("d") is None
    assert len(chain) == 3


def test_appending_nothing_gives_the_same_graph(chain):
    assert chain.append([]) is chain


@pytest.mark.parametrize(
    ("appended", "problem"),
    [
        ([("a", "c")], "'a' is taken"),
        ([("x", "c"), ("x", "c")], "'x' is taken"),
        ([("x", "nowhere")], "parent 'nowhere' of node 'x' does not exist"),
        ([("x", "y"), ("y", "c")], "parent 'y' of node 'x' does not exist"),
        ([("x", "x")], "parent 'x' of node 'x' does not exist"),
    ],
)
def test_a_refused_append_changes_nothing(chain, node, appended, problem):
    with pytest.raises(ValueError, match=problem):
        chain.append([node(*pair) for pair in appended])
    assert ids(chain.nodes) == ["a", "b", "c"]
    assert ids(chain.append([node("d", "c")]).nodes) == ["a", "b", "c", "d"]


def test_two_nodes_of_one_id_make_no_graph(node):
    with pytest.raises(ValueError, match="same id"):
        SessionGraph([node("a"), node("a")])


def test_a_branch_move_changes_only_the_leaf(chain):
    moved = chain.branch_to("b")
    assert ids(moved.active_path) == ["a", "b"]
    assert ids(moved.nodes) == ["a", "b", "c"]
    assert ids(chain.active_path) == ["a", "b", "c"]
    assert ids(moved.branch_to(None).active_path) == []
    assert chain.branch_to("c") is chain


def test_a_branch_to_a_node_that_is_not_here_fails(chain, node):
    chain.append([node("d", "c")])
    with pytest.raises(KeyError, match="d"):
        chain.branch_to("d")


def test_after_a_branch_move_the_graph_grows_from_there(chain, node):
    forked = chain.branch_to("b").append([node("x", "b")])
    assert ids(forked.active_path) == ["a", "b", "x"]
    assert ids(forked.nodes) == ["a", "b", "c", "x"]
    assert ids(forked.branch_to("c").active_path) == ["a", "b", "c"]


def test_a_node_need_not_hang_on_the_leaf(chain, node):
    grown = chain.append([node("x", "a"), node("y", "b")])
    assert ids(grown.active_path) == ["a", "b", "y"]
    assert ids(chain.active_path) == ["a", "b", "c"]
    assert ids(grown.append([node("r")]).active_path) == ["r"]


def test_a_second_continuation_of_a_graph_copies_and_both_stay_right(chain, node):
    first = chain.append([node("x", "c")])
    second = chain.append([node("y", "c"), node("z", "y")])
    assert first._log is chain._log
    assert second._log is not chain._log
    assert ids(first.nodes) == ["a", "b", "c", "x"]
    assert ids(second.nodes) == ["a", "b", "c", "y", "z"]
    assert "x" not in second
    assert ids(first.append([node("x2", "x")]).active_path) == ["a", "b", "c", "x", "x2"]
    assert ids(second.append([node("x", "z")]).active_path) == ["a", "b", "c", "y", "z", "x"]
    assert ids(chain.active_path) == ["a", "b", "c"]


def test_many_single_appends_share_one_log_and_one_path():
    count = 100_000
    first = graph = SessionGraph()
    for number in range(count):
        parent = str(number - 1) if number else None
        one = SessionNode(
            node_id=str(number), parent_node_id=parent, frame_id="f", created_at_us=0, kind="record", label="",
            payload_json="{}",
        )  # fmt: skip
        graph = graph.append([one])
    assert graph._log is first._log
    assert graph._path is first._path
    assert len(graph) == len(graph._log.nodes) == len(graph._path.nodes) == count
    assert len(first) == len(first.active_path) == 0


def test_appending_on_a_branch_shares_too(chain, node):
    branch = chain.branch_to("a")
    grown = branch.append([node("x", "a")]).append([node("y", "x")])
    assert grown._log is chain._log
    assert grown._path is branch._path
    assert ids(grown.active_path) == ["a", "x", "y"]


def test_what_grows_from_a_trimmed_graph_is_trimmed(chain, node):
    trimmed = SessionGraph(chain.active_path, leaf_node_id=chain.leaf_node_id, is_trimmed=True)
    assert ids(trimmed.nodes) == ids(chain.nodes)
    assert trimmed.append([node("y", "c")]).is_trimmed
    assert trimmed.branch_to("a").is_trimmed
    assert not chain.is_trimmed


def test_the_path_of_a_trimmed_graph_begins_where_the_parent_is_missing(node):
    graph = SessionGraph([node("m", "older"), node("n", "m")], leaf_node_id="n", is_trimmed=True)
    assert ids(graph.active_path) == ["m", "n"]
    assert graph.active_path_contains("m")
    assert not graph.active_path_contains("older")


def test_the_active_path_knows_its_members(chain, node):
    grown = chain.append([node("x", "a")])
    assert [name for name in "abcx" if grown.active_path_contains(name)] == ["a", "x"]
    assert [name for name in "abcx" if chain.active_path_contains(name)] == ["a", "b", "c"]


def test_a_missing_leaf_heals_to_the_last_message(node):
    nodes = [node("a"), node("b", "a"), node("r", "b", kind="record")]
    broken = SessionGraph(nodes, leaf_node_id="gone")
    assert ids(broken.active_path) == []
    healed = broken.healed()
    assert healed.leaf_node_id == "b"
    assert ids(healed.active_path) == ["a", "b"]
    assert SessionGraph(nodes[2:], leaf_node_id="gone").healed().leaf_node_id is None


def test_a_sound_leaf_needs_no_healing(chain):
    assert chain.healed() is chain
    assert chain.branch_to(None).healed().leaf_node_id is None


def test_the_messages_of_a_frame_come_once_in_path_order(node):
    nodes = [
        node("a", frame="old"),
        node("b", "a"),
        node("r", "b", kind="record"),
        node("t", "r", transient=True),
        node("b2", "t", message_id="b"),
        node("c", "b2"),
        node("off", "a"),
    ]
    graph = SessionGraph(nodes, leaf_node_id="c")
    assert [message.message_id for message in graph.frame_messages("f")] == ["b", "c"]
    assert [message.text for message in graph.frame_messages("f")] == ["b", "c"]
    assert [message.message_id for message in graph.frame_messages("old")] == ["a"]
    assert graph.frame_messages("unknown") == []


def test_a_message_survives_its_node():
    call = ToolCallPart(call_id="1", tool_name="t", arguments={"none": None, "deep": {"none": [None]}})
    message = Message(message_id="m", role=Role.ASSISTANT, parts=(call,))
    made = message_node(message, node_id="n", parent_node_id=None, frame_id="f", created_at_us=5)
    stored = SessionNode(
        node_id="n", parent_node_id=None, frame_id="f", created_at_us=5, kind="message", label="assistant",
        payload_json=made.payload_json,
    )  # fmt: skip
    assert stored == made
    assert made.message is message
    assert stored.message == message
    assert stored.message is stored.message


def test_taken_ids_get_variants():
    taken = {"m"}
    for expected in ("message:m", "message:m:2", "message:m:3"):
        given = unique_node_id("m", taken=taken.__contains__)
        assert given == expected
        taken.add(given)
    assert unique_node_id("n", taken=taken.__contains__) == "n"


class NaiveGraph:
    """What a graph is, without sharing: a dict of parents and a leaf."""

    def __init__(self, parents: dict[str, str | None], leaf: str | None) -> None:
        self.parents, self.leaf = parents, leaf

    def path(self) -> list[str]:
        path, at = [], self.leaf
        while at is not None:
            path.insert(0, at)
            at = self.parents[at]
        return path


@pytest.mark.parametrize("seed", range(40))
def test_any_history_of_appends_and_branches_is_right_in_every_version(seed, node):
    rng = random.Random(seed)  # noqa: S311 - a repeatable history, not a secret
    versions = [(SessionGraph(), NaiveGraph({}, None))]
    for step in range(60):
        graph, naive = rng.choice(versions[-6:])
        known = [*naive.parents]
        if known and rng.random() < 0.3:
            target = rng.choice([*known, None])
            versions.append((graph.branch_to(target), NaiveGraph(naive.parents, target)))
            continue
        parents, leaf, added = dict(naive.parents), naive.leaf, []
        for part in range(rng.randint(1, 3)):
            parent = leaf if rng.random() < 0.8 or not parents else rng.choice([*parents, None])
            leaf = f"{step}.{part}"
            parents[leaf] = parent
            added.append(node(leaf, parent, kind="record"))
        versions.append((graph.append(added), NaiveGraph(parents, leaf)))
    for graph, naive in versions:
        assert ids(graph.nodes) == [*naive.parents]
        assert ids(graph.active_path) == naive.path()
        assert (graph.leaf_node_id, len(graph)) == (naive.leaf, len(naive.parents))
        assert all((name in graph) is (name in naive.parents) for name in versions[-1][1].parents)


def test_the_roles_of_a_frame_are_those_of_its_path(node):
    graph = SessionGraph([node("a"), node("b", "a", role=Role.EVENT), node("c", "b", frame="g")], leaf_node_id="c")
    assert graph.frame_has_role("f", Role.EVENT)
    assert not graph.frame_has_role("f", Role.ASSISTANT)
    assert not graph.frame_has_role("g", Role.EVENT)
    assert not graph.branch_to("a").frame_has_role("f", Role.EVENT)
    before = SessionGraph([node("a")], leaf_node_id="a")
    after = before.append([node("b", "a", role=Role.EVENT)])
    assert after.frame_has_role("f", Role.EVENT)
    assert not before.frame_has_role("f", Role.EVENT)
    assert not SessionGraph().frame_has_role("f", Role.USER)
