"""What the owner of a database remembers is what is stored, and it is bounded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import duckdb
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.graph import ReplaceGraph
from lash_host.domain.lease import LeaseAcquired, SessionLease
from lash_host.errors import InvalidCommit, StoreUnwritable, TurnCommitConflict
from lash_host.store.head import Head
from lash_host.store.logged import memory as logged_memory
from lash_host.store.logged.memory import Memory, SessionIds, SessionMemory
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession, message_nodes
from lash_host.testing.conformance.samples import TTL_MS

MemoryOf = Callable[[SessionStore], Memory]
MOST = 1_024


@pytest.fixture
def session(memory: SessionStore) -> SampleSession:
    return SampleSession(memory, "alpha")


def _head(session_id: str, *, expires_at_ms: int | None = None) -> Head:
    head = Head.fresh(session_id, session_key=1, now_us=0)
    lease = {"lease_token": "t", "lease_owner": '{"owner_id":"o","incarnation_id":"i"}'}
    return head if expires_at_ms is None else head.changed(lease | {"lease_expires_at_ms": expires_at_ms})


def _touch(remembered: Memory, session_id: str, head: Head | None = None, *, now_ms: int = 0) -> SessionMemory:
    session = remembered.get(session_id) or remembered.remember(session_id, head, now_ms=now_ms)
    if head is not None:
        session.head = head
    remembered.keep(session_id, session)
    return session


def test_only_so_many_sessions_are_remembered_and_the_latest_stay() -> None:
    remembered = Memory()
    for number in range(MOST + 10):
        _touch(remembered, f"s{number}")
        _touch(remembered, "s0")
    assert len(remembered) == MOST
    assert remembered.get("s0") is not None
    assert remembered.get("s1") is None
    assert remembered.get(f"s{MOST + 9}") is not None


def test_a_session_that_is_held_is_remembered_however_many_there_are() -> None:
    remembered = Memory()
    for number in range(MOST + 10):
        _touch(remembered, f"held{number}", _head(f"held{number}", expires_at_ms=100))
    assert len(remembered) == MOST + 10
    _touch(remembered, "new", now_ms=99)
    assert remembered.get("new") is not None
    _touch(remembered, "newer", now_ms=100)
    assert len(remembered) == MOST
    assert remembered.get("newer") is not None


def test_a_lease_outlives_that_its_session_is_read_again() -> None:
    remembered = Memory()
    leased = _head("a", expires_at_ms=100)
    _touch(remembered, "a", leased)
    remembered.forget("a", now_ms=99)
    assert remembered.get("a") is None
    again = remembered.remember("a", _head("a").changed({"head_revision": 7}), now_ms=99)
    assert again.is_leased(99)
    assert again.head is not None
    assert (again.head.row["head_revision"], again.head.row["lease_token"]) == (7, "t")
    remembered.forget("a", now_ms=100)
    assert not remembered.remember("a", _head("a"), now_ms=100).is_leased(0)


def test_a_lease_ends_with_its_session() -> None:
    remembered = Memory()
    _touch(remembered, "a", _head("a", expires_at_ms=100))
    remembered.forget_all(now_ms=0)
    other = Head.fresh("a", session_key=2, now_us=0)
    assert not remembered.remember("a", other, now_ms=0).is_leased(0)


def test_tokens_that_were_granted_are_below_the_one_that_is_written() -> None:
    session = SessionMemory(None)
    granted = _head("a", expires_at_ms=100).changed({"fencing_token": 3})
    written = session.to_write(granted)
    assert written.row["fencing_token"] > 3
    assert (written.row["lease_token"], written.row["lease_owner"]) == (None, None)
    session.written = written
    assert not session.needs_writing(granted)
    assert session.to_write(granted).row["fencing_token"] == written.row["fencing_token"]
    beyond = granted.changed({"fencing_token": written.row["fencing_token"] + 1})
    assert session.needs_writing(beyond)


def test_ids_are_bounded_and_those_of_the_latest_sessions_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged_memory, "MOST_IDS", 10)
    remembered = Memory()
    sessions = [_touch(remembered, f"s{number}") for number in range(4)]
    for number, session in enumerate(sessions):
        remembered.keep_ids(f"s{number}", session, SessionIds({"a", "b", "c"}, {"t"}))
    assert [session.ids is not None for session in sessions] == [False, False, True, True]
    remembered.took("s3", sessions[3], replaced=False, node_ids=["d"], turn_ids=["u", "v"])
    assert sessions[2].ids is None
    assert sessions[3].ids is not None
    assert (sessions[3].ids.nodes, sessions[3].ids.turns) == ({"a", "b", "c", "d"}, {"t", "u", "v"})
    remembered.took("s3", sessions[3], replaced=False, node_ids=map(str, range(9)), turn_ids=[])
    assert sessions[3].ids is None
    assert remembered._ids == 0


def test_ids_count_no_more_when_their_session_is_forgotten() -> None:
    remembered = Memory()
    for _ in range(3):
        session = _touch(remembered, "a")
        remembered.keep_ids("a", session, SessionIds({"n"}, {"t"}))
        remembered.forget("a", now_ms=0)
        remembered.keep("a", session)
    assert remembered._ids == 2
    remembered.forget_all(now_ms=0)
    assert remembered._ids == 0


@pytest.mark.parametrize("most_ids", [1_000, 0], ids=["remembered", "not remembered"])
def test_ids_are_checked_whether_they_are_remembered_or_not(
    memory: SessionStore, session: SampleSession, monkeypatch: pytest.MonkeyPatch, most_ids: int
) -> None:
    monkeypatch.setattr("lash_host.store.logged.memory.MOST_IDS", most_ids)
    monkeypatch.setattr("lash_host.store.logged.work.MOST_IDS", most_ids)
    first = session.turn("t1", "a")
    result = memory.commit(first)
    session.commit("b", after="a")
    session.commit("c", after="b")
    for ids, after in ((("a",), "c"), (("d",), "nowhere"), (("d", "b"), "c")):
        with pytest.raises(InvalidCommit):
            session.commit(*ids, after=after)
    assert memory.commit(replace(first, fence=None)) == result
    with pytest.raises(TurnCommitConflict):
        memory.commit(replace(session.turn("t1", "e", after="c")))
    assert session.node_ids() == ["a", "b", "c"]


def test_replaced_ids_are_free_again(session: SampleSession) -> None:
    session.commit("a", "b")
    session.commit("c", after="b")
    session.commit(graph=ReplaceGraph(nodes=message_nodes("b"), leaf_node_id="b"))
    session.commit("a", after="b")
    assert session.node_ids() == ["b", "a"]


def test_what_a_failed_commit_would_have_made_is_not_remembered(
    memory: SessionStore, session: SampleSession, failing_log: Callable[..., AbstractContextManager[None]]
) -> None:
    session.commit("a")
    session.commit("b", after="a")
    commit = session.turn("t1", "c", after="b")
    with failing_log(duckdb.IOException("No space left on device")), pytest.raises(StoreUnwritable):
        memory.commit(commit)
    assert memory.commit(commit).head_revision == 3
    assert session.node_ids() == ["a", "b", "c"]


def test_a_deleted_session_is_forgotten(memory: SessionStore, session: SampleSession) -> None:
    memory.commit(session.turn("t1", "a"))
    memory.delete_session("alpha")
    assert memory.commit(session.turn("t1", "a")).head_revision == 1


def test_upkeep_leaves_leases_and_has_the_rest_read_again(
    memory: SessionStore, session: SampleSession, memory_of: MemoryOf, clock: ManualClock
) -> None:
    session.commit("a", "b")
    fence = session.claim()
    other = SampleSession(memory, "beta").claim()
    assert memory.tombstone_nodes("alpha", ["b"]) == 1
    assert len(memory_of(memory)) == 0
    clock.advance(1)
    renewed = memory.renew_lease(fence, ttl_ms=TTL_MS)
    assert isinstance(renewed, SessionLease)
    assert renewed.expires_at_ms == clock.now_us() // 1000 + TTL_MS
    memory.release_lease(other)
    assert session.commit("b", after="a", fence=fence).head_revision == 2


def test_tokens_only_grow_whatever_is_forgotten(memory: SessionStore, memory_of: MemoryOf) -> None:
    session = SampleSession(memory, "alpha")
    tokens = []
    for _ in range(150):
        claimed = memory.claim_lease("alpha", session.owner, ttl_ms=TTL_MS)
        assert isinstance(claimed, LeaseAcquired)
        tokens.append(claimed.lease.fence.fencing_token)
        memory.release_lease(claimed.lease.fence)
        if len(tokens) % 7 == 0:
            memory_of(memory).forget("alpha", now_ms=0)
    assert tokens == sorted(set(tokens))
