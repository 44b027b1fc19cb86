"""How values read to people: durations, sizes, moments, tokens, arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from lash_host.cli.terminal import one_line

__all__ = ["ago", "arguments_line", "bytes_text", "counted", "duration_text", "moment_text", "tokens_line"]

_SECOND_MS = 1_000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_OLD_DAYS = 30
_KIB = 1024


def duration_text(milliseconds: float) -> str:
    """Write a duration: ``1.2 ms``, ``340 ms``, ``2.5 s``, ``3 min 20 s``."""
    if milliseconds < 100:  # noqa: PLR2004  three digits say enough
        return f"{milliseconds:.1f} ms"
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / _SECOND_MS
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest} s"


def counted(count: int, noun: str) -> str:
    """Write how many there are of something: ``1 turn``, ``1,234 turns``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def bytes_text(size: int | None) -> str:
    """Write a size: ``512 B``, ``1.4 MiB``."""
    if size is None:
        return ""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < _KIB:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return f"{amount:.1f} TiB"


def ago(moment: datetime | None, *, now: datetime) -> str:
    """Write how long ago a moment was; the day where that is long. A moment without a zone is UTC."""
    if moment is None:
        return "never"
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    seconds = (now - moment).total_seconds()
    if seconds < _MINUTE_S:
        return "just now"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min ago"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h ago"
    if seconds < _OLD_DAYS * _DAY_S:
        return f"{seconds // _DAY_S:.0f} d ago"
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def moment_text(microseconds: int | None) -> str | None:
    """Write UTC microseconds as ISO 8601."""
    if microseconds is None:
        return None
    return (
        datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )


def tokens_line(counters: Mapping[str, int]) -> str:
    """Write the counters of `TokenUsage`: ``1,234 in, 56 out``; cached and reasoning tokens where there are any."""
    parts = [f"{counters['input_tokens']:,} in"]
    cached = counters["cache_read_input_tokens"]
    written = counters["cache_write_input_tokens"]
    parts += [f"{cached:,} from cache"] if cached else []
    parts += [f"{written:,} to cache"] if written else []
    reasoning = counters["reasoning_output_tokens"]
    thought = f" ({reasoning:,} reasoning)" if reasoning else ""
    return f"{', '.join(parts)}, {counters['output_tokens']:,} out{thought} tokens"


def arguments_line(arguments: Mapping[str, object], *, limit: int, more: str) -> str:
    """Write a tool call's arguments on one line: a single text bare, several as ``key=value``."""
    match [*arguments.items()]:
        case [(_, str() as only)]:
            text = only
        case items:
            text = ", ".join(f"{key}={_short(value)}" for key, value in items)
    return one_line(text, limit=limit, more=more)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
