"""What loading a session promises, one test a promise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lash_host.contracts.store import ReadScope, SessionStore
from lash_host.domain.catalog import ToolState
from lash_host.domain.frame import AgentFrame, FrameOpened, decide_open_frame
from lash_host.domain.graph import AppendNodes, UnchangedGraph
from lash_host.domain.plugin_state import PluginSnapshot
from lash_host.errors import UsageFault
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.samples import SampleSession, draft, message_nodes, model_call

__all__ = ["LoadConformance"]


class LoadConformance(StoreSuite):
    """What comes back, in which order, and how much of it."""

    def test_an_unknown_session_is_none(self, store: SessionStore) -> None:
        assert store.load_session("nobody") is None
        assert store.load_node("nobody", "a") is None

    def test_the_full_graph_is_in_insertion_order(self, session: SampleSession) -> None:
        """RP5: every node, in the order in which it was committed."""
        _branch(session)
        loaded = session.load()
        assert [node.node_id for node in loaded.graph.nodes] == ["root", "left", "right", "left-leaf", "right-leaf"]
        assert not loaded.graph.is_trimmed

    def test_the_active_path_is_the_ancestry_of_the_leaf(self, session: SampleSession) -> None:
        """RP5: root first, and the leaf is the stored one."""
        _branch(session)
        loaded = session.load(ReadScope.ACTIVE_PATH)
        assert [node.node_id for node in loaded.graph.nodes] == ["root", "left", "left-leaf"]
        assert loaded.graph.leaf_node_id == "left-leaf"
        assert loaded.graph.is_trimmed

    def test_an_active_path_that_is_everything_is_not_trimmed(self, session: SampleSession) -> None:
        session.commit("a", "b")
        assert not session.load(ReadScope.ACTIVE_PATH).graph.is_trimmed
        assert not session.load(ReadScope.CURRENT_FRAME).graph.is_trimmed

    def test_an_active_path_may_follow_another_leaf(self, session: SampleSession) -> None:
        """RP5: it is the leaf of what is returned; the stored one does not move."""
        _branch(session)
        loaded = session.load(ReadScope.ACTIVE_PATH, leaf_node_id="right-leaf")
        assert [node.node_id for node in loaded.graph.nodes] == ["root", "right", "right-leaf"]
        assert loaded.graph.leaf_node_id == "right-leaf"
        assert session.load().graph.leaf_node_id == "left-leaf"

    def test_another_leaf_goes_with_the_active_path_only(self, session: SampleSession) -> None:
        session.commit("a")
        with pytest.raises(UsageFault):
            session.load(ReadScope.FULL_GRAPH, leaf_node_id="a")

    def test_a_long_active_path_comes_back_in_order(self, session: SampleSession) -> None:
        ids = [f"n{n}" for n in range(1_000)]
        session.commit(*ids)
        session.commit("side", after="n500")
        session.commit(graph=UnchangedGraph(leaf_node_id="n999"))
        assert session.node_ids(ReadScope.ACTIVE_PATH) == ids
        assert session.node_ids(ReadScope.ACTIVE_PATH, leaf_node_id="side") == [*ids[:501], "side"]

    def test_the_current_frame_begins_where_it_was_opened(self, session: SampleSession) -> None:
        session.commit("a", "b")
        _open_frame(session, "frame-2", "c", "d", after="b")
        loaded = session.load(ReadScope.CURRENT_FRAME)
        assert [node.node_id for node in loaded.graph.nodes] == ["c", "d"]
        assert loaded.graph.is_trimmed
        first = next(iter(loaded.graph.nodes))
        assert first.parent_node_id == "b"

    def test_the_current_frame_grows_with_later_commits(self, session: SampleSession) -> None:
        session.commit("a")
        opened = _open_frame(session, "frame-2", "b", after="a")
        for number in range(3):
            parent = f"c{number - 1}" if number else "b"
            session.commit(
                graph=AppendNodes(
                    nodes=message_nodes(f"c{number}", after=parent, frame_id="frame-2"), leaf_node_id=f"c{number}"
                ),
                agent_frames=opened,
                current_agent_frame_id="frame-2",
            )
        assert session.node_ids(ReadScope.CURRENT_FRAME) == ["b", "c0", "c1", "c2"]

    def test_the_leaf_is_there_even_when_the_frame_is_empty(self, session: SampleSession) -> None:
        session.commit("a", "b")
        _open_frame(session, "frame-2", after="b")
        loaded = session.load(ReadScope.CURRENT_FRAME)
        assert [node.node_id for node in loaded.graph.nodes] == ["b"]
        assert loaded.graph.leaf_node_id in loaded.graph

    def test_a_frame_that_was_left_and_entered_again_is_whole(self, session: SampleSession) -> None:
        session.commit("a", "b")
        frames = _open_frame(session, "frame-2", "c", after="b")
        session.commit(
            graph=UnchangedGraph(leaf_node_id="b"),
            agent_frames=frames,
            current_agent_frame_id=session.frame.frame_id,
        )
        assert session.node_ids(ReadScope.CURRENT_FRAME) == ["a", "b"]

    def test_a_session_without_nodes_loads_in_every_scope(self, session: SampleSession) -> None:
        session.commit()
        assert [session.node_ids(scope) for scope in ReadScope] == [[], [], []]

    def test_one_node_can_be_loaded(self, store: SessionStore, session: SampleSession) -> None:
        nodes = message_nodes("a", "b")
        session.commit(graph=AppendNodes(nodes=nodes, leaf_node_id="b"))
        assert store.load_node("alpha", "b") == nodes[1]
        assert store.load_node("alpha", "nowhere") is None
        assert store.load_node("beta", "b") is None

    def test_the_ledger_merges_by_source_and_model_in_order_of_appearance(self, session: SampleSession) -> None:
        session.commit("a", model_calls=(model_call("1", model="small", input_tokens=11, output_tokens=7),))
        session.commit("b", after="a", model_calls=(model_call("2", source="compaction", input_tokens=1),))
        session.commit(
            "c",
            after="b",
            model_calls=(
                model_call("3", model="small", cache_read_input_tokens=3, reasoning_output_tokens=5, output_tokens=6),
            ),
        )
        ledger = session.load().token_ledger
        assert [(entry.source, entry.model) for entry in ledger] == [("turn", "small"), ("compaction", "large")]
        usage = ledger[0].usage
        assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (11, 13, 3)
        assert usage.reasoning_output_tokens == 5

    def test_a_load_gives_checkpoint_and_ledger(self, session: SampleSession) -> None:
        """RP4: the tool state's generation, the plugins' revision and snapshot, and what was spent."""
        tools = ToolState(generation=9).model_dump_json().encode()
        plugins = PluginSnapshot().model_dump_json().encode()
        spent = model_call("1", input_tokens=11, output_tokens=7, cache_read_input_tokens=3, reasoning_output_tokens=5)
        checkpoint = draft(tool_state=tools, plugin_snapshot=plugins, plugin_snapshot_revision=12)
        session.commit("a", checkpoint=checkpoint, model_calls=(spent,))
        loaded = session.load()
        assert loaded.session_id == "alpha"
        assert ToolState.model_validate_json(loaded.tool_state or b"").generation == 9
        assert (loaded.checkpoint.plugin_snapshot_revision, loaded.plugin_snapshot) == (12, plugins)
        assert [entry.usage for entry in loaded.token_ledger] == [spent.usage]

    def test_a_call_without_tokens_is_not_in_the_ledger(self, session: SampleSession) -> None:
        session.commit("a", model_calls=(model_call("1"), model_call("2", model="other", reasoning_output_tokens=3)))
        assert session.load().token_ledger == ()

    def test_a_load_sees_one_moment_while_others_write(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("n0")

        def write() -> None:
            for number in range(1, 20):
                session.commit(f"n{number}", after=f"n{number - 1}", checkpoint=draft(turn_index=number))

        with ThreadPoolExecutor(max_workers=1) as pool:
            writing = pool.submit(write)
            while not writing.done():
                loaded = store.load_session("alpha")
                assert loaded is not None
                assert len(loaded.graph) == loaded.head_revision
                assert loaded.checkpoint.turn_index == loaded.head_revision - 1
            writing.result()
        assert session.load().head_revision == 20

    def test_everything_survives_a_reopen(self, backend: Backend) -> None:
        if not backend.shares_storage:
            assert backend.durability == "ephemeral"
            return
        before = backend.open()
        session = SampleSession(before, "alpha")
        before.commit(session.turn("t1", "a", "b", checkpoint=draft(tool_state=b"tools"), title="A title"))
        expected = session.load()
        before.close()
        after = backend.open()
        loaded = SampleSession(after, "alpha").load()
        assert list(loaded.graph.nodes) == list(expected.graph.nodes)
        assert (loaded.head_revision, loaded.policy, loaded.agent_frames) == (1, expected.policy, expected.agent_frames)
        assert (loaded.checkpoint_ref, loaded.tool_state) == (expected.checkpoint_ref, b"tools")
        info = after.session_info("alpha")
        assert info is not None
        assert (info.title, info.turns) == ("A title", 1)
        after.close()


def _branch(session: SampleSession) -> None:
    session.commit("root", "left")
    session.commit("right", after="root")
    session.commit("left-leaf", after="left")
    session.commit("right-leaf", after="right")
    session.commit(graph=UnchangedGraph(leaf_node_id="left-leaf"))


def _open_frame(session: SampleSession, frame_id: str, *ids: str, after: str) -> tuple[AgentFrame, ...]:
    opened = decide_open_frame(
        (session.frame,), session.frame.frame_id, frame_id=frame_id, reason="compaction", created_at_us=2_000
    )
    assert isinstance(opened, FrameOpened)
    nodes = message_nodes(*ids, after=after, frame_id=frame_id)
    graph = AppendNodes(nodes=nodes, leaf_node_id=ids[-1]) if ids else UnchangedGraph(leaf_node_id=after)
    session.commit(graph=graph, agent_frames=opened.frames, current_agent_frame_id=frame_id)
    return opened.frames
