"""What an operation writes to the log, and that it is read back as it was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import HookCallFact, PluginSeen
from lash_host.domain.session import SessionMeta
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.errors import StoreError
from lash_host.store.logged.engine import SharedLog
from lash_host.store.logged.entries import Entry, StateChange, read_log
from lash_host.store.logged.sql import SESSIONS
from lash_host.store.schema import commits, model_calls, nodes, queued_work, sessions, turns
from lash_host.store.state import QUEUED_WORK, RECEIPTS
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.drafts import command_draft, input_draft, wake_draft
from lash_host.testing.conformance.samples import model_call

LogOf = Callable[[SessionStore], SharedLog]


@pytest.fixture
def session(memory: SessionStore) -> SampleSession:
    return SampleSession(memory, "alpha")


@pytest.fixture
def written(memory: SessionStore) -> Callable[[Callable[[], object]], list[dict[str, Any]]]:
    """Make a call; give what it wrote to the log, state, facts and nodes of each entry in one."""

    def read() -> list[tuple[Any, ...]]:
        return memory.query("SELECT * FROM lash_tables.commit_log ORDER BY entry_key").fetchall()

    def call(action: Callable[[], object]) -> list[dict[str, Any]]:
        before = len(read())
        action()
        return [
            {name: rows for text in texts if text is not None for name, rows in json.loads(text).items()}
            for _, _, *texts in read()[before:]
        ]

    return call


Written = Callable[[Callable[[], object]], list[dict[str, Any]]]


def _named(table: Any, row: list[Any]) -> dict[str, Any]:
    return dict(zip(table.columns.keys(), row, strict=True))


def test_a_commit_is_one_entry_with_all_of_it(memory: SessionStore, session: SampleSession, written: Written) -> None:
    commit = session.turn("t1", "a", "b", model_calls=(model_call("c1"),))
    (entry,) = written(lambda: memory.commit(commit))
    assert entry.keys() == {sessions.name, nodes.name, turns.name, model_calls.name, commits.name}
    assert [row[2] for row in entry[nodes.name]] == ["a", "b"]
    (head,) = entry[sessions.name]
    row = _named(sessions, head)
    assert (row["session_id"], row["head_revision"], row["leaf_node_id"]) == ("alpha", 1, "b")
    assert (row["lease_token"], row["lease_owner"]) == (None, None)


def test_what_is_fixed_is_not_repeated(session: SampleSession, written: Written) -> None:
    session.commit("a", title="A title")
    (entry,) = written(lambda: session.commit("b", after="a"))
    row = _named(sessions, entry[sessions.name][0])
    assert {name for name in SESSIONS.fixed if row[name] is not None} == set()
    assert row["checkpoint_ref"] is not None
    info = session.store.session_info("alpha")
    assert info is not None
    assert info.title == "A title"


def test_what_is_fixed_is_written_when_it_changes(session: SampleSession, written: Written) -> None:
    session.commit("a")
    frames = (session.frame, session.frame.model_copy(update={"frame_id": "alpha:frame:2"}))
    (entry,) = written(lambda: session.commit("b", after="a", agent_frames=frames))
    row = _named(sessions, entry[sessions.name][0])
    assert [frame["frame_id"] for frame in json.loads(row["frames"])] == [frame.frame_id for frame in frames]
    assert row["policy"] is None
    meta = SessionMeta(session_id="alpha", name="Name", created_at_us=1)
    (entry,) = written(lambda: session.store.save_session_meta(meta))
    assert _named(sessions, entry[sessions.name][0])["frames"] is None
    assert session.store.load_session_meta("alpha") == meta


def test_a_lease_writes_nothing_once_its_session_is_written(session: SampleSession, written: Written) -> None:
    first = written(session.claim)
    assert [entry.keys() for entry in first] == [{sessions.name}]
    assert _named(sessions, first[0][sessions.name][0])["lease_token"] is None
    assert written(lambda: session.store.release_lease(session.claim())) == []


def test_a_claim_repeats_nothing_of_the_work(session: SampleSession, written: Written) -> None:
    session.claim()
    (queued,) = written(session.wake)
    assert _named(queued_work, queued[queued_work.name][0])["items"] is not None
    (claimed,) = written(session.claim_work)
    assert claimed.keys() == {queued_work.name}
    row = _named(queued_work, claimed[queued_work.name][0])
    assert {name for name in QUEUED_WORK.fixed if row[name] is not None} == set()
    assert row["claim_token"] is not None


def test_work_that_is_done_is_removed_by_its_key(session: SampleSession, written: Written) -> None:
    batch = session.command()
    claim = session.claim_command()
    assert claim is not None
    (entry,) = written(lambda: session.settle(claim))
    (head,) = entry[sessions.name]
    assert entry[f"-{queued_work.name}"] == [[head[0], batch.batch_id]]
    assert [row[1] for row in entry[RECEIPTS.table.name]] == [batch.source_key]
    assert queued_work.name not in entry


def test_reading_writes_nothing(session: SampleSession, written: Written) -> None:
    session.commit("a")
    session.say()

    def read() -> None:
        session.load()
        session.pending()
        session.queued()
        session.store.session_info("nobody")
        session.store.load_session_meta("nobody")

    assert written(read) == []


def test_the_log_is_read_back_as_it_was_written(memory: SessionStore, session: SampleSession, log_of: LogOf) -> None:
    other = SampleSession(memory, "beta \U0001f986")
    tool = ToolCallRecord(
        call_id="c", tool_id="t", tool_name="t", plugin_id=None, arguments={"a": [1.5, None, "é\n"]}, attempts=1,
        output=ToolOutput.success({"x": True}), started_at_us=1, duration_ms=0.1,
    )  # fmt: skip
    hook = HookCallFact(plugin_id="p", hook="h", calls=1, total_ms=1e-9, max_ms=1e300, errors=0)
    plugin = PluginSeen(plugin_id="p", version="1")
    memory.commit(session.turn("t1", "a", tool_calls=(tool,), hook_calls=(hook,), plugins=(plugin,)))
    other.say("with a key", source_key="k", input_id="i")
    other.say("without")
    other.wake()
    other.claim_work()
    memory.cancel_turn_input(other.session_id, "i")
    session.command()
    claim = session.claim_command()
    assert claim is not None
    session.settle(claim)
    remembered = list(log_of(memory)._folder._entries)
    with memory._engine.read() as transaction:
        stored = read_log(transaction)
    assert [(one.key, one.session_id, _without_before(one.changes), one.size) for one in remembered] == [
        (key, entry.session_id, entry.changes, entry.size) for key, entry in stored
    ]
    assert {entry.session_id for _, entry in stored} == {"alpha", "beta \U0001f986"}


def _without_before(changes: list[StateChange]) -> list[StateChange]:
    return [replace(change, before=None) for change in changes]


def test_an_entry_whose_nodes_are_long_is_several_rows(
    memory: SessionStore, session: SampleSession, written: Written, fold: Callable[[SessionStore], None]
) -> None:
    ids = [letter * 300 for letter in "abcd"] + [letter * 3_000 for letter in "éf"]
    session.claim()
    rows = written(lambda: session.commit(*ids, title="Long"))
    assert [[row[2][0] for row in members[nodes.name]] for members in rows] == [["a", "b", "c"], ["d"], ["é"], ["f"]]
    assert [sessions.name in members for members in rows] == [True, False, False, False]
    keys = "SELECT count(DISTINCT entry_key), count(*) FROM lash_rows.commit_log WHERE nodes IS NOT NULL"
    assert memory.query(keys).fetchall() == [(1, 4)]
    with memory._engine.read() as transaction:
        (_, (_, entry)) = read_log(transaction)
    assert [row[2] for row in entry.added[nodes.name]] == ids
    assert memory.check().problems == ()
    fold(memory)
    assert session.node_ids() == ids
    assert memory.check().problems == ()


def test_what_is_not_repeated_is_found_in_the_tables(
    memory: SessionStore, session: SampleSession, fold: Callable[[SessionStore], None]
) -> None:
    kept = memory.enqueue_turn_input(input_draft("alpha", source_key="k"))
    memory.enqueue_queued_work(wake_draft("alpha", 1))
    fold(memory)
    assert session.claim_inputs() is not None
    assert session.claim_work() is not None
    with memory._engine.read() as transaction:
        found = {change.state.table.name: change.row for _, one in read_log(transaction) for change in one.changes}
    assert found["turn_inputs"] is not None
    assert (found["turn_inputs"]["source_key"], found["turn_inputs"]["input_id"]) == ("k", kept.input_id)
    assert found["queued_work"] is not None
    assert found["queued_work"]["items"] is not None


@pytest.mark.parametrize("state", ['{"sessions": [[1]]}', "[1", '{"nothing": [["a"]]}', '{"sessions": 5}'])
def test_an_entry_that_cannot_be_read_is_named(memory: SessionStore, session: SampleSession, state: str) -> None:
    session.commit("a")
    with memory._engine.database.write() as transaction:
        transaction.script(f"UPDATE lash_tables.commit_log SET state = '{state}'")
    with pytest.raises(StoreError, match=r"entry \d+ of the log cannot be read"):
        with memory._engine.read() as transaction:
            read_log(transaction)
    with memory._engine.database.write() as transaction:
        transaction.script("DELETE FROM lash_tables.commit_log")


def test_an_entry_keeps_what_is_not_text() -> None:
    change = StateChange(state=RECEIPTS, session_key=7, key=("k",), row=None)
    entry = Entry(session_id="a", session_key=7, changes=[change], added={nodes.name: [(7, 8, "n", None, False, 0.5)]})
    ((key, state, facts, new_nodes),) = entry.texts()
    assert (key, state, facts) == (7, '{"-receipts":[[7,"k"]]}', None)
    assert new_nodes == '{"nodes":[[7,8,"n",null,false,0.5]]}'


def test_a_command_that_is_known_writes_nothing(session: SampleSession, written: Written) -> None:
    session.command()
    assert written(lambda: session.store.enqueue_queued_work(command_draft("alpha"))) == []
