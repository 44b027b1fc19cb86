"""The scripted provider plays its script and keeps what it was asked."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

import lash_host.testing
from lash_host.contracts.provider import ModelProvider
from lash_host.domain.message import Message, ReasoningPart, Role, TextPart, ToolCallPart
from lash_host.domain.model import (
    ModelRequest,
    ModelResponse,
    ModelSpec,
    ReasoningDelta,
    RequestScope,
    TextDelta,
)
from lash_host.errors import ModelCallError, UnknownModel
from lash_host.testing import SCRIPTED_USAGE, ScriptedProvider, ScriptUsedUp, text, tool_call, tool_calls

SCOPE = RequestScope(session_id="s", frame_id="f", turn_id="t1", request_id="r", idempotency_key="k")


def make_request(*messages: Message) -> ModelRequest:
    model = ModelSpec(provider_id="scripted", model_id="any")
    return ModelRequest(model=model, system="", messages=messages, scope=SCOPE)


def play(provider: ScriptedProvider, *messages: Message) -> list[object]:
    async def collect() -> list[object]:
        return [event async for event in provider.stream(make_request(*messages))]

    return asyncio.run(collect())


def test_it_is_a_model_provider():
    assert isinstance(ScriptedProvider(), ModelProvider)


def test_text_is_streamed_and_then_answered_with_a_usage():
    provider = ScriptedProvider(replies=["hello"])
    delta, response = play(provider)
    assert delta == TextDelta("hello")
    assert response == text("hello")
    assert response.usage == SCRIPTED_USAGE
    assert SCRIPTED_USAGE.total_tokens == 168


def test_reasoning_is_streamed_too():
    response = ModelResponse(parts=(ReasoningPart(text="hm"), TextPart(text="yes")))
    assert play(ScriptedProvider(replies=[response])) == [ReasoningDelta("hm"), TextDelta("yes"), response]


def test_a_list_is_played_as_it_stands():
    steps = [TextDelta("a"), TextDelta("b"), text("ab")]
    assert play(ScriptedProvider(replies=[steps])) == steps
    assert play(ScriptedProvider(replies=[[TextDelta("a")]])) == [TextDelta("a")]


def test_an_error_is_raised_at_once_or_half_way():
    provider = ScriptedProvider(replies=[ModelCallError("no", kind="auth"), [TextDelta("a"), ValueError("cut")]])
    with pytest.raises(ModelCallError, match="no"):
        play(provider)
    with pytest.raises(ValueError, match="cut"):
        play(provider)
    assert provider.interrupted == 0


def test_a_callable_sees_the_request():
    provider = ScriptedProvider(replies=[lambda request: request.messages[-1].text.upper()])
    message = Message(message_id="m", role=Role.USER, parts=(TextPart(text="loud"),))
    assert play(provider, message)[-1] == text("LOUD")
    assert [request.messages for request in provider.requests] == [(message,)]


def test_calls_without_an_id_get_one_that_no_earlier_call_has():
    provider = ScriptedProvider(replies=[tool_calls(("a", {"x": 1}), ("b", {}, "mine"), ("c", {}))])
    earlier = Message(message_id="m", role=Role.ASSISTANT, parts=(ToolCallPart(call_id="0", tool_name="a"),))
    response = play(provider, earlier)[-1]
    assert isinstance(response, ModelResponse)
    assert [(call.tool_name, call.call_id) for call in response.tool_calls] == [
        ("a", "call_t1_2"),
        ("b", "mine"),
        ("c", "call_t1_3"),
    ]


def test_a_tool_call_may_be_announced():
    response = tool_call("read_file", {"path": "a"}, call_id="1", say="I look.")
    assert response.text == "I look."
    assert response.tool_calls == (ToolCallPart(call_id="1", tool_name="read_file", arguments={"path": "a"}),)


def test_a_used_up_script_says_how_long_it_was():
    provider = ScriptedProvider(replies=["one"])
    provider.add("two")
    play(provider)
    assert provider.remaining == 1
    play(provider)
    with pytest.raises(ScriptUsedUp, match="2 scripted replies") as caught:
        play(provider)
    assert isinstance(caught.value, ModelCallError)
    assert isinstance(caught.value, AssertionError)
    assert not caught.value.retryable


def test_it_waits_at_an_event_and_counts_streams_that_were_closed_there():
    async def scenario():
        gate = asyncio.Event()
        provider = ScriptedProvider(replies=[[TextDelta("a"), gate, text("a")]] * 2)
        async with aclosing(provider.stream(make_request())) as stream:
            assert await anext(stream) == TextDelta("a")
        assert provider.interrupted == 1
        async with aclosing(provider.stream(make_request())) as stream:
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            assert not waiting.done()
            gate.set()
            assert await waiting == text("a")

    asyncio.run(scenario())


def test_models_are_any_unless_listed():
    assert str(ScriptedProvider(provider_id="p").model("x/y")) == "p/x/y"
    known = ModelSpec(provider_id="p", model_id="small", context_window_tokens=10)
    provider = ScriptedProvider(provider_id="p", models=[known])
    assert provider.model("small") == known
    with pytest.raises(UnknownModel, match="known: small"):
        provider.model("big")


def test_closing_is_noted():
    provider = ScriptedProvider()
    asyncio.run(provider.close())
    assert provider.is_closed


def test_every_exported_name_of_the_test_kit_is_there():
    for name in lash_host.testing.__all__:
        assert getattr(lash_host.testing, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = lash_host.testing.nonsense
