"""A usage report as a table for people: short headings, totals, and no columns that say nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lash_host.cli.formats import cell_text
from lash_host.cli.render import duration_text
from lash_host.cli.tables import Column

__all__ = ["cost_text", "usage_table"]

_HEADINGS = {
    "session_id": "session",
    "plugin_id": "plugin",
    "tool_name": "tool",
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache read",
    "cache_write_input_tokens": "cache write",
    "reasoning_output_tokens": "reasoning",
    "total_tokens": "total",
    "cost_usd": "cost",
    "tool_calls": "tool calls",
    "hook_calls": "hook calls",
    "hook_ms": "hook time",
    "hook_errors": "hook errors",
    "total_duration_ms": "time",
    "avg_duration_ms": "average",
    "max_duration_ms": "longest",
}
_WORDS = {"day", "model", "source", "session_id", "plugin_id", "tool_name"}
_HIDDEN_IF_ZERO = {
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "hook_errors",
    "failures",
}
_NOT_ADDED = {"sessions", "avg_duration_ms", "max_duration_ms"}

Row = Mapping[str, Any]


def usage_table(rows: Sequence[Row]) -> tuple[list[Column], list[list[str]]]:
    """Give columns and cells of a report that has rows; several rows get a last one with totals."""
    names = [
        name
        for name in rows[0]
        if name != "provider_id"
        and not (name in _HIDDEN_IF_ZERO and not any(row[name] for row in rows))
        and not (name == "sessions" and "session_id" in rows[0])
    ]
    columns = [
        Column(_HEADINGS.get(name, name), is_number=name not in _WORDS, is_whole=name == "day") for name in names
    ]
    cells = [[_cell(name, row) for name in names] for row in rows]
    words = [name for name in names if name in _WORDS]
    if len(rows) > 1 and words:
        cells.append(["total" if name == words[0] else _total(name, rows) for name in names])
    return columns, cells


def cost_text(cost: float | None) -> str:
    """Write a cost in US dollars; ``-`` where it is not known."""
    if cost is None:
        return "-"
    return f"${cost:,.2f}" if cost >= 1 or cost == 0 else f"${cost:.4f}"


def _cell(name: str, row: Row) -> str:
    value = row[name]
    if name == "cost_usd":
        return cost_text(value)
    if name == "model":
        return f"{row['provider_id']}/{value}"
    if name == "plugin_id" and value is None:
        return "(host)"
    if name.endswith("_ms") and value is not None:
        return duration_text(value)
    return f"{value:,}" if isinstance(value, int) else cell_text(value)


def _total(name: str, rows: Sequence[Row]) -> str:
    if name in _WORDS or name in _NOT_ADDED:
        return ""
    values = [row[name] for row in rows]
    if name == "cost_usd":
        return cost_text(None if None in values else sum(values))
    return _cell(name, {name: sum(value or 0 for value in values)})
