"""When a session should get a fresh frame by itself."""

from __future__ import annotations

import pytest

from lash_host.domain.compaction import next_prompt_usage, should_compact
from lash_host.domain.usage import TokenUsage

LAST = TokenUsage(
    input_tokens=100,
    output_tokens=50,
    cache_read_input_tokens=600,
    cache_write_input_tokens=20,
    reasoning_output_tokens=40,
)
"""A prompt of 720 tokens and an answer of 50: the next prompt has at least 770."""


@pytest.mark.parametrize(
    ("incoming", "share", "expected"),
    [
        (29, 0.8, False),
        (30, 0.8, True),
        (31, 0.8, True),
        (0, 0.77, True),
        (0, 0.771, False),
        (230, 1.0, True),
        (229, 1.0, False),
        (10_000, 0.0, False),
        (10_000, -1.0, False),
    ],
)
def test_a_prompt_that_would_reach_the_share_compacts(incoming, share, expected):
    assert should_compact(LAST, incoming_tokens=incoming, context_window_tokens=1_000, share=share) is expected


def test_where_nothing_is_known_nothing_is_compacted():
    assert not should_compact(None, incoming_tokens=10_000, context_window_tokens=1_000, share=0.5)


@pytest.mark.parametrize("before", [None, LAST])
def test_a_turn_that_learned_nothing_leaves_what_was_known(before):
    assert next_prompt_usage(before, None, overflowed=False, context_window_tokens=1_000) == before


def test_the_last_call_tells_how_full_the_context_is():
    last_call = TokenUsage(input_tokens=7)
    assert next_prompt_usage(LAST, last_call, overflowed=False, context_window_tokens=1_000) == last_call


@pytest.mark.parametrize("last_call", [None, TokenUsage()])
def test_after_an_overflow_the_next_turn_compacts(last_call):
    full = next_prompt_usage(None, last_call, overflowed=True, context_window_tokens=1_000)
    assert should_compact(full, incoming_tokens=0, context_window_tokens=1_000, share=1.0)
