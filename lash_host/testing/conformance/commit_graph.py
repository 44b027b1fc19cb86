"""The commit contract, one test a promise: the graph, the frames, the checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import content_ref
from lash_host.domain.frame import FrameOpened, decide_open_frame
from lash_host.domain.graph import AppendNodes, ReplaceGraph, UnchangedGraph
from lash_host.domain.policy import ProtocolTurnOptions
from lash_host.domain.usage import TokenUsage
from lash_host.errors import InvalidCommit
from lash_host.testing.conformance.backend import StoreSuite
from lash_host.testing.conformance.samples import SampleSession, draft, message_nodes, model_call

__all__ = ["GraphCommitConformance"]


class GraphCommitConformance(StoreSuite):
    """What a commit makes of a session's graph, frames and checkpoint."""

    def test_nodes_come_back_as_they_were_committed(self, session: SampleSession) -> None:
        nodes = message_nodes("a", "b")
        session.commit(graph=AppendNodes(nodes=nodes, leaf_node_id="b"))
        loaded = session.load().graph
        assert tuple(loaded.nodes) == nodes
        assert loaded.leaf_node_id == "b"

    def test_text_of_any_language_comes_back(self, session: SampleSession) -> None:
        nodes = message_nodes("naïve-日本-🦆")
        session.commit(graph=AppendNodes(nodes=nodes, leaf_node_id=nodes[-1].node_id))
        assert [node.message.text for node in session.load().graph.nodes] == ["text of naïve-日本-🦆"]

    def test_many_nodes_land_at_once(self, session: SampleSession) -> None:
        ids = [f"n{n}" for n in range(5_000)]
        session.commit(*ids)
        assert session.node_ids() == ids

    def test_a_node_needs_a_parent_that_exists(self, store: SessionStore, session: SampleSession) -> None:
        with pytest.raises(InvalidCommit):
            session.commit("a", after="nowhere")
        assert store.load_session("alpha") is None

    def test_a_parent_of_another_session_does_not_exist(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        with pytest.raises(InvalidCommit):
            SampleSession(store, "beta").commit("b", after="a")

    def test_a_leaf_must_exist(self, session: SampleSession) -> None:
        with pytest.raises(InvalidCommit):
            session.commit(graph=AppendNodes(nodes=message_nodes("a"), leaf_node_id="nowhere"))

    def test_a_node_id_is_given_once(self, session: SampleSession) -> None:
        session.commit("a", "b")
        with pytest.raises(InvalidCommit):
            session.commit("a", after="b")
        assert session.node_ids() == ["a", "b"]

    def test_a_node_id_is_given_once_among_many(self, session: SampleSession) -> None:
        session.commit(*(f"n{n}" for n in range(200)))
        with pytest.raises(InvalidCommit):
            session.commit(*(f"m{n}" for n in range(100)), "n42", after="n199")
        assert len(session.node_ids()) == 200

    def test_a_node_id_is_given_once_within_a_commit(self, session: SampleSession) -> None:
        twice = (*message_nodes("a"), *message_nodes("a"))
        with pytest.raises(InvalidCommit):
            session.commit(graph=AppendNodes(nodes=twice, leaf_node_id="a"))

    def test_node_ids_are_told_apart_by_session(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        beta = SampleSession(store, "beta")
        beta.commit("a", "b")
        assert (session.node_ids(), beta.node_ids()) == (["a"], ["a", "b"])

    def test_a_branch_moves_the_leaf(self, session: SampleSession) -> None:
        session.commit("a", "b", "c")
        session.commit(graph=UnchangedGraph(leaf_node_id="a"))
        assert session.load().graph.leaf_node_id == "a"
        session.commit("d", after="a")
        assert [node.node_id for node in session.load().graph.active_path] == ["a", "d"]

    def test_a_branch_to_nowhere_is_refused(self, session: SampleSession) -> None:
        session.commit("a")
        with pytest.raises(InvalidCommit):
            session.commit(graph=UnchangedGraph(leaf_node_id="nowhere"))
        assert session.load().graph.leaf_node_id == "a"

    def test_a_leaf_may_be_none(self, session: SampleSession) -> None:
        session.commit("a")
        session.commit(graph=UnchangedGraph(leaf_node_id=None))
        assert session.load().graph.leaf_node_id is None
        assert session.node_ids() == ["a"]

    def test_replacing_the_graph_hides_what_was_there(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a", "b")
        session.commit(graph=ReplaceGraph(nodes=message_nodes("x", "y"), leaf_node_id="y"))
        assert session.node_ids() == ["x", "y"]
        assert store.load_node("alpha", "a") is None
        assert store.info().nodes == 2

    def test_replacing_the_graph_may_use_its_ids_again(self, session: SampleSession) -> None:
        session.commit("a", "b")
        session.commit(graph=ReplaceGraph(nodes=message_nodes("b"), leaf_node_id="b"))
        session.commit("c", after="b")
        assert session.node_ids() == ["b", "c"]

    def test_replacing_the_graph_keeps_what_was_spent(self, session: SampleSession) -> None:
        session.commit("a", model_calls=(model_call("c1", input_tokens=5),))
        session.commit(graph=ReplaceGraph(nodes=(), leaf_node_id=None))
        assert [entry.usage.input_tokens for entry in session.load().token_ledger] == [5]

    def test_a_replaced_parent_does_not_exist(self, session: SampleSession) -> None:
        session.commit("a")
        session.commit(graph=ReplaceGraph(nodes=message_nodes("x"), leaf_node_id="x"))
        with pytest.raises(InvalidCommit):
            session.commit("b", after="a")

    def test_frames_and_the_state_of_a_code_executor_come_back(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        """RP2: two frames, the reason of the second, and the bytes of a code executor's state."""
        opened = decide_open_frame(
            (session.frame,), session.frame.frame_id, frame_id="frame-2", reason="plan_mode", created_at_us=2_000
        )
        assert isinstance(opened, FrameOpened)
        result = session.commit(
            "a",
            agent_frames=opened.frames,
            current_agent_frame_id="frame-2",
            checkpoint=draft(execution_state=b"frame-vm"),
        )
        loaded = session.load()
        assert (result.head_revision, loaded.head_revision) == (1, 1)
        assert loaded.agent_frames == opened.frames
        assert loaded.current_agent_frame_id == "frame-2"
        assert loaded.checkpoint.execution_state_ref == content_ref(b"frame-vm")
        assert store.load_blob(content_ref(b"frame-vm")) == b"frame-vm"

    def test_a_checkpoint_comes_back_with_its_bodies(self, session: SampleSession) -> None:
        result = session.commit(
            "a",
            checkpoint=draft(
                turn_index=3,
                token_usage=TokenUsage(input_tokens=7),
                last_prompt_usage=TokenUsage(output_tokens=2),
                protocol_turn_options=ProtocolTurnOptions(payload={"depth": 2}),
                tool_state=b"tools",
                plugin_snapshot=b"plugins",
                plugin_snapshot_revision=12,
            ),
        )
        loaded = session.load()
        assert (loaded.tool_state, loaded.plugin_snapshot) == (b"tools", b"plugins")
        assert loaded.checkpoint.turn_index == 3
        assert loaded.checkpoint.token_usage.input_tokens == 7
        assert loaded.checkpoint.last_prompt_usage == TokenUsage(output_tokens=2)
        assert loaded.checkpoint.protocol_turn_options.payload == {"depth": 2}
        assert (result.tool_state_ref, result.plugin_snapshot_revision) == (content_ref(b"tools"), 12)
        assert result.checkpoint_ref == loaded.checkpoint_ref

    def test_a_body_that_is_not_given_again_is_kept(self, session: SampleSession) -> None:
        first = session.commit("a", checkpoint=draft(plugin_snapshot=b"plugins", plugin_snapshot_revision=12))
        kept = draft(plugin_snapshot_ref=first.plugin_snapshot_ref, plugin_snapshot_revision=12)
        second = session.commit("b", after="a", checkpoint=kept)
        assert second.plugin_snapshot_ref == first.plugin_snapshot_ref
        assert session.load().plugin_snapshot == b"plugins"

    def test_a_component_without_body_and_ref_is_gone(self, session: SampleSession) -> None:
        session.commit("a", checkpoint=draft(plugin_snapshot=b"plugins", plugin_snapshot_revision=12))
        result = session.commit("b", after="a")
        assert (result.plugin_snapshot_ref, session.load().plugin_snapshot) == (None, None)

    def test_a_checkpoint_may_name_the_body_of_another_session(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        result = session.commit("a", checkpoint=draft(tool_state=b"tools"))
        child = SampleSession(store, "child")
        child.commit("a", checkpoint=draft(tool_state_ref=result.tool_state_ref))
        assert child.load().tool_state == b"tools"

    def test_a_checkpoint_must_not_name_a_body_that_is_nowhere(self, session: SampleSession) -> None:
        with pytest.raises(InvalidCommit):
            session.commit("a", checkpoint=draft(tool_state_ref=content_ref(b"never stored")))

    def test_equal_checkpoints_share_a_name(self, session: SampleSession) -> None:
        first = session.commit("a", checkpoint=draft(turn_index=1))
        second = session.commit("b", after="a", checkpoint=draft(turn_index=1))
        third = session.commit("c", after="b", checkpoint=draft(turn_index=2))
        assert first.checkpoint_ref == second.checkpoint_ref != third.checkpoint_ref

    def test_a_policy_is_replaced_as_a_whole(self, session: SampleSession) -> None:
        session.commit("a")
        changed = session.policy.model_copy(update={"max_turns": 3, "autonomous": True})
        session.commit("b", after="a", policy=changed)
        assert session.load().policy == changed

    def test_a_snapshot_revision_without_a_snapshot_means_nothing(self, session: SampleSession) -> None:
        result = session.commit("a", checkpoint=replace(draft(), plugin_snapshot_revision=12))
        assert result.plugin_snapshot_revision is None
