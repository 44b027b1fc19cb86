"""Answers as they arrive: odd splits, odd servers, cuts, silence and cancellation."""

from __future__ import annotations

import asyncio
import json

import pytest

from lash_host import Message, ModelResponse, Role, TerminalReason, TextDelta, TextPart, TokenUsage, ToolCallPart
from lash_host.testing.openai_server import ChatReply, FakeToolCall, Hold, RawReply, sse

TEXT = "Grüße aus Zürich, 東京 and 🙂"


def chunks(**reply):
    return list(ChatReply(**reply).chunks(model="m"))


def raw_delta(delta: str) -> bytes:
    return f'data: {{"model": "m", "choices": [{{"index": 0, "delta": {delta}}}]}}\n\n'.encode()


@pytest.mark.parametrize("size", [1, 7, 64])
def test_bytes_may_be_split_anywhere_even_within_a_character(server, ask, size):
    stream = sse(*chunks(text=TEXT))
    server.add(RawReply(pieces=[stream[at : at + size] for at in range(0, len(stream), size)]))
    *deltas, response = ask()
    assert "".join(delta.text for delta in deltas) == TEXT
    assert response.text == TEXT


def test_a_character_whose_escape_is_split_over_two_deltas_is_shown_whole(server, ask):
    stream = [raw_delta(r'{"content": "a\ud83d"}'), raw_delta(r'{"content": "\ude42b"}'), sse(*chunks()[1:])]
    server.add(RawReply(pieces=stream))
    *deltas, response = ask()
    assert deltas == [TextDelta("a"), TextDelta("🙂b")]
    assert response.text == "a🙂b"


def test_half_a_character_is_replaced(server, answer):
    server.add(RawReply(pieces=[raw_delta(r'{"content": "x\ud83d"}'), sse(*chunks()[1:])]))
    assert answer().text == "x\ufffd"


def test_carriage_returns_comments_and_line_separators_do_no_harm(server, answer):
    stream = sse(*chunks(text="one\u2028two\u0085")).replace(b"\n\n", b"\r\n\r\n")
    server.add(RawReply(pieces=[b": PROCESSING\r\n\r\n", stream]))
    assert answer().text == "one\u2028two\u0085"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"path": "a', "not valid JSON"),
        ("[1, 2]", "must be a JSON object, got an array"),
        ('"text"', "got a string"),
        ("7", "got a number"),
        ("null", "got null"),
        ('{"n": NaN}', "NaN is not JSON"),
        ('{"n": 1e999}', "too large"),
        (r'{"s": "\ud800"}', "half a character"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_arguments_that_are_no_object_are_told_and_not_guessed(server, answer, arguments, problem):
    server.add(ChatReply(tool_calls=(FakeToolCall(name="t", arguments=arguments),)))
    (call,) = answer().tool_calls
    assert call.arguments == {}
    assert problem in call.arguments_error


@pytest.mark.parametrize("arguments", ["", "  ", "{}"])
def test_no_arguments_are_an_empty_object(server, answer, arguments):
    server.add(ChatReply(tool_calls=(FakeToolCall(name="t", arguments=arguments),)))
    assert answer().tool_calls == (ToolCallPart(call_id="call_a", tool_name="t"),)


def test_escaped_pairs_in_arguments_are_kept(server, answer):
    server.add(ChatReply(tool_calls=(FakeToolCall(name="t", arguments=(r'{"s": "\ud83d', r'\ude42"}')),)))
    assert answer().tool_calls[0].arguments == {"s": "🙂"}


def test_missing_and_repeated_call_ids_become_free_ones(server, answer, make_request):
    earlier = ToolCallPart(call_id="call_2", tool_name="t")
    said = Message(message_id="m1", role=Role.ASSISTANT, parts=(earlier,))
    calls = [FakeToolCall(name=name, call_id=call_id) for name, call_id in (("a", None), ("b", "call_2"), ("c", "x"))]
    server.add(ChatReply(tool_calls=calls), ChatReply(tool_calls=calls))
    ids = [call.call_id for call in answer(make_request(said, "go on")).tool_calls]
    assert ids == ["call_3", "call_4", "x"]
    assert ids == [call.call_id for call in answer(make_request(said, "go on")).tool_calls]


def test_calls_that_a_server_all_numbers_0_stay_apart(server, answer):
    deltas = [
        {"tool_calls": [{"index": 0, "id": call_id, "function": {"name": name, "arguments": "{}"}}]}
        for call_id, name in (("c1", "a"), ("c2", "b"))
    ]
    server.add(RawReply(pieces=[*(raw_delta(json.dumps(delta)) for delta in deltas), sse(*chunks()[1:])]))
    assert [(call.call_id, call.tool_name) for call in answer().tool_calls] == [("c1", "a"), ("c2", "b")]


def test_a_name_that_is_repeated_with_every_fragment_is_taken_once(server, answer):
    deltas = [
        {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "add", "arguments": piece}}]}
        for piece in ('{"a":', " 1}")
    ]
    server.add(RawReply(pieces=[*(raw_delta(json.dumps(delta)) for delta in deltas), sse(*chunks()[1:])]))
    (call,) = answer().tool_calls
    assert (call.tool_name, call.arguments) == ("add", {"a": 1})


