"""A usage report as a table."""

from __future__ import annotations

from datetime import date

import pytest

from lash_host.cli.usage_table import cost_text, usage_table

_COUNTERS = {
    "input_tokens": 1000,
    "output_tokens": 5,
    "cache_read_input_tokens": 0,
    "cache_write_input_tokens": 0,
    "reasoning_output_tokens": 0,
    "total_tokens": 1005,
}


def test_models_are_named_whole_and_columns_that_say_nothing_left_out():
    row = {"provider_id": "offline", "model": "agent", "calls": 2, "sessions": 1, **_COUNTERS, "cost_usd": None}

    columns, cells = usage_table([row])

    assert [column.heading for column in columns] == ["model", "calls", "sessions", "input", "output", "total", "cost"]
    assert cells == [["offline/agent", "2", "1", "1,000", "5", "1,005", "-"]]


def test_several_rows_are_added_up_but_for_what_cannot_be():
    rows = [
        {"day": date(2026, 1, day), "calls": day, "sessions": 1, **_COUNTERS, "cost_usd": cost}
        for day, cost in ((1, 0.25), (2, 1.0))
    ]

    _, cells = usage_table(rows)

    assert cells[0][0] == "2026-01-01"
    assert cells[-1] == ["total", "3", "", "2,000", "10", "2,010", "$1.25"]


def test_a_cost_that_is_partly_unknown_is_unknown():
    rows = [{"source": word, "calls": 1, **_COUNTERS, "cost_usd": cost} for word, cost in (("a", 0.1), ("b", None))]

    assert usage_table(rows)[1][-1][-1] == "-"


def test_tools_show_durations():
    row = {"tool_name": "read", "calls": 3, "failures": 1, "sessions": 1, "total_duration_ms": 3000.0}
    rows = [{**row, "avg_duration_ms": 1000.0, "max_duration_ms": 2000.0}]

    columns, cells = usage_table(rows)

    assert [column.heading for column in columns][-3:] == ["time", "average", "longest"]
    assert cells == [["read", "3", "1", "1", "3.0 s", "1.0 s", "2.0 s"]]


def test_what_no_plugin_did_is_the_hosts():
    row = {"plugin_id": None, "calls": 1, **_COUNTERS, "cost_usd": 0.0, "hook_ms": None, "hook_errors": 0}

    columns, cells = usage_table([row])

    assert "hook errors" not in [column.heading for column in columns]
    assert (cells[0][0], cells[0][-2], cells[0][-1]) == ("(host)", "$0.00", "")


@pytest.mark.parametrize(("cost", "text"), [(None, "-"), (0, "$0.00"), (0.00123, "$0.0012"), (1234.5, "$1,234.50")])
def test_costs(cost, text):
    assert cost_text(cost) == text
