# ruff: noqa: DTZ001 - times in the views are UTC and have no zone
from __future__ import annotations

import random
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from lash_host.domain.commit import HookCallFact, PluginSeen
from lash_host.domain.graph import AppendNodes, ReplaceGraph, SessionNode, UnchangedGraph
from lash_host.domain.message import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from lash_host.domain.tool import ToolOutput
from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.usage.views import builtin_views

TOKENS = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "total_tokens",
]
PROMISED = {
    "sessions": (
        "session_id parent_session_id root_session_id title created_at last_turn_at provider_id model turns messages"
        " frames compactions model_calls tool_calls TOKENS cost_usd"
    ),
    "turns": (
        "session_id turn_id turn_index frame_id started_at duration_ms outcome stop_reason error_code iterations"
        " model_calls tool_calls TOKENS cost_usd"
    ),
    "model_calls": (
        "session_id call_id turn_id frame_id iteration source plugin_id provider_id model started_at duration_ms"
        " time_to_first_token_ms attempts terminal_reason error_kind TOKENS cost_usd"
    ),
    "tool_calls": (
        "session_id call_id turn_id tool_id tool_name plugin_id started_at duration_ms status attempts error_code"
        " args_bytes result_bytes"
    ),
    "messages": "session_id node_id frame_id role created_at text on_active_path",
    "hook_calls": "session_id plugin_id hook calls total_ms max_ms errors turn_id",
    "daily": "day provider_id model source calls sessions TOKENS cost_usd",
    "plugins": "plugin_id version first_seen_at last_seen_at sessions",
}
SAME_TYPES = {"text": "VARCHAR", "double precision": "DOUBLE", "timestamp without time zone": "TIMESTAMP"}
"""PostgreSQL's names, and DuckDB's."""
START = datetime(2026, 1, 1)


class TestShape:
    def test_the_views_are_those_promised(self):
        assert {view.name for view in builtin_views()} == set(PROMISED)
        assert all(view.description.startswith("One row a ") for view in builtin_views())

    @pytest.mark.parametrize("name", PROMISED)
    def test_columns_are_those_promised_in_that_order(self, store, name):
        promised = PROMISED[name].replace("TOKENS", " ".join(TOKENS)).split()
        assert list(store.query(f"SELECT * FROM usage.{name}").columns) == promised

    def test_types_survive_export(self, query):
        rows = query("SELECT data_type, column_name FROM information_schema.columns WHERE table_schema = 'usage'")
        types = {row["column_name"]: SAME_TYPES.get(row["data_type"], row["data_type"].upper()) for row in rows}
        assert set(types.values()) == {"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP"}
        assert {kind for name, kind in types.items() if name.endswith("_at")} == {"TIMESTAMP"}

    def test_plain_duckdb_reads_them_from_the_file(self, tmp_path: Path, clock: ManualClock):
        store = open_store(tmp_path / "s.duckdb", clock=clock)
        store.install_views(builtin_views())
        store.close()
        with duckdb.connect(str(tmp_path / "s.duckdb"), read_only=True) as plain:
            counts = [plain.execute(f"SELECT count(*) FROM usage.{name}").fetchone() for name in PROMISED]
        assert counts == [(0,)] * len(PROMISED)


