"""What a commit leaves in the tables that the views are made of."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import CommitStamp, HookCallFact, ModelCallFact, PluginSeen, TurnFact
from lash_host.domain.tool import ToolCallRecord, ToolCancelled, ToolOutput
from lash_host.domain.usage import TokenUsage
from lash_host.errors import TurnCommitConflict
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import model_call

USAGE = TokenUsage(
    input_tokens=1,
    output_tokens=2,
    cache_read_input_tokens=3,
    cache_write_input_tokens=4,
    reasoning_output_tokens=5,
)


@pytest.fixture
def session(memory: SessionStore) -> SampleSession:
    return SampleSession(memory, "alpha")


def _row(store: SessionStore, columns: str, table: str) -> tuple[object, ...]:
    (row,) = store.query(f"SELECT {columns} FROM lash_rows.{table}").fetchall()
    return row


def test_a_turn(memory: SessionStore, session: SampleSession) -> None:
    turn = TurnFact(
        turn_id="t1", turn_index=4, frame_id="f", started_at_us=1_000, duration_ms=0.1, outcome="stopped",
        stop_reason="max_turns", error_code="e", iterations=2, usage=USAGE,
    )  # fmt: skip
    result = session.commit("a", turn=turn, stamp=CommitStamp(turn_id="t1", commit_hash="h"))
    facts = _row(
        memory,
        "turn_id, turn_index, frame_id, started_at_us, duration_ms, outcome, stop_reason, error_code, iterations,"
        " input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens,"
        " commit_hash",
        "turns",
    )
    assert facts == ("t1", 4, "f", 1_000, 0.1, "stopped", "max_turns", "e", 2, 1, 2, 3, 4, 5, "h")
    assert json.loads(str(_row(memory, "result", "turns")[0])) == result.model_dump()


def test_a_model_call(memory: SessionStore, session: SampleSession) -> None:
    call = ModelCallFact(
        call_id="c", turn_id="t", frame_id="f", iteration=2, source="compaction", plugin_id="p", provider_id="acme",
        model="large", started_at_us=5, duration_ms=1.1, time_to_first_token_ms=0.3, attempts=3,
        terminal_reason="stop", error_kind="timeout", usage=USAGE, cost_usd=0.000123,
    )  # fmt: skip
    session.commit("a", model_calls=(call,))
    facts = _row(
        memory,
        "call_id, turn_id, frame_id, iteration, source, plugin_id, provider_id, model, started_at_us, duration_ms,"
        " time_to_first_token_ms, attempts, terminal_reason, error_kind, reasoning_output_tokens, cost_usd",
        "model_calls",
    )
    assert facts == (
        "c",
        "t",
        "f",
        2,
        "compaction",
        "p",
        "acme",
        "large",
        5,
        1.1,
        0.3,
        3,
        "stop",
        "timeout",
        5,
        0.000123,
    )


@pytest.mark.parametrize(
    ("output", "status", "code"),
    [
        (ToolOutput.success({"é": [1]}), "success", None),
        (ToolOutput.failure("no", code="refused"), "failure", "refused"),
        (ToolOutput(outcome=ToolCancelled()), "cancelled", None),
    ],
)
def test_a_tool_call(
    memory: SessionStore, session: SampleSession, output: ToolOutput, status: str, code: str | None
) -> None:
    call = ToolCallRecord(
        call_id="c", tool_id="acme.t", tool_name="t", plugin_id="p", arguments={"ö": "ü"}, output=output, attempts=2,
        started_at_us=5, duration_ms=1.25,
    )  # fmt: skip
    memory.commit(session.turn("t1", "a", tool_calls=(call,)))
    facts = _row(memory, "call_id, turn_id, tool_id, tool_name, plugin_id, status, error_code, attempts", "tool_calls")
    assert facts == ("c", "t1", "acme.t", "t", "p", status, code, 2)
    arguments, stored, args_bytes, result_bytes = _row(
        memory, "arguments, output, args_bytes, result_bytes", "tool_calls"
    )
    assert (arguments, args_bytes) == ('{"ö":"ü"}', 11)
    assert ToolOutput.model_validate_json(str(stored)) == output
    assert result_bytes == len(str(stored).encode())


def test_arguments_that_utf_8_cannot_hold_do_not_lose_the_turn(memory: SessionStore, session: SampleSession) -> None:
    call = ToolCallRecord.model_construct(
        call_id="c", tool_id="t", tool_name="t", plugin_id=None, arguments={"a": "\ud83d"},
        output=ToolOutput.success(), attempts=1, started_at_us=1, duration_ms=1.0,
    )  # fmt: skip
    session.commit("a", tool_calls=(call,))
    assert json.loads(str(_row(memory, "arguments", "tool_calls")[0])) == {"a": "\ud83d"}


def test_hook_calls(memory: SessionStore, session: SampleSession) -> None:
    calls = tuple(
        HookCallFact(plugin_id="p", hook=hook, calls=2, total_ms=3.5, max_ms=2.5, errors=1) for hook in ("h1", "h2")
    )
    memory.commit(session.turn("t1", "a", hook_calls=calls))
    rows = memory.query("SELECT * EXCLUDE (session_key) FROM lash_rows.hook_calls ORDER BY hook").fetchall()
    assert rows == [("t1", "p", "h1", 2, 3.5, 2.5, 1), ("t1", "p", "h2", 2, 3.5, 2.5, 1)]


def test_rows_of_a_session_lie_together_in_order(memory: SessionStore, session: SampleSession) -> None:
    session.commit("a", "b", model_calls=(model_call("1"), model_call("2")))
    session.commit("c", after="b", model_calls=(model_call("3"),))
    ordered = memory.query("SELECT node_id FROM lash_rows.nodes ORDER BY node_key").fetchall()
    assert ordered == [("a",), ("b",), ("c",)]
    assert memory.query("SELECT call_id FROM lash_rows.model_calls ORDER BY call_key").fetchall() == [
        ("1",),
        ("2",),
        ("3",),
    ]
    keys = "SELECT min(node_key) > min(session_key) FROM lash_rows.nodes"
    assert memory.query(keys).fetchall() == [(True,)]


def test_replaced_nodes_are_kept_for_analytics(memory: SessionStore, session: SampleSession) -> None:
    from lash_host.domain.graph import ReplaceGraph

    session.commit("a", "b")
    session.commit(graph=ReplaceGraph(nodes=(), leaf_node_id=None))
    live = "SELECT count(*), count(*) FILTER (node_key >= replaced_before_key)"
    rows = memory.query(f"{live} FROM lash_rows.nodes JOIN lash_rows.sessions USING (session_key)").fetchall()
    assert rows == [(2, 0)]
    assert session.node_ids() == []


def test_a_stamp_without_a_turn_is_no_turn(memory: SessionStore, session: SampleSession) -> None:
    commit = replace(session.draft("a"), stamp=CommitStamp(turn_id="compaction-1", commit_hash="h"))
    first = memory.commit(commit)
    assert memory.commit(replace(commit, fence=None)) == first
    info = memory.session_info("alpha")
    assert info is not None
    assert (info.turns, memory.info().turns) == (0, 0)


def test_a_turn_without_a_stamp_is_committed_once(memory: SessionStore, session: SampleSession) -> None:
    unstamped = replace(session.turn("t1", "a"), stamp=None)
    memory.commit(unstamped)
    with pytest.raises(TurnCommitConflict):
        memory.commit(session.turn("t1", "b", after="a"))


def _plugins(store: SessionStore) -> list[tuple[object, ...]]:
    return store.query(
        "SELECT plugin_id, version, first_seen_at_us // 1000000 % 100, last_seen_at_us // 1000000 % 100"
        " FROM lash_rows.plugins_seen ORDER BY plugin_id, version"
    ).fetchall()


def test_plugins_are_recorded_when_they_come_and_go(
    memory: SessionStore, session: SampleSession, clock: ManualClock
) -> None:
    one, two = PluginSeen(plugin_id="one", version="1"), PluginSeen(plugin_id="two", version="1")
    newer = PluginSeen(plugin_id="two", version="2")
    session.commit("a", plugins=(one, two))
    assert _plugins(memory) == [("one", "1", 0, None), ("two", "1", 0, None)]
    clock.advance(1)
    session.commit("b", after="a", plugins=(two, one))
    clock.advance(1)
    session.commit("c", after="b", plugins=(newer,))
    assert _plugins(memory) == [("one", "1", 0, 1), ("two", "1", 0, 1), ("two", "2", 2, None)]
    clock.advance(1)
    session.commit("d", after="c", plugins=(one,))
    assert _plugins(memory) == [("one", "1", 0, None), ("two", "1", 0, 1), ("two", "2", 2, 2)]
    clock.advance(1)
    session.commit("e", after="d")
    assert _plugins(memory) == [("one", "1", 0, None), ("two", "1", 0, 1), ("two", "2", 2, 2)]


def test_plugins_are_not_recorded_twice_after_a_reopen(store: SessionStore, path: object) -> None:
    from lash_host.store import open_store

    plugins = (PluginSeen(plugin_id="one", version="1"),)
    SampleSession(store, "alpha").commit("a", plugins=plugins)
    store.close()
    again = open_store(str(path))
    SampleSession(again, "alpha").commit("b", after="a", plugins=plugins)
    assert again.query("SELECT count(*) FROM lash_rows.plugins_seen").fetchall() == [(1,)]
    again.close()
