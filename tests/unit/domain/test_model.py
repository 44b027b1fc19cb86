"""Models: their names, their answers, their price."""

from __future__ import annotations

import pytest

from lash_host.domain.message import ReasoningPart, TextPart, ToolCallPart
from lash_host.domain.model import ModelPrice, ModelResponse, ModelSpec, cost_usd, estimate_tokens, parse_model
from lash_host.domain.usage import TokenUsage

USAGE = TokenUsage(
    input_tokens=1_000_000,
    output_tokens=2_000_000,
    cache_read_input_tokens=3_000_000,
    cache_write_input_tokens=4_000_000,
    reasoning_output_tokens=1_500_000,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [("offline/agent", ("offline", "agent")), (" a/b/c ", ("a", "b/c")), ("p/script:/x/y", ("p", "script:/x/y"))],
)  # fmt: skip
def test_a_model_is_written_provider_slash_model(text, parts):
    assert parse_model(text) == parts
    provider_id, model_id = parts
    assert str(ModelSpec(provider_id=provider_id, model_id=model_id)) == text.strip()


@pytest.mark.parametrize("text", ["", "agent", "/agent", "offline/", "  "])
def test_half_a_name_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="such as offline/agent"):
        parse_model(text)


def price(**more: float) -> ModelPrice:
    return ModelPrice(
        provider_id="p",
        model_id="m",
        input_per_mtok=10.0,
        output_per_mtok=100.0,
        source="s",
        as_of="2026-01-01",
        **more,
    )


def test_a_call_costs_what_its_four_counters_cost_and_reasoning_nothing_more():
    assert cost_usd(USAGE, price(cache_read_per_mtok=1.0, cache_write_per_mtok=12.5)) == 10 + 200 + 3 + 50


def test_without_cache_prices_cached_tokens_cost_what_input_costs():
    assert cost_usd(USAGE, price()) == 10 + 200 + 30 + 40
    assert cost_usd(USAGE, price(cache_read_per_mtok=0.0)) == 10 + 200 + 0 + 40


def test_an_unknown_price_is_never_guessed():
    assert cost_usd(USAGE, None) is None
    assert cost_usd(TokenUsage(), price()) == 0.0


def test_the_text_of_an_answer_leaves_commentary_out_where_there_is_a_final_answer():
    said = (TextPart(text="hm ", phase="commentary"), ReasoningPart(text="no"), TextPart(text="b"))
    assert ModelResponse(parts=said).text == "hm b"
    assert ModelResponse(parts=(*said, TextPart(text="c", phase="final_answer"))).text == "bc"


def test_the_calls_of_an_answer_come_in_order():
    calls = tuple(ToolCallPart(call_id=str(number), tool_name="t") for number in range(3))
    assert ModelResponse(parts=(calls[0], TextPart(text="x"), *calls[1:])).tool_calls == calls


@pytest.mark.parametrize(("chars", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (400, 100)])
def test_tokens_are_a_quarter_of_the_characters_rounded_up(chars, tokens):
    assert estimate_tokens("x" * chars) == tokens