class TestTurns:
    def test_a_turn_has_what_it_did(self, book, query):
        calls = [book.call(), book.call(tokens=(1, 1, 1, 1, 0), source="notes", plugin_id="notes", cost_usd=0.25)]
        turn_id = book.turn(calls=calls, tools=[book.tool(), book.tool()])
        (row,) = query("SELECT * FROM usage.turns")
        assert row == {
            "session_id": "s",
            "turn_id": turn_id,
            "turn_index": 1,
            "frame_id": "s:frame:initial",
            "started_at": START,
            "duration_ms": 12.5,
            "outcome": "assistant_message",
            "stop_reason": None,
            "error_code": None,
            "iterations": 2,
            "model_calls": 2,
            "tool_calls": 2,
            "input_tokens": 11,
            "output_tokens": 6,
            "cache_read_input_tokens": 4,
            "cache_write_input_tokens": 3,
            "reasoning_output_tokens": 1,
            "total_tokens": 24,
            "cost_usd": 0.75,
        }

    def test_a_turn_without_calls_cost_nothing(self, book, query):
        book.turn(outcome="stopped", stop_reason="plugin_abort", error_code="no")
        (row,) = query("SELECT stop_reason, error_code, model_calls, total_tokens, cost_usd FROM usage.turns")
        assert row == {
            "stop_reason": "plugin_abort",
            "error_code": "no",
            "model_calls": 0,
            "total_tokens": 0,
            "cost_usd": 0,
        }

    def test_a_commit_that_ended_no_turn_is_none(self, book, query):
        book.turn()
        book.commit("s", UnchangedGraph(leaf_node_id=book.sessions["s"].leaf))
        assert len(query("SELECT * FROM usage.turns")) == 1

    def test_equal_turn_ids_of_two_sessions_stay_apart(self, book, query):
        for session_id in ("a", "b"):
            book.turn(session_id, calls=[book.call(turn_id="same")])
        assert [row["model_calls"] for row in query("SELECT * FROM usage.turns")] == [0, 0]
        assert query("SELECT session_id FROM usage.model_calls WHERE turn_id = 'same' ORDER BY 1") == [
            {"session_id": "a"},
            {"session_id": "b"},
        ]


class TestCost:
    @pytest.mark.parametrize("view", ["turns", "sessions", "daily"])
    @pytest.mark.parametrize(
        ("calls", "cost"),
        [
            ([{}, {}], 1.0),
            ([{}, {"cost_usd": None}], None),
            ([{"cost_usd": None}], None),
            ([{}, {"cost_usd": None, "tokens": (0, 0, 0, 0, 0)}], 0.5),
            ([{"cost_usd": None, "tokens": (0, 0, 0, 0, 0)}], 0.0),
        ],
    )
    def test_is_null_where_a_call_with_tokens_has_no_price(self, book, query, view, calls, cost):
        book.turn(calls=[book.call(**call) for call in calls])
        assert query(f"SELECT cost_usd FROM usage.{view}") == [{"cost_usd": cost}]


class TestSessions:
    def test_a_session_has_what_was_done_in_it(self, book, query, clock):
        book.turn(calls=[book.call()], tools=[book.tool()], title="First")
        clock.advance(60)
        book.open_frame("s", "f2", reason="compaction")
        book.open_frame("s", "f3", reason="continue_as")
        book.turn(calls=[book.call()])
        (row,) = query("SELECT * FROM usage.sessions")
        assert row == {
            "session_id": "s",
            "parent_session_id": None,
            "root_session_id": "s",
            "title": "First",
            "created_at": START,
            "last_turn_at": datetime(2026, 1, 1, 0, 1),
            "provider_id": "openai",
            "model": "gpt",
            "turns": 2,
            "messages": 4,
            "frames": 3,
            "compactions": 1,
            "model_calls": 2,
            "tool_calls": 1,
            "input_tokens": 20,
            "output_tokens": 10,
            "cache_read_input_tokens": 6,
            "cache_write_input_tokens": 4,
            "reasoning_output_tokens": 2,
            "total_tokens": 40,
            "cost_usd": 1.0,
        }

    def test_one_that_was_only_leased_is_none(self, store, query):
        from lash_host.domain.lease import LeaseOwner

        store.claim_lease("leased", LeaseOwner(owner_id="o", incarnation_id="i"), ttl_ms=1000)
        assert query("SELECT * FROM usage.sessions") == []

    def test_a_deleted_one_leaves_nothing(self, book, store, query):
        book.turn("gone", calls=[book.call()], tools=[book.tool()])
        store.delete_session("gone")
        assert all(query(f"SELECT * FROM usage.{name}") == [] for name in PROMISED)

    def test_children_count_their_own(self, book, query):
        book.turn("parent", calls=[book.call()])
        book.turn("child", calls=[book.call(source="subagent")], parent="parent")
        rows = query("SELECT session_id, root_session_id, model_calls FROM usage.sessions ORDER BY 1")
        assert [tuple(row.values()) for row in rows] == [("child", "parent", 1), ("parent", "parent", 1)]


