# ruff: noqa: DTZ001 - times in the views are UTC and have no zone
from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from lash_host.domain.commit import HookCallFact
from lash_host.domain.tool import ToolOutput
from lash_host.errors import QueryFailed, QueryRefused, UsageFault
from lash_host.usage.reports import DIMENSIONS, parse_since

COUNTERS = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "total_tokens",
]
NOW_US = 1_767_225_600_000_000


def only(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


class TestSql:
    def test_gives_rows(self, usage, book):
        book.turn(calls=[book.call()])
        result = usage.sql("SELECT model, total_tokens FROM usage.model_calls WHERE total_tokens > ?", [3])
        assert list(result.columns) == ["model", "total_tokens"]
        assert result.fetchall() == [("gpt", 20)]

    def test_takes_named_parameters(self, usage):
        assert usage.sql("SELECT $a + $b", {"a": 1, "b": 2}).fetchall() == [(3,)]

    def test_writes_nothing(self, usage):
        with pytest.raises(QueryRefused):
            usage.sql("DELETE FROM lash_tables.turns")

    def test_the_databases_own_words_come_through(self, usage):
        with pytest.raises(QueryFailed, match="no_such_column"):
            usage.sql("SELECT no_such_column FROM usage.turns")


class TestReports:
    def test_is_by_model_unless_said_otherwise(self, usage, book):
        book.turn("a", calls=[book.call(), book.call(model="big", tokens=(100, 50))])
        book.turn("b", calls=[book.call()])
        assert usage.report() == [
            {
                "provider_id": "openai",
                "model": "big",
                "calls": 1,
                "sessions": 1,
                "input_tokens": 100,
                "output_tokens": 50,
                "cache_read_input_tokens": 0,
                "cache_write_input_tokens": 0,
                "reasoning_output_tokens": 0,
                "total_tokens": 150,
                "cost_usd": 0.5,
            },
            {
                "provider_id": "openai",
                "model": "gpt",
                "calls": 2,
                "sessions": 2,
                "input_tokens": 20,
                "output_tokens": 10,
                "cache_read_input_tokens": 6,
                "cache_write_input_tokens": 4,
                "reasoning_output_tokens": 2,
                "total_tokens": 40,
                "cost_usd": 1.0,
            },
        ]

    @pytest.mark.parametrize("by", [[], *[[word] for word in DIMENSIONS], ["day", "session", "plugin", "tool"]])
    def test_an_empty_store_has_empty_reports(self, usage, by):
        assert all(row["calls"] == 0 for row in usage.report(by))
        assert bool(usage.report(by)) == (not by)

    @pytest.mark.parametrize(
        "by", [[], ["day"], ["model"], ["source"], ["session"], ["plugin"], ["session", "model"], ["plugin", "source"]]
    )
    def test_adds_up_to_the_same_whatever_it_is_divided_by(self, usage, book, by):
        for number in range(4):
            source = ("turn", "compaction")[number % 2]
            call = book.call(source=source, model=f"m{number % 3}", plugin_id=("p", None)[number % 2])
            book.turn(f"s{number}", calls=[call, book.call()], tools=[book.tool()])
        rows = usage.report(by)
        assert sum(row["calls"] for row in rows) == 8
        assert [sum(row[name] for row in rows) for name in COUNTERS] == [80, 40, 24, 16, 8, 160]
        assert sum(row["cost_usd"] for row in rows) == 4.0

    def test_a_cost_that_is_not_known_is_none(self, usage, book):
        book.turn(calls=[book.call(), book.call(cost_usd=None), book.call(model="free", cost_usd=0.0)])
        assert only(usage.report(), "model", "cost_usd") == [("gpt", None), ("free", 0.0)]

    def test_days_come_in_order_and_then_the_largest_first(self, usage, book, clock):
        for _ in range(2):
            book.turn(calls=[book.call(), book.call(model="big", tokens=(100,))])
            clock.advance(86_400)
        assert only(usage.report("day, model"), "day", "model") == [
            (date(2026, 1, 1), "big"),
            (date(2026, 1, 1), "gpt"),
            (date(2026, 1, 2), "big"),
            (date(2026, 1, 2), "gpt"),
        ]

    def test_columns_come_in_the_order_asked_for(self, usage, book):
        book.turn(calls=[book.call()])
        assert list(usage.report(["session", "day"])[0])[:3] == ["session_id", "day", "calls"]

    def test_by_tool(self, usage, book):
        failed = ToolOutput.failure("no")
        book.turn("a", tools=[book.tool(duration_ms=2.0), book.tool(duration_ms=4.0, output=failed), book.tool("x")])
        book.turn("b", tools=[book.tool(duration_ms=6.0)])
        assert usage.report(["tool"])[0] == {
            "tool_name": "search",
            "calls": 3,
            "failures": 1,
            "sessions": 2,
            "total_duration_ms": 12.0,
            "avg_duration_ms": 4.0,
            "max_duration_ms": 6.0,
        }
        assert only(usage.report(["tool", "session"]), "tool_name", "session_id", "calls") == [
            ("search", "a", 2),
            ("search", "b", 1),
            ("x", "a", 1),
        ]

    def test_by_plugin_joins_model_calls_tool_calls_and_hooks(self, usage, book):
        hook = HookCallFact(plugin_id="notes", hook="h", calls=3, total_ms=1.5, max_ms=1.0, errors=1)
        call = book.call(source="notes", plugin_id="notes")
        book.turn("a", calls=[book.call(), call], tools=[book.tool(plugin_id="notes"), book.tool()], hooks=[hook])
        rows = usage.report(["plugin"])
        names = ("plugin_id", "calls", "sessions", "total_tokens", "tool_calls", "hook_calls", "hook_ms", "hook_errors")
        assert only(rows, *names) == [
            ("notes", 1, 1, 20, 1, 3, 1.5, 1),
            (None, 1, 1, 20, 0, 0, 0.0, 0),
            ("tools_web", 0, 1, 0, 1, 0, 0.0, 0),
        ]

    def test_a_hook_call_has_the_day_of_its_turn(self, usage, book, clock):
        hook = HookCallFact(plugin_id="notes", hook="h", calls=3, total_ms=1.5, max_ms=1.0, errors=1)
        book.turn(hooks=[hook])
        clock.advance(2 * 86_400)
        book.turn(hooks=[hook])
        assert only(usage.report(["day", "plugin"]), "day", "hook_calls") == [
            (date(2026, 1, 1), 3),
            (date(2026, 1, 3), 3),
        ]
        assert only(usage.report(["plugin"], since="1d"), "hook_calls") == [(3,)]

    @pytest.mark.parametrize(
        ("by", "problem"),
        [
            (["modle"], "no report by 'modle'; known: day, model"),
            (["tool", "model"], "cannot be divided by model"),
            ("tool,source", "cannot be divided by model or source"),
        ],
    )
    def test_what_cannot_be_divided_is_refused(self, usage, by, problem):
        with pytest.raises(UsageFault, match=problem):
            usage.report(by)


class TestSince:
    @pytest.mark.parametrize("by", [["model"], ["plugin"]])
    def test_earlier_calls_are_left_out(self, usage, book, clock, by):
        book.turn(calls=[book.call()])
        clock.advance(86_400)
        book.turn(calls=[book.call()])
        assert usage.report(by, since="24h")[0]["calls"] == 2
        assert usage.report(by, since="23h")[0]["calls"] == 1
        assert usage.report(by, since=timedelta(minutes=1))[0]["calls"] == 1

    def test_and_tool_calls(self, usage, book, clock):
        book.turn(tools=[book.tool()])
        clock.advance(1)
        assert usage.report(["tool"], since=timedelta(0)) == []

    @pytest.mark.parametrize(
        ("since", "moment"),
        [
            (None, None),
            ("7d", datetime(2025, 12, 25)),
            ("24h", datetime(2025, 12, 31)),
            ("30m", datetime(2025, 12, 31, 23, 30)),
            ("90s", datetime(2025, 12, 31, 23, 58, 30)),
            (" 1.5 h ", datetime(2025, 12, 31, 22, 30)),
            ("2w", datetime(2025, 12, 18)),
            (timedelta(days=1), datetime(2025, 12, 31)),
            ("2025-06-01", datetime(2025, 6, 1)),
            ("2025-06-01T12:30", datetime(2025, 6, 1, 12, 30)),
            ("2025-06-01T12:30+02:00", datetime(2025, 6, 1, 10, 30)),
            ("2025-06-01T12:30Z", datetime(2025, 6, 1, 12, 30)),
            (date(2025, 6, 1), datetime(2025, 6, 1)),
            (datetime(2025, 6, 1, 1), datetime(2025, 6, 1, 1)),
            (datetime(2025, 6, 1, 1, tzinfo=timezone(timedelta(hours=-3))), datetime(2025, 6, 1, 4)),
        ],
    )
    def test_understood(self, since, moment):
        assert parse_since(since, now_us=NOW_US) == moment

    @pytest.mark.parametrize("since", ["yesterday", "", "7", "7x", "-7d", "2026-13-01", "99999999999d", "99999999w"])
    def test_not_understood(self, since):
        with pytest.raises(UsageFault, match="no point in time"):
            parse_since(since, now_us=NOW_US)
