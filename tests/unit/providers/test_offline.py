"""The offline provider: which models it has, how they stream, what they cost."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from lash_host.contracts.provider import ModelProvider
from lash_host.domain.message import ImagePart, Message, Role, TextPart
from lash_host.domain.model import ModelResponse, TerminalReason, TextDelta, estimate_tokens
from lash_host.errors import UnknownModel
from lash_host.providers.offline import OFFLINE_MODELS, OfflineProvider


def test_it_is_a_model_provider(provider):
    assert isinstance(provider, ModelProvider)
    assert provider.provider_id == "offline"


@pytest.mark.parametrize("model_id", ["echo", "agent", "script:a/b.json"])
def test_its_models_have_a_spec(model_id, provider):
    spec = provider.model(model_id)
    assert str(spec) == f"offline/{model_id}"
    assert spec.context_window_tokens == 128_000


@pytest.mark.parametrize("model_id", ["gpt", "", "Echo", "script:", "script: "])
def test_other_models_are_refused_with_the_known_ones(model_id, provider):
    with pytest.raises(UnknownModel) as caught:
        provider.model(model_id)
    assert caught.value.known == OFFLINE_MODELS == ("agent", "echo", "script:PATH")
    assert "agent, echo, script:PATH" in str(caught.value)


def test_an_unknown_model_is_refused_when_it_is_asked_too(provider, make_request, play):
    with pytest.raises(UnknownModel):
        play(provider, make_request("hi", model="gpt"))


def test_echo_streams_the_last_user_text_word_by_word(provider, make_request, play, conversation):
    conversation.user("before").assistant("no").user("one  two\n three ")
    *deltas, response = play(provider, make_request(conversation, model="echo"))
    assert "".join(delta.text for delta in deltas) == response.text == "one  two\n three "
    assert [delta.text for delta in deltas] == ["one ", " two\n", " three "]
    assert response.terminal_reason is TerminalReason.STOP
    assert response.provider_model == "echo"


def test_echo_has_an_answer_to_silence(provider, make_request, play, conversation):
    assert play(provider, make_request(conversation, model="echo"))[-1].text == "(nothing was said)"


def test_tokens_are_estimates_of_what_was_sent_and_answered(provider, make_request, play, tools):
    bare = play(provider, make_request("x" * 400, model="echo"))[-1].usage
    assert (bare.input_tokens, bare.output_tokens, bare.cache_read_input_tokens) == (100, 100, 0)
    more = play(provider, make_request("x" * 400, model="echo", system="y" * 40, tools=tools[:1]))[-1].usage
    assert more.input_tokens > bare.input_tokens + 10
    assert more.output_tokens == bare.output_tokens


def test_images_calls_and_results_cost_tokens_too(provider, make_request, play, conversation, ask):
    response = ask(conversation.user("read a.txt"))
    without = play(provider, make_request(conversation, model="echo"))[-1].usage.input_tokens
    conversation.answered(response, "z" * 800)
    image = Message(message_id="i", role=Role.USER, parts=(ImagePart(blob_ref="b", media_type="image/png"),))
    conversation.messages.append(image)
    with_all = play(provider, make_request(conversation, model="echo"))[-1].usage.input_tokens
    assert with_all == without + estimate_tokens('read_file{"path": "a.txt"}') + 200 + 1_200


def test_nothing_costs_nothing(provider, make_request, play, conversation):
    usage = play(provider, make_request(conversation, model="agent"))[-1].usage
    assert usage.input_tokens == 1
    assert usage.output_tokens > 1


def test_the_same_request_always_gets_the_same_events(make_request, play, tools):
    request = make_request("list the files in docs, then read a.txt", tools=tools)
    assert play(OfflineProvider(), request) == play(OfflineProvider(), request)


def test_an_answer_can_be_cancelled_at_every_word(provider, make_request):
    async def scenario():
        seen: list[object] = []
        third = asyncio.Event()

        async def consume():
            async with aclosing(provider.stream(make_request("word " * 1000, model="echo"))) as stream:
                async for event in stream:
                    seen.append(event)
                    if len(seen) == 3:
                        third.set()

        task = asyncio.create_task(consume())
        await third.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return seen

    seen = asyncio.run(scenario())
    assert 3 <= len(seen) < 10
    assert all(isinstance(event, TextDelta) for event in seen)


def test_the_response_comes_last_and_once(provider, make_request, play):
    events = play(provider, make_request("hello there", model="agent"))
    assert [isinstance(event, ModelResponse) for event in events].count(True) == 1
    assert isinstance(events[-1], ModelResponse)
    assert events[-1].parts == (TextPart(text="".join(event.text for event in events[:-1])),)