class TestCalls:
    def test_a_failed_tool_call(self, book, query):
        output = ToolOutput.failure("no such file", code="not_found")
        book.turn(tools=[book.tool("read", output=output, attempts=2, arguments={"path": "ä"})])
        (row,) = query("SELECT status, error_code, attempts, args_bytes, plugin_id, started_at FROM usage.tool_calls")
        assert row == {
            "status": "failure",
            "error_code": "not_found",
            "attempts": 2,
            "args_bytes": len('{"path":"ä"}'.encode()),
            "plugin_id": "tools_web",
            "started_at": START,
        }

    def test_a_failed_model_call(self, book, query):
        failed = book.call(tokens=(), cost_usd=None, error_kind="timeout", terminal_reason="provider_error", attempts=4)
        book.turn(calls=[failed])
        (row,) = query("SELECT error_kind, attempts, total_tokens, cost_usd FROM usage.model_calls")
        assert row == {"error_kind": "timeout", "attempts": 4, "total_tokens": 0, "cost_usd": None}

    def test_hooks_and_plugins(self, book, query, clock):
        hook = HookCallFact(plugin_id="notes", hook="lash_before_turn", calls=2, total_ms=3.0, max_ms=2.0, errors=1)
        book.turn("a", hooks=[hook], plugins=[PluginSeen(plugin_id="notes", version="1")])
        clock.advance(60)
        book.turn("b", plugins=[PluginSeen(plugin_id="notes", version="1")])
        (row,) = query("SELECT hook, calls, total_ms, max_ms, errors, turn_id FROM usage.hook_calls")
        assert tuple(row.values()) == ("lash_before_turn", 2, 3.0, 2.0, 1, "a:turn:1")
        (plugin,) = query("SELECT * FROM usage.plugins")
        assert plugin == {
            "plugin_id": "notes",
            "version": "1",
            "first_seen_at": START,
            "last_seen_at": datetime(2026, 1, 1, 0, 1),
            "sessions": 2,
        }

    def test_days_are_utc_and_divided_by_provider_model_and_source(self, book, query, clock):
        clock.set(int(datetime(2026, 1, 1, 23, 59, tzinfo=UTC).timestamp() * 1_000_000))
        book.turn("a", calls=[book.call(), book.call(), book.call(source="compaction")])
        book.turn("b", calls=[book.call()])
        clock.advance(120)
        book.turn("b", calls=[book.call(provider_id="other")])
        rows = query("SELECT day, provider_id, source, calls, sessions, total_tokens FROM usage.daily ORDER BY 1, 2, 3")
        assert [tuple(row.values()) for row in rows] == [
            (date(2026, 1, 1), "openai", "compaction", 1, 1, 20),
            (date(2026, 1, 1), "openai", "turn", 3, 2, 60),
            (date(2026, 1, 2), "other", "turn", 1, 1, 20),
        ]