def test_calls_with_the_finish_reason_stop_are_tool_use(server, answer):
    server.add(ChatReply(tool_calls=(FakeToolCall(name="t"),), finish_reason="stop"))
    assert answer().terminal_reason is TerminalReason.TOOL_USE


def test_a_refusal_is_what_the_model_says(server, answer):
    server.add(RawReply(pieces=[raw_delta('{"refusal": "I cannot."}'), sse(*chunks()[1:])]))
    assert answer().text == "I cannot."


def test_an_unknown_finish_reason_is_unknown(server, answer):
    server.add(ChatReply(text="a", finish_reason="eos"))
    assert answer().terminal_reason is TerminalReason.UNKNOWN


def test_an_answer_without_a_finish_reason_is_whole_once_it_is_accounted_for(server, answer):
    server.add(ChatReply(text="all of it", finish_reason=""))
    response = answer()
    assert (response.text, response.terminal_reason) == ("all of it", TerminalReason.UNKNOWN)


@pytest.mark.parametrize("chunked", [True, False], ids=["in a chunk", "by hanging up"])
@pytest.mark.parametrize("text", ["", "The answer is"], ids=["empty", "begun"])
def test_a_stream_that_breaks_off_is_an_error_that_may_be_retried(server, refusal, text, chunked):
    begun = chunks(text=text, finish_reason="", usage=None)
    server.add(RawReply(pieces=[sse(*begun, done=False)], cut=True, chunked=chunked))
    error = refusal()
    assert (error.kind, error.retryable) == ("stream", True)
    assert "broke off" in str(error)


def test_an_answer_that_was_whole_before_the_connection_broke_is_kept(server, answer):
    server.add(RawReply(pieces=[sse(*chunks(text="whole", usage=None), done=False)], cut=True))
    response = answer()
    assert (response.text, response.usage) == ("whole", TokenUsage())


def test_a_stream_that_is_no_json_is_an_error(server, refusal):
    server.add(RawReply(pieces=[b"data: <html>busy</html>\n\n"]))
    error = refusal()
    assert (error.kind, error.retryable) == ("stream", True)


@pytest.mark.parametrize("begun", [b"", raw_delta('{"content": "The"}')], ids=["at once", "within the answer"])
def test_silence_is_a_timeout(server, refusal, make_request, begun):
    server.add(RawReply(pieces=[begun, Hold.HOLD] if begun else [Hold.HOLD]))
    error = refusal(make_request(timeout_s=0.2))
    assert (error.kind, error.retryable, error.status) == ("timeout", True, None)
    assert server.gone.wait(5)


def test_a_drip_that_never_ends_is_a_timeout_too(server, refusal, make_provider):
    endless = (b": still here\n\n" for _ in iter(int, 1))
    server.add(RawReply(pieces=endless))
    assert refusal(provider=make_provider(request_timeout_s=0.2)).kind == "timeout"
    assert server.gone.wait(5)


def test_deltas_come_while_the_model_still_speaks_and_closing_hangs_up(server, make_provider, make_request):
    server.add(RawReply(pieces=[raw_delta('{"content": "first"}'), Hold.HOLD]))

    async def scenario():
        provider = make_provider()
        stream = provider.stream(make_request())
        assert await anext(stream) == TextDelta("first")
        assert not server.gone.is_set()
        await stream.aclose()
        assert await asyncio.to_thread(server.gone.wait, 5)
        await provider.close()

    asyncio.run(scenario())


def test_cancelling_the_task_hangs_up(server, make_provider, make_request):
    server.add(RawReply(pieces=[raw_delta('{"content": "first"}'), Hold.HOLD]))

    async def scenario():
        provider, seen = make_provider(), asyncio.Event()

        async def consume():
            async for _ in provider.stream(make_request()):
                seen.set()

        task = asyncio.create_task(consume())
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.gone.wait, 5)
        await provider.close()

    asyncio.run(scenario())


def test_many_streams_at_once_do_not_mix(server, make_provider, make_request):
    def echo(request):
        return ChatReply(text=tuple(request.body["messages"][-1]["content"]))

    server.add(*[echo] * 20)

    async def one(provider, text):
        async for event in provider.stream(make_request(text)):
            if isinstance(event, ModelResponse):
                return event.parts
        raise AssertionError("no response")

    async def scenario():
        provider = make_provider()
        answers = await asyncio.gather(*(one(provider, f"number {n}") for n in range(20)))
        await provider.close()
        return answers

    assert asyncio.run(scenario()) == [(TextPart(text=f"number {n}"),) for n in range(20)]
