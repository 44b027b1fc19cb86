"""Reports: the questions everybody asks of the views, as SQL made of a few words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from lash_host.errors import UsageFault

__all__ = ["DIMENSIONS", "Since", "check_dimensions", "parse_since", "report_sql"]

Since = datetime | date | timedelta | str | None

DIMENSIONS: Final = {
    "day": ("day",),
    "model": ("provider_id", "model"),
    "source": ("source",),
    "session": ("session_id",),
    "plugin": ("plugin_id",),
    "tool": ("tool_name",),
}
"""What a report can be divided by, with the columns each gives."""

_COUNTERS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "total_tokens",
)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def check_dimensions(by: str | Sequence[str]) -> tuple[str, ...]:
    """Take what a report is divided by, as words or as one string with commas between; each once, in order.

    Raises:
        UsageFault: One is unknown, or they do not go together: tools are not called by models or sources.
    """
    words = by.split(",") if isinstance(by, str) else by
    chosen = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    unknown = next((word for word in chosen if word not in DIMENSIONS), None)
    if unknown is not None:
        raise UsageFault(f"no report by {unknown!r}; known: {', '.join(DIMENSIONS)}")
    if "tool" in chosen and {"model", "source"} & set(chosen):
        raise UsageFault("a report by tool cannot be divided by model or source: those are of model calls")
    return chosen


def parse_since(since: Since, *, now_us: int) -> datetime | None:
    """Give the moment, in UTC and without a time zone.

    Args:
        since: A span such as ``7d``, ``24h``, ``30m`` or a `timedelta`, back from now; or a date or time, in ISO
            form if it is text. Without a time zone it is UTC.
        now_us: Now, in UTC microseconds.

    Raises:
        UsageFault: It is none of these, or before the year 1.
    """
    try:
        match since:
            case None:
                return None
            case datetime():
                moment = since
            case date():
                moment = datetime.combine(since, time.min)
            case timedelta():
                moment = datetime.fromtimestamp(now_us / 1_000_000, UTC) - since
            case str():
                span = _SPAN.fullmatch(since.strip())
                if span is not None:
                    return parse_since(timedelta(**{_UNITS[span[2]]: float(span[1])}), now_us=now_us)
                moment = datetime.fromisoformat(since.strip())
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment
    except (ValueError, OverflowError) as exc:
        raise UsageFault(f"{since!r} is no point in time; write 7d, 24h, 30m, or a date such as 2026-01-31") from exc


def report_sql(by: Sequence[str], *, since: datetime | None) -> str:
    """Write the SELECT of a report.

    Args:
        by: What `check_dimensions` gave.
        since: What `parse_since` gave; nothing earlier is counted.
    """
    columns = [column for word in by for column in DIMENSIONS[word]]
    after = "" if since is None else f" >= TIMESTAMP '{since.isoformat(sep=' ')}'"
    measures: tuple[str, ...]
    if "tool" in by:
        measures, rows, largest = _TOOL_MEASURES, _rows("usage.tool_calls", after), "calls"
    elif "plugin" in by and not {"model", "source"} & set(by):
        measures, rows, largest = _PLUGIN_MEASURES, _plugin_rows(after), "total_tokens"
    else:
        measures, rows, largest = _MODEL_MEASURES, _rows("usage.model_calls", after), "total_tokens"
    select = ",\n    ".join((*columns, *measures))
    group = f"\nGROUP BY {', '.join(columns)}" if columns else ""
    order = ["day"] if "day" in columns else []
    order += [f"{largest} DESC", *(f"{column} NULLS LAST" for column in columns if column != "day")]
    return f"SELECT\n    {select}\nFROM ({rows})\nAS facts{group}\nORDER BY {', '.join(order)}"


def _total(column: str) -> str:
    return f"CAST(coalesce(sum({column}), 0) AS BIGINT) AS {column}"


_COST: Final = (
    "CASE WHEN count(*) FILTER (WHERE cost_usd IS NULL AND total_tokens > 0) = 0 "
    "THEN coalesce(sum(cost_usd), 0) END AS cost_usd"
)
_TOKENS_AND_COST: Final = (*(_total(column) for column in _COUNTERS), _COST)
_SESSIONS: Final = "count(DISTINCT session_id) AS sessions"

_MODEL_MEASURES: Final = ("count(*) AS calls", _SESSIONS, *_TOKENS_AND_COST)
_TOOL_MEASURES: Final = (
    "count(*) AS calls",
    "count(*) FILTER (WHERE status = 'failure') AS failures",
    _SESSIONS,
    "sum(duration_ms) AS total_duration_ms",
    "avg(duration_ms) AS avg_duration_ms",
    "max(duration_ms) AS max_duration_ms",
)
_PLUGIN_MEASURES: Final = (
    _total("calls"),
    _SESSIONS,
    *_TOKENS_AND_COST,
    _total("tool_calls"),
    _total("hook_calls"),
    "sum(hook_ms) AS hook_ms",
    _total("hook_errors"),
)


def _rows(view: str, after: str) -> str:
    where = f" WHERE started_at{after}" if after else ""
    return f"SELECT *, CAST(started_at AS DATE) AS day FROM {view}{where}"


def _plugin_rows(after: str) -> str:
    """Write the SELECT of all that plugins did: model calls, tool calls, hooks. A hook's time is its turn's."""
    no_tokens = ", ".join(f"0 AS {column}" for column in (*_COUNTERS, "cost_usd"))
    where = f" WHERE turns.started_at{after}" if after else ""
    return (
        f"SELECT session_id, plugin_id, day, 1 AS calls, {', '.join(_COUNTERS)}, cost_usd, "
        "0 AS tool_calls, 0 AS hook_calls, CAST(0 AS DOUBLE PRECISION) AS hook_ms, 0 AS hook_errors "
        f"FROM ({_rows('usage.model_calls', after)}) AS model_calls "
        f"UNION ALL SELECT session_id, plugin_id, day, 0, {no_tokens}, 1, 0, 0, 0 "
        f"FROM ({_rows('usage.tool_calls', after)}) AS tool_calls "
        f"UNION ALL SELECT hooks.session_id, hooks.plugin_id, CAST(turns.started_at AS DATE), 0, {no_tokens}, 0, "
        "hooks.calls, hooks.total_ms, hooks.errors FROM usage.hook_calls AS hooks "
        "LEFT JOIN usage.turns AS turns ON turns.session_id = hooks.session_id AND turns.turn_id = hooks.turn_id"
        f"{where}"
    )