class TestMessages:
    @pytest.mark.parametrize("said", ["a\0b\0\0c", "literally \\u0000 and \\\\u0000", "\\\0"])
    def test_any_character_may_be_said(self, book, query, said):
        book.turn(said=[said, "ok"])
        texts = [row["text"] for row in query("SELECT text FROM usage.messages WHERE role = 'user'")]
        assert [text.replace("\ufffd", "\0") for text in texts] == [said]

    def test_text_is_that_of_the_text_parts(self, book, query):
        answer = (
            ReasoningPart(text="hm"),
            TextPart(text="It's "),
            ToolCallPart(call_id="c", tool_name="x"),
            TextPart(text='"ü"\n'),
        )
        result = (ToolResultPart(call_id="c", tool_name="x", text="not this"),)
        book.turn(said=["why?", answer, result])
        rows = query("SELECT role, text, created_at FROM usage.messages ORDER BY node_id")
        assert [(row["role"], row["text"]) for row in rows] == [
            ("user", "why?"),
            ("assistant", 'It\'s "ü"\n'),
            ("user", ""),
        ]

    def test_what_plugins_keep_is_none(self, book, query):
        nodes = book.messages("s", ["hello"], prefix="n")
        record = SessionNode(
            node_id="r",
            parent_node_id=nodes[-1].node_id,
            frame_id="f",
            created_at_us=0,
            kind="record",
            label="notes",
            payload_json="[1]",
        )
        book.commit("s", AppendNodes(nodes=(*nodes, record), leaf_node_id="r"))
        assert query("SELECT node_id, on_active_path FROM usage.messages") == [
            {"node_id": "n:0", "on_active_path": True}
        ]

    def test_what_a_reset_replaced_stays_and_is_off_the_path(self, book, query):
        book.turn(said=["old", "older"])
        fresh = [
            SessionNode(
                node_id=node.node_id,
                parent_node_id=None if number == 0 else "s:turn:1:0",
                frame_id="f",
                created_at_us=0,
                kind="message",
                label=node.label,
                payload_json=node.payload_json,
            )
            for number, node in enumerate(book.messages("s", ["new", "newer"], prefix="s:turn:1"))
        ]
        book.commit("s", ReplaceGraph(nodes=tuple(fresh), leaf_node_id="s:turn:1:1"))
        rows = query("SELECT text, on_active_path FROM usage.messages ORDER BY 1, 2")
        assert [tuple(row.values()) for row in rows] == [
            ("new", True),
            ("newer", True),
            ("old", False),
            ("older", False),
        ]
        assert query("SELECT messages FROM usage.sessions") == [{"messages": 2}]

    @pytest.mark.parametrize("seed", range(8))
    def test_the_active_path_is_the_way_from_the_leaf_to_its_root(self, book, query, seed):
        rng = random.Random(seed)  # noqa: S311
        expected: dict[tuple[str, str], bool] = {}
        for session_id in ("a", "b", "c"):
            parents: dict[str, str | None] = {}
            for step in range(rng.randrange(1, 12)):
                onto = rng.choice([None, *parents, *list(parents)[-1:] * 9])
                nodes = _chain(session_id, step, onto, length=rng.randrange(1, 5))
                parents.update({node.node_id: node.parent_node_id for node in nodes})
                leaf = rng.choice([nodes[-1].node_id, *parents])
                book.commit(session_id, AppendNodes(nodes=nodes, leaf_node_id=leaf))
            path = set()
            at: str | None = leaf
            while at is not None:
                path.add(at)
                at = parents[at]
            expected |= {(session_id, node_id): node_id in path for node_id in parents}
        rows = query("SELECT session_id, node_id, on_active_path FROM usage.messages")
        assert {(row["session_id"], row["node_id"]): row["on_active_path"] for row in rows} == expected

    def test_a_leaf_of_none_has_no_path(self, book, query):
        book.turn(said=["hello"])
        book.commit("s", UnchangedGraph(leaf_node_id=None))
        assert query("SELECT on_active_path FROM usage.messages") == [{"on_active_path": False}]

    def test_a_long_conversation_is_not_walked_node_by_node(self, book, query):
        nodes = _chain("s", 0, None, length=20_000)
        book.commit("s", AppendNodes(nodes=nodes, leaf_node_id=nodes[-1].node_id))
        assert query("SELECT count(*) AS n FROM usage.messages WHERE on_active_path") == [{"n": 20_000}]


def _chain(session_id: str, step: int, onto: str | None, *, length: int) -> tuple[SessionNode, ...]:
    ids = [f"{session_id}:{step}:{number}" for number in range(length)]
    return tuple(
        SessionNode(
            node_id=node_id,
            parent_node_id=parent,
            frame_id="f",
            created_at_us=0,
            kind="message",
            label="user",
            payload_json='{"parts": [{"kind": "text", "text": "x"}]}',
        )
        for node_id, parent in zip(ids, [onto, *ids], strict=False)
    )
