"""Tombstones, vacuum, garbage, retention: what the suites of the contract do not look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import content_ref
from lash_host.domain.graph import AppendNodes, ReplaceGraph, SessionNode, UnchangedGraph, message_node
from lash_host.domain.lease import LeaseAcquired, LeaseBusy, LeaseOwner
from lash_host.domain.maintenance import Retention
from lash_host.domain.message import ImagePart, Message, Role
from lash_host.errors import StoreError
from lash_host.store import open_store, retention
from lash_host.store.liveness import current_process_identity
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import draft, message_nodes, owner

Run = Callable[[str], list[tuple[object, ...]]]

PICTURE = b"\x89PNG"


@pytest.fixture(params=["duckdb", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    is_file = request.param == "duckdb"
    return str(tmp_path / "x.duckdb") if is_file else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str, clock: ManualClock) -> Iterator[SessionStore]:
    store = open_store(url, clock=clock)
    yield store
    store.close()


@pytest.fixture
def run(store: SessionStore) -> Run:
    def execute(sql: str) -> list[tuple[object, ...]]:
        with store._engine.exclusive() as transaction:
            if sql.startswith("SELECT"):
                return transaction.rows(text(sql))
            transaction.script(sql)
            return []

    return execute


@pytest.fixture
def session(store: SessionStore) -> SampleSession:
    return SampleSession(store, "alpha")


def picture(node_id: str, body: bytes, *, after: str | None = None) -> SessionNode:
    parts = (ImagePart(blob_ref=content_ref(body), media_type="image/png"),)
    message = Message(message_id=node_id, role=Role.USER, parts=parts)
    return message_node(message, node_id=node_id, parent_node_id=after, frame_id="alpha:frame:initial", created_at_us=1)


def test_hiding_counts_down_and_only_what_was_live(store: SessionStore, session: SampleSession, run: Run) -> None:
    session.commit("a", "b")
    session.commit(graph=ReplaceGraph(nodes=message_nodes("c", "d", "e"), leaf_node_id="c"))
    assert store.tombstone_nodes("alpha", ["a", "d", "d", "x", "e"]) == 2
    assert run("SELECT live_nodes FROM lash_tables.sessions") == [(1,)]
    hidden = run("SELECT node_id FROM lash_tables.nodes WHERE tombstoned ORDER BY node_id")
    assert hidden == [("d",), ("e",)]


def test_a_vacuum_marks_the_commits_it_took_from_and_no_others(
    store: SessionStore, session: SampleSession, run: Run
) -> None:
    session.commit("a", "b")
    session.commit(graph=UnchangedGraph(leaf_node_id="b"))
    session.commit("c", after="b")
    session.commit(graph=ReplaceGraph(nodes=message_nodes("d", "e"), leaf_node_id="d"))
    session.commit("f", after="d")
    SampleSession(store, "beta").commit("a")
    store.tombstone_nodes("alpha", ["e"])
    assert store.vacuum().removed_nodes == 4
    pruned = run(
        "SELECT c.head_revision FROM lash_tables.commits AS c JOIN lash_tables.sessions AS s USING (session_key)"
        " WHERE is_pruned AND session_id = 'alpha' ORDER BY 1"
    )
    assert pruned == [(1,), (3,), (4,)]
    assert run("SELECT count(*) FROM lash_tables.commits WHERE is_pruned") == [(3,)]
    assert store.check().problems == ()


def test_pictures_of_hidden_nodes_stay_until_they_are_vacuumed(store: SessionStore, session: SampleSession) -> None:
    pictures = AppendNodes(nodes=(picture("a", PICTURE), picture("b", b"other", after="a")), leaf_node_id="b")
    session.commit(graph=pictures, blobs={content_ref(body): body for body in (PICTURE, b"other")})
    session.commit(graph=ReplaceGraph(nodes=(picture("c", PICTURE),), leaf_node_id="c"))
    assert store.collect_garbage().deleted == 0
    store.vacuum()
    report = store.collect_garbage()
    assert (report.deleted, report.retained, report.deleted_bytes) == (1, 1, len(b"other"))
    assert store.load_blob(content_ref(PICTURE)) == PICTURE


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE lash_tables.sessions SET checkpoint = '{}' WHERE session_id = 'beta'", "session 'beta'"),
        ("UPDATE lash_tables.sessions SET checkpoint = 'x' WHERE session_id = 'beta'", "session 'beta'"),
        ("UPDATE lash_tables.nodes SET payload = 'x' WHERE node_id = 'a'", "node 'a'"),
        ("UPDATE lash_tables.nodes SET payload = '{\"blob_ref\": 1}' WHERE node_id = 'a'", "node 'a'"),
        ("UPDATE lash_tables.nodes SET payload = '{\"parts\": [' WHERE node_id = 'a'", "node 'a'"),
    ],
)
def test_nothing_is_deleted_where_a_reference_may_be_overlooked(
    store: SessionStore, session: SampleSession, run: Run, damage: str, said: str
) -> None:
    session.commit("a", checkpoint=draft(tool_state=b"one"))
    session.commit("b", after="a", checkpoint=draft(tool_state=b"two"))
    SampleSession(store, "beta").commit("c")
    run(damage)
    with pytest.raises(StoreError, match=f"nothing was deleted: .*{said}"):
        store.collect_garbage()
    assert store.info().blobs == 2


def test_a_lot_of_garbage_goes(store: SessionStore, session: SampleSession) -> None:
    bodies = [f"body {number}".encode() for number in range(450)]
    session.commit("a", blobs={content_ref(body): body for body in bodies}, checkpoint=draft(tool_state=b"kept"))
    report = store.collect_garbage()
    assert (report.deleted, report.retained, report.deleted_bytes) == (450, 1, sum(map(len, bodies)))
    assert store.info().blobs == 1


def test_text_that_only_speaks_of_blobs_is_read_and_refers_to_none(store: SessionStore, session: SampleSession) -> None:
    session.commit('say "blob_ref": "x"', blobs={content_ref(PICTURE): PICTURE})
    assert store.collect_garbage().deleted == 1


def test_many_old_sessions_go_and_their_names_are_free(store: SessionStore, clock: ManualClock) -> None:
    for number in range(5):
        SampleSession(store, f"s{number}").commit("a")
    clock.advance(10)
    held = SampleSession(store, "s3").claim()
    report = store.apply_retention(Retention(sessions_ms=5_000))
    assert sorted(report.sessions) == ["s0", "s1", "s2", "s4"]
    again = SampleSession(store, "s1").claim()
    assert again.fencing_token == 1
    store.release_lease(held)
    assert store.check().problems == ()


def test_retention_leaves_no_lease_behind(store: SessionStore, clock: ManualClock) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")
    session.say("waits")
    clock.advance(10)
    assert store.apply_retention(Retention(sessions_ms=5_000)).sessions == ()
    assert session.claim().fencing_token >= 2


def test_retention_takes_what_a_dead_retention_held(store: SessionStore, url: str, clock: ManualClock) -> None:
    for session_id in ("alpha", "beta"):
        SampleSession(store, session_id).commit("a")
    clock.advance(10)
    killed = LeaseOwner(owner_id="lash:retention", incarnation_id="1", process=current_process_identity())
    store.claim_lease("alpha", killed, ttl_ms=60_000)
    assert store.apply_retention(Retention(sessions_ms=5_000)).sessions == ("beta",)
    after_its_death = open_store(url, clock=clock, holder_is_dead=lambda owner: owner == killed)
    assert after_its_death.apply_retention(Retention(sessions_ms=5_000)).sessions == ("alpha",)
    after_its_death.close()


def test_retention_holds_sessions_as_a_process_that_can_be_proved_dead(
    store: SessionStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")
    clock.advance(10)
    holders = []

    def ask(*_: object, **__: object) -> list[str]:
        found = store.claim_lease("alpha", owner("beta"), ttl_ms=1)
        assert isinstance(found, LeaseBusy)
        holders.append(found.holder.owner)
        raise RuntimeError

    monkeypatch.setattr(retention, "_delete", ask)
    with pytest.raises(RuntimeError):
        store.apply_retention(Retention(sessions_ms=5_000))
    assert [holder.process for holder in holders] == [current_process_identity()]
    assert isinstance(store.claim_lease("alpha", owner("beta"), ttl_ms=1), LeaseAcquired)


def test_retention_that_was_too_slow_leaves_a_session_to_who_took_it(
    postgres_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(postgres_url, clock=clock)
    session = SampleSession(store, "alpha")
    session.commit("a")
    SampleSession(store, "beta").commit("a")
    clock.advance(10)
    delete = retention._delete

    def late(*given: Any, **named: Any) -> list[str]:
        clock.advance(3_600)
        session.claim()
        return delete(*given, **named)

    monkeypatch.setattr(retention, "_delete", late)
    assert store.apply_retention(Retention(sessions_ms=5_000)).sessions == ("beta",)
    session.commit("b", after="a")
    assert session.node_ids() == ["a", "b"]
    store.close()
