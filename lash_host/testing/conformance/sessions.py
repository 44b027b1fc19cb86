"""What listing, describing and deleting sessions promises, one test a promise."""

from __future__ import annotations

from lash_host.contracts.store import DeletionReport, SessionStore
from lash_host.domain.commit import HookCallFact, PluginSeen, content_ref
from lash_host.domain.lease import LeaseAcquired
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import StoreSuite
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, draft, model_call

__all__ = ["SessionsConformance"]


class SessionsConformance(StoreSuite):
    """What a store says of its sessions, and what is left of a deleted one."""

    def test_a_session_tells_what_it_is(self, store: SessionStore, session: SampleSession, clock: ManualClock) -> None:
        created_at_us = clock.now_us()
        session.commit("a", title="First")
        clock.advance(5)
        store.commit(session.turn("t1", "b", after="a"))
        info = store.session_info("alpha")
        assert info is not None
        assert (info.session_id, info.title, info.head_revision, info.turns) == ("alpha", "First", 2, 1)
        assert (info.provider_id, info.model) == ("acme", "large")
        assert (info.created_at_us, info.last_turn_at_us) == (created_at_us, created_at_us + 5_000_000)
        assert store.list_sessions() == [info]

    def test_an_unknown_session_has_no_info(self, store: SessionStore) -> None:
        assert store.session_info("nobody") is None

    def test_the_first_title_stays(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        session.commit("b", after="a", title="First")
        session.commit("c", after="b", title="Second")
        info = store.session_info("alpha")
        assert info is not None
        assert info.title == "First"

    def test_a_session_is_its_own_root_unless_it_has_a_parent(self, store: SessionStore) -> None:
        SampleSession(store, "grandparent").commit("a")
        SampleSession(store, "parent").commit("a", parent_session_id="grandparent")
        SampleSession(store, "child").commit("a", parent_session_id="parent")
        SampleSession(store, "orphan").commit("a", parent_session_id="elsewhere")
        found = {info.session_id: (info.parent_session_id, info.root_session_id) for info in store.list_sessions()}
        assert found == {
            "grandparent": (None, "grandparent"),
            "parent": ("grandparent", "grandparent"),
            "child": ("parent", "grandparent"),
            "orphan": ("elsewhere", "elsewhere"),
        }

    def test_a_parent_is_recorded_once(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a", parent_session_id="first")
        session.commit("b", after="a", parent_session_id="second")
        info = store.session_info("alpha")
        assert info is not None
        assert info.parent_session_id == "first"

    def test_the_session_with_the_latest_turn_is_listed_first(self, store: SessionStore, clock: ManualClock) -> None:
        for name in ("a", "b", "c"):
            SampleSession(store, name).commit("n")
        for name in ("b", "a"):
            clock.advance(1)
            store.commit(SampleSession(store, name).turn("t1", "m", after="n"))
        assert [info.session_id for info in store.list_sessions()] == ["a", "b", "c"]
        assert [info.session_id for info in store.list_sessions(limit=2)] == ["a", "b"]

    def test_children_can_be_listed(self, store: SessionStore) -> None:
        SampleSession(store, "parent").commit("a")
        SampleSession(store, "child").commit("a", parent_session_id="parent")
        assert [info.session_id for info in store.list_sessions(parent_session_id="parent")] == ["child"]
        assert store.list_sessions(parent_session_id="child") == []

    def test_the_store_counts_what_it_holds(self, store: SessionStore, session: SampleSession) -> None:
        store.commit(session.turn("t1", "a", "b", checkpoint=draft(tool_state=b"tools")))
        info = store.info()
        assert (info.sessions, info.nodes, info.turns, info.blobs, info.blob_bytes) == (1, 2, 1, 1, 5)
        assert info.schema_version >= 1
        assert info.dialect

    def test_deleting_tells_what_was_removed(self, store: SessionStore, session: SampleSession) -> None:
        _commit_everything(session)
        assert store.delete_session("alpha") == DeletionReport(
            session_id="alpha", existed=True, nodes=2, turns=1, model_calls=2, tool_calls=1
        )

    def test_nothing_is_left_of_a_deleted_session(self, store: SessionStore, session: SampleSession) -> None:
        _commit_everything(session)
        store.delete_session("alpha")
        assert store.load_session("alpha") is None
        assert store.load_node("alpha", "a") is None
        assert store.list_sessions() == []
        info = store.info()
        assert (info.sessions, info.nodes, info.turns) == (0, 0, 0)

    def test_deleting_leaves_other_sessions_alone(self, store: SessionStore, session: SampleSession) -> None:
        _commit_everything(session)
        other = SampleSession(store, "beta")
        _commit_everything(other)
        store.delete_session("alpha")
        assert other.node_ids() == ["a", "b"]
        assert [entry.usage.input_tokens for entry in other.load().token_ledger] == [8]

    def test_deleting_leaves_blobs_that_others_may_share(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a", checkpoint=draft(tool_state=b"tools"))
        store.delete_session("alpha")
        assert store.load_blob(content_ref(b"tools")) == b"tools"

    def test_deleting_twice_is_no_error(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        store.delete_session("alpha")
        assert store.delete_session("alpha") == DeletionReport(session_id="alpha", existed=False)

    def test_a_deleted_session_starts_anew(self, store: SessionStore, session: SampleSession) -> None:
        store.commit(session.turn("t1", "a"))
        store.delete_session("alpha")
        claimed = store.claim_lease("alpha", session.owner, ttl_ms=TTL_MS)
        assert isinstance(claimed, LeaseAcquired)
        assert claimed.lease.fence.fencing_token == 1
        assert store.commit(session.turn("t1", "a")).head_revision == 1

    def test_a_lease_ends_with_its_session(self, store: SessionStore, session: SampleSession) -> None:
        fence = session.claim()
        store.delete_session("alpha")
        store.release_lease(fence)
        assert store.session_info("alpha") is None

    def test_closing_twice_is_no_error(self, store: SessionStore) -> None:
        store.close()
        store.close()


def _commit_everything(session: SampleSession) -> None:
    call = ToolCallRecord(
        call_id="call",
        tool_id="acme.search",
        tool_name="search",
        plugin_id="acme",
        arguments={"q": "ducks"},
        output=ToolOutput.success({"found": 1}),
        attempts=1,
        started_at_us=1_000,
        duration_ms=3.5,
    )
    session.store.commit(
        session.turn(
            "t1",
            "a",
            "b",
            model_calls=(model_call("1", input_tokens=5), model_call("2", input_tokens=3)),
            tool_calls=(call,),
            hook_calls=(
                HookCallFact(plugin_id="acme", hook="lash_before_turn", calls=1, total_ms=1, max_ms=1, errors=0),
            ),
            plugins=(PluginSeen(plugin_id="acme", version="1.0"),),
        )
    )
