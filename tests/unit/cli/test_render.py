"""How values read to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lash_host.cli.render import ago, arguments_line, bytes_text, duration_text, moment_text, tokens_line

_NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0.04, "0.0 ms"), (1.24, "1.2 ms"), (340.4, "340 ms"), (2500, "2.5 s"), (200_400, "3 min 20 s")],
)
def test_durations(milliseconds, text):
    assert duration_text(milliseconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, ""), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**3, "5.0 GiB"), (2**50, "1024.0 TiB")],
)
def test_sizes(size, text):
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=29), "29 d ago"),
        (timedelta(days=31), "2026-05-15"),
    ],
)
def test_moments_from_here(age, text):
    assert ago(_NOW - age, now=_NOW) == text


def test_a_moment_without_a_zone_is_utc():
    assert ago((_NOW - timedelta(hours=2)).replace(tzinfo=None), now=_NOW) == "2 h ago"
    assert ago(None, now=_NOW) == "never"
    assert moment_text(1_000_001) == "1970-01-01T00:00:01.000001Z"
    assert moment_text(None) is None


def test_tokens():
    counters = dict.fromkeys(
        ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens"), 0
    )
    plain = {**counters, "reasoning_output_tokens": 0, "input_tokens": 1234, "output_tokens": 5}
    full = {**plain, "cache_read_input_tokens": 7, "cache_write_input_tokens": 8, "reasoning_output_tokens": 3}

    assert tokens_line(plain) == "1,234 in, 5 out tokens"
    assert tokens_line(full) == "1,234 in, 7 from cache, 8 to cache, 5 out (3 reasoning) tokens"


def test_arguments():
    assert arguments_line({}, limit=20, more="…") == ""
    assert arguments_line({"path": "README.md"}, limit=20, more="…") == "README.md"
    assert arguments_line({"a": 1, "b": "x\ny", "c": [1]}, limit=40, more="…") == "a=1, b=x y, c=[1]"
    assert arguments_line({"text": "x" * 50}, limit=10, more="…") == "xxxxxxxxx…"
