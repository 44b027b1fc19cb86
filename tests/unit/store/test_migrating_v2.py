"""A store of schema version 2 whose process was killed: its log, its queues and its attachments come along."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.turn_input import AlreadyClaimed, TurnInputClaim, TurnInputState
from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import got, settling

Program = Callable[..., "subprocess.Popen[str]"]
Told = Callable[[SessionStore, Iterable[str]], dict[str, Any]]
Ledger = list[list[Any]]

LOADED = Path(__file__).parents[2] / "fixtures" / "store_v2" / "loaded.json"
LOGGED = {"busy", "child", "described", "fresh", "held", "later", "leased", "metered", "talk", "waiting"}
TEN_SECONDS_LATER_US = 1795370664601512

DIE_AT = """
import os, signal, sys
from lash_host.store import open_store
from lash_host.store.points import watch

watch(lambda point: os.kill(os.getpid(), signal.SIGKILL) if point == sys.argv[2] else None)
open_store(sys.argv[1])
print("still alive")
"""


@pytest.fixture
def old(store_v2: Callable[..., Path], path: Path) -> Path:
    return store_v2(path)


@pytest.fixture
def then() -> ManualClock:
    """Give the time ten seconds after the store was made: claims of then are live."""
    return ManualClock(TEN_SECONDS_LATER_US)


@pytest.fixture
def store(old: Path, then: ManualClock) -> Iterator[SessionStore]:
    store = open_store(old, clock=then)
    yield store
    store.close()


@pytest.fixture
def loaded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(LOADED.read_text("utf-8"))
    return found


def asked(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def logged_sessions(path: Path) -> set[str]:
    sql = "SELECT DISTINCT session_id FROM lash_rows.commit_log JOIN lash_rows.session_names USING (session_key)"
    return {session_id for (session_id,) in asked(path, sql)}


def noted_ledgers(path: Path) -> dict[str, Ledger | None]:
    found = asked(path, "SELECT session_id, ledger FROM lash_tables.sessions WHERE head_revision > 0")
    return {session_id: None if ledger is None else json.loads(ledger) for session_id, ledger in found}


def test_sessions_whose_part_was_only_in_the_log_come_with_their_turns(store: SessionStore) -> None:
    turns = store.query(
        "SELECT session_id, turn_id FROM usage.turns WHERE session_id IN ('fresh', 'later', 'metered') ORDER BY ALL"
    ).fetchall()
    assert turns == [
        *(("fresh", turn_id) for turn_id in ("t1", "t2", "t3")),
        ("later", "t1"),
        *(("metered", turn_id) for turn_id in ("t1", "t2", "t3")),
    ]
    assert SampleSession(store, "fresh").node_ids() == ["c", "d"]
    assert (store.load_session("waiting"), store.load_session("held")) == (None, None)


def test_the_log_is_folded(old: Path) -> None:
    assert len(asked(old, "SELECT * FROM lash_tables.commit_log")) == 27
    open_store(old).close()
    assert asked(old, "SELECT * FROM lash_tables.commit_log UNION ALL FROM lash_tables.commit_log_next") == []
    assert {name for (name,) in asked(old, "SELECT session_id FROM lash_tables.sessions")} >= LOGGED


@pytest.mark.parametrize("point", ["in_fold", "after_fold"])
def test_a_crash_in_the_first_fold_loses_nothing(
    old: Path, loaded: dict[str, Any], told: Told, program: Program, point: str
) -> None:
    process = program(DIE_AT, old, point)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (-signal.SIGKILL, "")
    assert logged_sessions(old) == (LOGGED if point == "in_fold" else set())
    store = open_store(old, clock=ManualClock(TEN_SECONDS_LATER_US))
    assert told(store, loaded["all"]) == loaded["all"]
    store.close()


def test_what_a_session_spent_is_noted_where_all_of_it_was_folded(
    old: Path, loaded: dict[str, Any], program: Program
) -> None:
    program(DIE_AT, old, "in_fold").communicate(timeout=60)
    found = noted_ledgers(old)
    assert {name for name, ledger in found.items() if ledger is not None} == {"counted", "pictures", "replaced"}
    for name in ("counted", "pictures", "replaced"):
        assert found[name] == loaded["all"][name]["session"]["ledger"]


def test_without_a_log_it_is_noted_of_every_session(
    store_v2: Callable[..., Path], path: Path, then: ManualClock, loaded: dict[str, Any], told: Told
) -> None:
    expected = loaded["without_log"]
    store = open_store(store_v2(path, is_folded=True), clock=then)
    assert told(store, expected) == expected
    store.close()
    sessions = {name: one["session"] for name, one in expected.items() if one["session"] is not None}
    assert noted_ledgers(path) == {name: session["ledger"] for name, session in sessions.items()}


def test_claims_that_were_held_can_be_settled(store: SessionStore) -> None:
    busy = SampleSession(store, "busy")
    known = busy.say("claimed", source_key="in:claimed")
    outcome = store.cancel_turn_input("busy", known.input_id)
    assert isinstance(outcome, AlreadyClaimed)
    assert known.input_id not in busy.pending()
    busy.settle(
        TurnInputClaim(claim=got(outcome.claim), inputs=(known,)),
        graph=busy.draft(after=busy.load().graph.leaf_node_id).graph,
    )
    assert busy.say("claimed", source_key="in:claimed").state is TurnInputState.COMPLETED
    assert store.check().problems == ()


def test_claims_that_ran_out_are_taken_by_others(store: SessionStore, then: ManualClock) -> None:
    busy = SampleSession(store, "busy")
    held = store.list_queued_work("busy")[0]
    assert busy.claim_work() is None
    then.advance(120)
    claim = got(busy.claim_work())
    assert [batch.batch_id for batch in claim.batches] == [held.batch_id]
    assert claim.claim.fencing_token > 1
    inputs = got(busy.claim_inputs())
    assert [one.input.items[0].text for one in inputs.inputs] == ["claimed", "accepted", "later"]  # type: ignore[union-attr]
    busy.settle(claim, inputs, graph=busy.draft(after="b").graph)
    assert held.batch_id not in busy.queued()


def test_work_that_waited_in_the_log_is_claimed_and_completed(
    store: SessionStore, spent: Callable[[SessionStore, str], Ledger], go_on: Callable[[SessionStore, str, str], Ledger]
) -> None:
    waiting = SampleSession(store, "waiting")
    assert "waiting" in store.sessions_with_work(limit=10)
    claims = got(waiting.claim_work()), got(waiting.claim_inputs())
    store.commit(waiting.turn("t1", "a", **settling(claims)))
    waiting.settle(got(waiting.claim_command()), graph=waiting.draft(after="a").graph)
    assert (waiting.queued(), waiting.pending()) == ([], [])
    assert go_on(store, "waiting", "t2") == spent(store, "waiting") != []
    assert store.check().problems == ()


def test_what_was_settled_is_known(store: SessionStore) -> None:
    busy = SampleSession(store, "busy")
    assert busy.command("done").completed_at_us is not None
    assert busy.command("waiting").completed_at_us is None
    states = [busy.say(text, source_key=f"in:{text}").state for text in ("completed", "cancelled", "pending", "later")]
    assert states == [
        TurnInputState.COMPLETED,
        TurnInputState.CANCELLED,
        TurnInputState.CANCELLED,
        TurnInputState.DEFERRED_NEXT_TURN,
    ]
    batch_ids = busy.queued()
    assert busy.wake(1).batch_id == batch_ids[0]
    assert busy.wake(2).batch_id not in batch_ids


def test_intents_of_attachments_are_forgotten_and_what_was_committed_stays(
    store: SessionStore, then: ManualClock
) -> None:
    kept = next(one for one in store.list_attachments("busy") if one.committed_at_us is not None)
    then.set(4_000_000_000_000_000)
    report = store.reclaim_attachments(grace_ms=1)
    assert (report.forgotten_intents, report.reclaimed) == (2, 2)
    assert store.get_attachment("busy", kept.attachment_id) == b"kept bytes"
    assert (store.list_attachments("fresh"), store.check().problems) == ([], ())
