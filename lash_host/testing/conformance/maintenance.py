"""What upkeep promises, one test a promise: tombstones, vacuum, garbage, checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import content_ref
from lash_host.domain.graph import AppendNodes, ReplaceGraph, SessionNode, UnchangedGraph, message_node
from lash_host.domain.message import ImagePart, Message, Role
from lash_host.errors import StoreError
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.attachments import intend, put
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.drafts import during
from lash_host.testing.conformance.metadata import sample_meta
from lash_host.testing.conformance.racing import landed, race
from lash_host.testing.conformance.samples import SampleSession, draft, got, message_nodes, model_call

__all__ = ["CheckConformance", "MaintenanceConformance"]

PICTURE = b"\x89PNG picture"


class MaintenanceConformance(StoreSuite):
    """What may go, goes; what is in use stays."""

    def test_a_tombstoned_node_is_hidden(self, store: SessionStore, session: SampleSession) -> None:
        """RP29: from every read; the leaf does not move."""
        session.commit("root", "leaf")
        session.commit("side", after="root")
        session.commit(graph=UnchangedGraph(leaf_node_id="leaf"))
        assert store.tombstone_nodes("alpha", ["side", "nowhere"]) == 1
        assert store.load_node("alpha", "side") is None
        assert session.node_ids() == ["root", "leaf"]
        assert session.load().graph.leaf_node_id == "leaf"
        assert (session.load().head_revision, store.info().nodes) == (3, 2)
        assert store.tombstone_nodes("alpha", ["side"]) == 0

    def test_the_id_of_a_tombstoned_node_is_free(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("root", "leaf")
        session.commit("side", after="root")
        session.commit(graph=UnchangedGraph(leaf_node_id="leaf"))
        store.tombstone_nodes("alpha", ["side"])
        session.commit("side", after="leaf")
        assert session.node_ids() == ["root", "leaf", "side"]

    def test_nodes_are_tombstoned_by_session(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a", "b")
        SampleSession(store, "beta").commit("a", "b")
        assert store.tombstone_nodes("nobody", ["a"]) == 0
        assert store.tombstone_nodes("alpha", []) == 0
        assert store.tombstone_nodes("alpha", ["b"]) == 1
        assert SampleSession(store, "beta").node_ids() == ["a", "b"]

    def test_a_vacuum_removes_what_is_tombstoned(self, store: SessionStore, session: SampleSession) -> None:
        """RP29: it counts what it removed, and has nothing to do again."""
        session.commit("root", "leaf")
        session.commit("side", after="root")
        session.commit(graph=UnchangedGraph(leaf_node_id="leaf"))
        store.tombstone_nodes("alpha", ["side"])
        assert store.vacuum().removed_nodes == 1
        assert store.vacuum().removed_nodes == 0
        assert session.node_ids() == ["root", "leaf"]
        assert store.check().problems == ()

    def test_a_vacuum_removes_what_was_replaced(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a", "b", "c")
        session.commit(graph=ReplaceGraph(nodes=message_nodes("a", "x"), leaf_node_id="x"))
        assert store.vacuum().removed_nodes == 3
        assert session.node_ids() == ["a", "x"]
        session.commit("y", after="x")
        assert session.node_ids() == ["a", "x", "y"]

    def test_a_vacuum_keeps_what_was_spent(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a", model_calls=(model_call("c1", input_tokens=5),))
        session.commit(graph=ReplaceGraph(nodes=(), leaf_node_id=None))
        assert store.vacuum().removed_nodes == 1
        assert [entry.usage.input_tokens for entry in session.load().token_ledger] == [5]

    def test_a_vacuum_leaves_pending_inputs(self, store: SessionStore, session: SampleSession) -> None:
        session.say("claimed")
        session.say("accepted", ingress=during("t1"))
        held = got(session.claim_inputs()), got(session.accept_inputs("t1"))
        kept = session.say("waits").input_id
        assert store.vacuum().removed_turn_inputs == 0
        assert session.pending() == [kept]
        session.settle(*held)
        assert store.vacuum().removed_turn_inputs == 2
        assert session.pending() == [kept]

    def test_garbage_is_what_no_checkpoint_names(self, store: SessionStore, session: SampleSession) -> None:
        """RP30: the body of the earlier checkpoint goes, that of the present one stays, and then nothing goes."""
        session.commit("a", checkpoint=draft(tool_state=b"generation 1"))
        session.commit("b", after="a", checkpoint=draft(tool_state=b"generation 2"))
        report = store.collect_garbage()
        assert report.roots >= 1
        assert (report.retained, report.deleted, report.deleted_bytes) == (1, 1, len(b"generation 1"))
        assert session.load().tool_state == b"generation 2"
        assert store.load_blob(content_ref(b"generation 1")) is None
        assert store.collect_garbage().deleted == 0

    def test_garbage_is_collected_of_nothing_too(self, store: SessionStore) -> None:
        """RP29: a store without blobs has no garbage."""
        assert store.collect_garbage().model_dump() == {"roots": 0, "retained": 0, "deleted": 0, "deleted_bytes": 0}
        report = store.vacuum()
        assert (report.removed_nodes, report.removed_turn_inputs) == (0, 0)

    def test_every_body_of_a_checkpoint_is_kept(self, store: SessionStore, session: SampleSession) -> None:
        bodies = {"tool_state": b"tools", "plugin_snapshot": b"plugins", "execution_state": b"vm"}
        session.commit("a", checkpoint=draft(**bodies, plugin_snapshot_revision=1))
        assert store.collect_garbage().deleted == 0
        assert [store.load_blob(content_ref(body)) for body in bodies.values()] == list(bodies.values())

    def test_images_of_nodes_are_kept(self, store: SessionStore, session: SampleSession) -> None:
        session.commit(graph=AppendNodes(nodes=(_picture(),), leaf_node_id="picture"), blobs=_blob(PICTURE))
        session.commit("b", after="picture", blobs=_blob(b"named by nothing"))
        assert store.collect_garbage().deleted == 1
        assert store.load_blob(content_ref(PICTURE)) == PICTURE

    def test_bodies_of_a_deleted_session_are_garbage_unless_others_have_them(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        session.commit("a", checkpoint=draft(tool_state=b"shared", plugin_snapshot=b"own", plugin_snapshot_revision=1))
        SampleSession(store, "beta").commit("a", checkpoint=draft(tool_state=b"shared"))
        store.delete_session("alpha")
        assert store.collect_garbage().deleted == 1
        assert SampleSession(store, "beta").load().tool_state == b"shared"
        assert store.load_blob(content_ref(b"own")) is None

    def test_a_body_that_was_garbage_can_be_committed_again(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a", checkpoint=draft(tool_state=b"one"))
        session.commit("b", after="a", checkpoint=draft(tool_state=b"two"))
        store.collect_garbage()
        session.commit("c", after="b", checkpoint=draft(tool_state=b"one"))
        assert session.load().tool_state == b"one"

    def test_upkeep_while_others_commit_loses_nothing(self, handles: tuple[SessionStore, SessionStore]) -> None:
        store, other = handles
        session = SampleSession(store, "alpha")
        session.commit("n0", checkpoint=draft(tool_state=b"state 0"))
        for number in range(1, 16):
            body = draft(tool_state=f"state {number % 2}".encode())
            commit = partial(session.commit, f"n{number}", after=f"n{number - 1}", checkpoint=body)
            upkeep: list[Callable[[], object]] = [commit, other.collect_garbage, other.vacuum]
            assert not [outcome for outcome in race(upkeep) if isinstance(outcome, StoreError)]
            assert session.load().tool_state == body.tool_state
        assert session.node_ids() == [f"n{number}" for number in range(16)]
        assert store.check().problems == ()

    def test_upkeep_by_several_at_once_is_done_once(self, handles: tuple[SessionStore, SessionStore]) -> None:
        session = SampleSession(handles[0], "alpha")
        session.commit("root", checkpoint=draft(tool_state=b"first"))
        session.commit("gone", after="root", checkpoint=draft(tool_state=b"second"))
        session.commit("leaf", after="root", checkpoint=draft(tool_state=b"third"))
        hidden = race([partial(handles[n % 2].tombstone_nodes, "alpha", ["gone"]) for n in range(4)])
        assert sorted(landed(hidden)) == [0, 0, 0, 1]
        vacuums = landed(race([handles[n % 2].vacuum for n in range(4)]))
        assert sorted(report.removed_nodes for report in vacuums) == [0, 0, 0, 1]
        collections = landed(race([handles[n % 2].collect_garbage for n in range(4)]))
        assert sorted(report.deleted for report in collections) == [0, 0, 0, 2]
        assert (session.node_ids(), session.load().tool_state) == (["root", "leaf"], b"third")


class CheckConformance(StoreSuite):
    """A store that only ever was used as it should be is healthy."""

    def test_an_empty_store_is_healthy(self, store: SessionStore) -> None:
        report = store.check()
        assert (report.sessions, report.commits, report.nodes, report.problems) == (0, 0, 0, ())

    def test_a_store_with_everything_in_it_is_healthy(self, store: SessionStore, clock: ManualClock) -> None:
        _live(store, clock)
        report = store.check()
        assert report.problems == ()
        assert (report.sessions, report.commits) == (2, 14)
        assert report.attachments >= 1
        assert report.nodes >= 10
        assert report.blobs >= 2

    def test_a_store_after_upkeep_is_healthy(self, store: SessionStore, clock: ManualClock) -> None:
        _live(store, clock)
        store.vacuum()
        store.collect_garbage()
        clock.advance(1_000)
        store.reclaim_attachments(grace_ms=0)
        assert store.check().problems == ()
        SampleSession(store, "beta").commit("more")
        assert store.check().problems == ()

    def test_a_store_that_was_reopened_is_healthy(self, backend: Backend, clock: ManualClock) -> None:
        if not backend.reopens:
            return
        before = backend.open()
        _live(before, clock)
        before.close()
        after = backend.open()
        assert after.check().problems == ()
        after.close()

    def test_bytes_that_were_only_intended_are_not_missing(self, store: SessionStore) -> None:
        intend(store)
        assert store.check().problems == ()

    def test_a_check_tells_how_far_it_is(self, store: SessionStore, clock: ManualClock) -> None:
        _live(store, clock)
        told: list[tuple[str, int, int]] = []
        store.check(progress=lambda what, done, total: told.append((what, done, total)))
        assert told
        assert all(what and 0 <= done <= total for what, done, total in told)

    def test_a_check_changes_nothing(self, store: SessionStore, session: SampleSession, clock: ManualClock) -> None:
        _live(store, clock)
        before = session.load()
        assert store.check() == store.check()
        after = session.load()
        assert (after.head_revision, list(after.graph.nodes)) == (before.head_revision, list(before.graph.nodes))


def _live(store: SessionStore, clock: ManualClock) -> None:
    """Let two sessions live a little: 14 commits that append, branch, replace, settle, refer; a third is deleted."""
    store.create_session(sample_meta())
    for session_id in ("alpha", "beta", "gone"):
        session = SampleSession(store, session_id)
        session.command()
        session.wake(1)
        session.wake(2)
        session.say("first")
        session.settle(got(session.claim_command()))
        store.commit(session.turn("t1", "a", "b", "c", checkpoint=draft(tool_state=b"one")))
        clock.advance(1)
        session.commit("side", after="a", attachment_ids=(put(store, b"file", session_id=session_id),))
        session.settle(got(session.claim_work()), got(session.claim_inputs()))
        graph = ReplaceGraph(nodes=(_picture(),), leaf_node_id="picture")
        session.commit(graph=graph, blobs=_blob(PICTURE), model_calls=(model_call("c1", input_tokens=3),))
        session.commit("x", "y", after="picture", checkpoint=draft(tool_state=session_id.encode()))
        clock.advance(1)
        session.commit(graph=UnchangedGraph(leaf_node_id="x"))
        store.tombstone_nodes(session_id, ["y"])
    store.delete_session("gone")


def _picture() -> SessionNode:
    part = ImagePart(blob_ref=content_ref(PICTURE), media_type="image/png")
    message = Message(message_id="picture", role=Role.USER, parts=(part,))
    return message_node(
        message, node_id="picture", parent_node_id=None, frame_id="alpha:frame:initial", created_at_us=1_000
    )


def _blob(body: bytes) -> dict[str, bytes]:
    return {content_ref(body): body}
