"""What is sent: messages, tools, images, limits and headers."""

from __future__ import annotations

import base64
import json

import pytest

from lash_host import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCallPart, ToolResultPart, ToolSpec
from lash_host.domain.model import RequestScope
from lash_host.testing.openai_server import ChatReply
from lash_host_provider_openai.answer import REPLAY_FIELD

PNG = b"\x89PNG not really"
IMAGE = ImagePart(blob_ref="ab12", media_type="image/png")


def message(role: Role, *parts) -> Message:
    return Message(message_id="m", role=role, parts=parts)


@pytest.fixture
def sent(server, answer, make_request):
    """Send a request, and give what arrived."""

    def run(*messages, provider=None, **fields):
        server.add(ChatReply(text="ok"))
        answer(make_request(*messages, **fields), provider=provider)
        return server.requests[-1]

    return run


def test_a_plain_request_says_no_more_than_it_must(sent):
    request = sent("hello", system="Be brief.")
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "gpt-test",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_key_and_the_idempotency_key_are_headers(sent):
    headers = sent("hello").headers
    assert headers["authorization"].endswith("KEEPSECRET")
    assert headers["idempotency-key"] == "s-1:t-1:model_call:1"


@pytest.mark.parametrize("key", ["süd-42:1", "a\nb", "", "x" * 300, " padded"])
def test_an_idempotency_key_that_no_header_can_hold_is_sent_as_its_digest(sent, key):
    scope = RequestScope(session_id="s", frame_id="f", turn_id=None, request_id="r", idempotency_key=key)
    first, second = (sent("hello", scope=scope).headers["idempotency-key"] for _ in range(2))
    assert first == second
    assert len(first) == 64


def test_a_tool_round_trip(sent):
    call = ToolCallPart(call_id="c1", tool_name="read", arguments={"path": "ä.txt"})
    other = ToolCallPart(call_id="c2", tool_name="list")
    body = sent(
        "look",
        message(Role.ASSISTANT, TextPart(text="Looking."), call, other),
        message(
            Role.USER,
            ToolResultPart(call_id="c1", tool_name="read", text="content"),
            TextPart(text="and hurry"),
            ToolResultPart(call_id="c2", tool_name="list", text="", is_error=True),
        ),
    ).body
    _, assistant, *rest = body["messages"]
    assert assistant["content"] == "Looking."
    assert [(c["id"], c["type"], c["function"]["name"]) for c in assistant["tool_calls"]] == [
        ("c1", "function", "read"),
        ("c2", "function", "list"),
    ]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"path": "ä.txt"}
    assert rest == [
        {"role": "tool", "tool_call_id": "c1", "content": "content"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": "and hurry"},
    ]


def test_an_assistant_message_of_calls_alone_has_no_content(sent):
    call = ToolCallPart(call_id="c1", tool_name="read")
    result = ToolResultPart(call_id="c1", tool_name="read", text="r")
    body = sent("look", message(Role.ASSISTANT, call), message(Role.USER, result)).body
    assert body["messages"][1]["content"] is None
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_images_are_sent_as_data_urls(sent):
    body = sent(message(Role.USER, TextPart(text="What is this?"), IMAGE), blobs={"ab12": PNG}).body
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]


def test_an_image_among_tool_results_follows_them_in_a_user_message(sent):
    call = ToolCallPart(call_id="c1", tool_name="shot")
    result = ToolResultPart(call_id="c1", tool_name="shot", text="taken")
    body = sent("look", message(Role.ASSISTANT, call), message(Role.USER, IMAGE, result), blobs={"ab12": PNG}).body
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "tool", "user"]
    assert body["messages"][3]["content"][0]["type"] == "image_url"


def test_an_image_of_another_format_is_refused_before_anything_is_sent(server, refusal, make_request):
    image = ImagePart(blob_ref="ab12", media_type="image/tiff")
    error = refusal(make_request(message(Role.USER, image), blobs={"ab12": PNG}))
    assert (error.kind, error.retryable) == ("unsupported", False)
    assert server.requests == []


def test_an_image_without_bytes_is_refused(refusal, make_request):
    error = refusal(make_request(message(Role.USER, IMAGE)))
    assert error.kind == "validation"
    assert "ab12" in str(error)


def test_system_and_event_messages_keep_their_place(sent):
    note = message(Role.SYSTEM, TextPart(text="Turn limit reached"), IMAGE)
    event = message(Role.EVENT, TextPart(text="a process woke you"))
    body = sent("one", note, event, message(Role.ASSISTANT, ReasoningPart(text="hm"))).body
    assert body["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "system", "content": "Turn limit reached[image]"},
        {"role": "user", "content": "a process woke you"},
    ]


def test_tools_and_the_choice_among_them(sent):
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    tools = [
        ToolSpec(name="read", description="Read a file.", input_schema=schema),
        ToolSpec(name="x", description="", input_schema={}),
    ]
    for choice in ("auto", "none", "required"):
        body = sent("hello", tools=tools, tool_choice=choice).body
        assert body["tool_choice"] == choice
    assert body["tools"] == [
        {"type": "function", "function": {"name": "read", "description": "Read a file.", "parameters": schema}},
        {"type": "function", "function": {"name": "x", "parameters": {}}},
    ]


def test_a_choice_without_tools_is_left_out(sent):
    assert "tool_choice" not in sent("hello", tool_choice="required").body


def test_the_output_limit_is_the_smaller_of_what_is_wanted_and_what_the_model_gives(sent, make_provider):
    assert "max_tokens" not in sent("hello", model_output_tokens_limit=900).body
    assert sent("hello", output_tokens_limit=1_000, model_output_tokens_limit=900).body["max_tokens"] == 900
    body = sent("hello", output_tokens_limit=5, provider=make_provider(max_tokens_field="max_completion_tokens")).body
    assert body["max_completion_tokens"] == 5
    assert "max_tokens" not in body


def test_effort_and_answer_schema(sent):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    body = sent("hello", model_reasoning_effort="low", output_schema=schema).body
    assert body["reasoning_effort"] == "low"
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def test_reasoning_goes_back_only_where_the_settings_say_so(server, sent, answer, make_provider):
    provider = make_provider(replay_reasoning=True)
    server.add(ChatReply(reasoning="hm", text="ok"))
    said = message(Role.ASSISTANT, *answer(provider=provider).parts)
    assert said.parts[0].replay == {REPLAY_FIELD: "reasoning_content"}
    foreign = message(Role.ASSISTANT, ReasoningPart(text="x", replay={"signature": "abc"}), TextPart(text="y"))
    body = sent(said, foreign, "go on", provider=make_provider(replay_reasoning=True)).body
    assert body["messages"][:2] == [
        {"role": "assistant", "content": "ok", "reasoning_content": "hm"},
        {"role": "assistant", "content": "y"},
    ]
    assert sent(said, "go on").body["messages"][0] == {"role": "assistant", "content": "ok"}


def test_organization_project_and_headers_are_sent(sent, make_provider):
    provider = make_provider(organization="org-1", project="proj-1", headers={"X-Title": "lash"})
    headers = sent("hello", provider=provider).headers
    assert (headers["openai-organization"], headers["openai-project"], headers["x-title"]) == (
        "org-1",
        "proj-1",
        "lash",
    )
