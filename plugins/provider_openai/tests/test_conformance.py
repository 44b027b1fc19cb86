"""What every adapter of a model provider must do, one case a promise, as the reference lists them."""

from __future__ import annotations

import pytest

from lash_host import (
    ModelProvider,
    ModelResponse,
    ReasoningDelta,
    ReasoningPart,
    TerminalReason,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallPart,
)
from lash_host.testing.openai_server import ChatReply, FakeToolCall, RawReply, sse


def test_it_is_a_model_provider(make_provider):
    assert isinstance(make_provider(), ModelProvider)


def test_plain_text_stop(server, answer):
    server.add(ChatReply(text="Paris.", model="gpt-test-2026"))
    response = answer()
    assert response.parts == (TextPart(text="Paris."),)
    assert response.terminal_reason is TerminalReason.STOP
    assert response.provider_model == "gpt-test-2026"
    assert response.usage == TokenUsage(input_tokens=12, output_tokens=5)


def test_output_capped(server, answer):
    server.add(ChatReply(text="and then", finish_reason="length"))
    assert answer().terminal_reason is TerminalReason.OUTPUT_LIMIT


def test_a_full_window_is_an_overflow_and_no_cut_answer(server, answer, make_request):
    usage = {"prompt_tokens": 960, "completion_tokens": 0, "total_tokens": 960}
    server.add(ChatReply(finish_reason="length", usage=usage), ChatReply(finish_reason="length", usage=usage))
    assert answer(make_request(model_context_window_tokens=1_000)).terminal_reason is TerminalReason.CONTEXT_OVERFLOW
    assert answer(make_request(model_context_window_tokens=2_000)).terminal_reason is TerminalReason.OUTPUT_LIMIT


def test_streaming_text_assembly(server, ask):
    server.add(ChatReply(text=("Hel", "lo ", "Zoë")))
    *deltas, response = ask()
    assert deltas == [TextDelta("Hel"), TextDelta("lo "), TextDelta("Zoë")]
    assert response.text == "Hello Zoë"


def test_streaming_tool_argument_merge(server, answer):
    call = FakeToolCall(name="read_file", arguments=('{"pa', 'th": "REA', 'DME.md"}'), call_id="call_x")
    server.add(ChatReply(text="I'll look.", tool_calls=(call,)))
    response = answer()
    assert response.parts == (
        TextPart(text="I'll look."),
        ToolCallPart(call_id="call_x", tool_name="read_file", arguments={"path": "README.md"}),
    )
    assert response.terminal_reason is TerminalReason.TOOL_USE


def test_parallel_tool_calls_whose_fragments_alternate(server, answer):
    one = FakeToolCall(name="add", arguments=('{"a"', ": 1}"), call_id="call_1")
    two = FakeToolCall(name="sub", arguments=('{"b', '": ', "2}"), call_id="call_2")
    server.add(ChatReply(tool_calls=(one, two)))
    assert [(call.call_id, call.tool_name, call.arguments) for call in answer().tool_calls] == [
        ("call_1", "add", {"a": 1}),
        ("call_2", "sub", {"b": 2}),
    ]


def test_content_filter(server, answer):
    server.add(ChatReply(text="I ca", finish_reason="content_filter"))
    assert answer().terminal_reason is TerminalReason.CONTENT_FILTER


def test_usage_cache_hit(server, answer):
    details = {"cached_tokens": 70, "cache_write_tokens": 20}
    usage = {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109, "prompt_tokens_details": details}
    server.add(ChatReply(text="ok", usage=usage))
    assert answer().usage == TokenUsage(
        input_tokens=10, output_tokens=9, cache_read_input_tokens=70, cache_write_input_tokens=20
    )


@pytest.mark.parametrize(("completion", "total"), [(50, 60), (8, 60)], ids=["counted in", "counted apart"])
def test_usage_reasoning(server, answer, completion, total):
    details = {"reasoning_tokens": 42}
    usage = {"prompt_tokens": 10, "completion_tokens": completion, "total_tokens": total}
    server.add(ChatReply(text="ok", usage={**usage, "completion_tokens_details": details}))
    assert answer().usage == TokenUsage(input_tokens=10, output_tokens=50, reasoning_output_tokens=42)


def test_usage_that_is_not_reported_is_zero(server, answer):
    server.add(ChatReply(text="ok", usage=None))
    response = answer()
    assert response.usage == TokenUsage()
    assert response.terminal_reason is TerminalReason.STOP


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_extraction(server, ask, field):
    server.add(ChatReply(reasoning=("Let me ", "think."), text="42", reasoning_field=field))
    *deltas, response = ask()
    assert deltas == [ReasoningDelta("Let me "), ReasoningDelta("think."), TextDelta("42")]
    assert response.parts == (ReasoningPart(text="Let me think."), TextPart(text="42"))
    assert response.text == "42"


def test_streaming_usage_merge(server, answer):
    """Some servers report as they go: the latest value that is not 0 counts, counter by counter."""
    chunks = list(ChatReply(text=("a", "b"), usage=None).chunks(model="m"))
    chunks[1]["usage"] = {"prompt_tokens": 30, "completion_tokens": 1, "total_tokens": 31}
    details = {"cached_tokens": 20}
    chunks[2]["usage"] = {"prompt_tokens": 30, "completion_tokens": 2, "prompt_tokens_details": details}
    chunks[3]["usage"] = {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 33}
    server.add(RawReply(pieces=[sse(*chunks)]))
    assert answer().usage == TokenUsage(input_tokens=10, output_tokens=3, cache_read_input_tokens=20)


def test_the_last_event_is_the_only_response(server, ask):
    server.add(ChatReply(text=("a", "b"), tool_calls=(FakeToolCall(name="t"),)))
    assert [isinstance(event, ModelResponse) for event in ask()] == [False, False, True]
