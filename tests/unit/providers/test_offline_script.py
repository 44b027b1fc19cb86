"""offline/script: replays a file, and says what is wrong with one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from lash_host.domain.message import ReasoningPart, TextPart, ToolCallPart
from lash_host.domain.model import ReasoningDelta, TerminalReason, TextDelta
from lash_host.domain.usage import TokenUsage
from lash_host.errors import ModelCallError
from lash_host.providers import offline_script
from lash_host.providers.offline import OfflineProvider
from lash_host.testing import ManualClock


@pytest.fixture
def script(tmp_path, make_request):
    """Write a script and make requests to it."""

    def write(*replies: dict[str, object], messages="go"):
        path = tmp_path / "script.json"
        path.write_text(json.dumps({"replies": replies}))
        return make_request(messages, model=f"script:{path}")

    return write


def test_replies_come_in_order(script, provider, play):
    request = script({"text": "one"}, {"text": "two", "reasoning": "hm"})
    assert play(provider, request)[-1].text == "one"
    events = play(provider, request)
    assert events[:2] == [ReasoningDelta("hm"), TextDelta("two")]
    assert events[-1].parts == (ReasoningPart(text="hm"), TextPart(text="two"))
    assert events[-1].usage.reasoning_output_tokens == 1


def test_a_used_up_script_fails_and_does_not_start_over(script, provider, play):
    request = script({"text": "one"})
    play(provider, request)
    for _ in range(2):
        with pytest.raises(ModelCallError, match=r"used up: it has 1 replies, and this is request 2 of session 's1'"):
            play(provider, request)


def test_tool_calls_get_ids_unless_they_have_them(script, provider, play):
    calls = [{"name": "read_file", "arguments": {"path": "a"}}, {"name": "x", "call_id": "mine"}]
    response = play(provider, script({"text": "I look.", "tool_calls": calls}))[-1]
    first, second = response.tool_calls
    assert (first.tool_name, first.arguments, second.call_id) == ("read_file", {"path": "a"}, "mine")
    assert first.call_id.startswith("call_")
    assert response.terminal_reason is TerminalReason.TOOL_USE


def test_a_call_may_have_broken_arguments(script, provider, play):
    call = {"name": "x", "call_id": "1", "arguments_error": "not JSON"}
    response = play(provider, script({"tool_calls": [call]}))[-1]
    assert response.parts == (ToolCallPart(call_id="1", tool_name="x", arguments_error="not JSON"),)


def test_usage_and_reason_are_as_scripted(script, provider, play):
    usage = {"input_tokens": 900, "output_tokens": 12, "cache_read_input_tokens": 7}
    response = play(provider, script({"text": "x", "usage": usage, "terminal_reason": "output_limit"}))[-1]
    assert response.usage == TokenUsage(input_tokens=900, output_tokens=12, cache_read_input_tokens=7)
    assert response.terminal_reason is TerminalReason.OUTPUT_LIMIT


def test_an_error_is_raised_with_its_facts(script, provider, play):
    error = {"kind": "quota", "message": "slow down", "retryable": True, "retry_after_s": 1, "status": 429}
    with pytest.raises(ModelCallError, match="slow down") as caught:
        play(provider, script({"error": error}))
    facts = caught.value
    assert (facts.kind, facts.retryable, facts.retry_after_s, facts.status) == ("quota", True, 1.0, 429)


def test_a_retry_gets_the_next_reply(script, provider, play):
    request = script({"error": {"retryable": True}}, {"text": "now"})
    with pytest.raises(ModelCallError, match="scripted failure"):
        play(provider, request)
    assert play(provider, request)[-1].text == "now"


def test_it_can_fail_half_way(script, provider):
    request = script({"text": "half an ans", "error_after": {"kind": "stream", "message": "connection lost"}})
    seen = []

    async def consume():
        async for event in provider.stream(request):
            seen.append(event)  # noqa: PERF401 - what was seen before the error must stay

    with pytest.raises(ModelCallError, match="connection lost"):
        asyncio.run(consume())
    assert seen == [TextDelta("half "), TextDelta("an "), TextDelta("ans")]


def test_delays_are_waited_on_the_clock(script, play):
    clock = ManualClock(auto_advance=True)
    play(OfflineProvider(clock=clock), script({"text": "a b", "delay_s": 0.2, "piece_delay_s": 0.05}))
    assert clock.slept == [0.2, 0.05, 0.05]


def test_every_session_plays_from_the_beginning(script, provider, play):
    request = script({"text": "one"}, {"text": "two"})
    other = replace(request, scope=replace(request.scope, session_id="s2"))
    assert [play(provider, each)[-1].text for each in (request, other, request, other)] == ["one", "one", "two", "two"]


def test_a_new_process_goes_on_after_the_answers_the_conversation_has(script, play, conversation):
    conversation.user("go").assistant("one").user("go on")
    request = script({"text": "one"}, {"text": "two"}, {"text": "three"}, messages=conversation)
    provider = OfflineProvider()
    assert play(provider, request)[-1].text == "two"
    assert play(provider, request)[-1].text == "three"


def test_closing_forgets_the_positions(script, provider, play):
    request = script({"text": "one"})
    play(provider, request)
    asyncio.run(provider.close())
    assert play(provider, request)[-1].text == "one"


def test_a_missing_file_is_named(provider, play, make_request, tmp_path):
    path = tmp_path / "none.json"
    with pytest.raises(ModelCallError, match=r"none\.json: No such file") as caught:
        play(provider, make_request("go", model=f"script:{path}"))
    assert (caught.value.kind, caught.value.retryable) == ("validation", False)


@pytest.mark.parametrize("path", ["a\0b", "~no_such_user_here/s.json", "/"])
def test_an_odd_path_is_a_failed_call(path, provider, play, make_request):
    with pytest.raises(ModelCallError, match="script ") as caught:
        play(provider, make_request("go", model=f"script:{path}"))
    assert caught.value.kind == "validation"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "Invalid JSON"),
        ("[]", "file: Input should be an object"),
        ("{}", "replies: Field required"),
        ('{"replies": [{}]}', "replies.0: Value error, a reply needs text"),
        ('{"replies": [{"text": "x"}, {"txt": "x"}]}', r"replies.1.txt: Extra inputs are not permitted"),
        ('{"replies": [{"tool_calls": [{}]}]}', r"replies.0.tool_calls.0.name: Field required"),
        ('{"replies": [{"text": "x", "error": {}}]}', "use error_after to fail half-way"),
        ('{"replies": [{"text": "x", "delay_s": -1}]}', r"replies.0.delay_s: Input should be greater"),
        ('{"replies": [{"error": {"kind": "bad luck"}}]}', "replies.0.error.kind: Input should be"),
        ("\udce9", "Invalid JSON"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(content, problem, tmp_path):
    path = tmp_path / "s.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ModelCallError, match=problem) as caught:
        offline_script.load_script(str(path))
    assert str(path) in str(caught.value)
    assert caught.value.kind == "validation"


def test_an_empty_answer_must_be_meant(script, provider, play):
    assert play(provider, script({"text": ""}))[-1].parts == (TextPart(text=""),)
    provider = OfflineProvider()
    assert play(provider, script({"terminal_reason": "content_filter"}))[-1].parts == ()


def test_the_documented_example_is_a_script(tmp_path):
    documented = offline_script.__doc__.split("```json\n")[1].split("```")[0]
    path = tmp_path / "doc.json"
    path.write_text(documented)
    assert len(offline_script.load_script(str(path)).replies) == 4
