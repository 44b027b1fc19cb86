"""The scripted server, asked with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest

from lash_host.testing.openai_server import (
    FAKE_USAGE,
    ChatReply,
    ErrorReply,
    FakeOpenAIServer,
    FakeToolCall,
    Hold,
    RawReply,
    sse,
)


@pytest.fixture
def server():
    with FakeOpenAIServer() as running:
        yield running


@pytest.fixture
def connect(server):
    """Open connections; those that a test leaves open are closed after it."""
    opened = []

    def run() -> http.client.HTTPConnection:
        opened.append(http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=10))
        return opened[-1]

    yield run
    for connection in opened:
        connection.close()


def ask(connection: http.client.HTTPConnection, **body: object) -> http.client.HTTPResponse:
    connection.request("POST", "/v1/chat/completions", json.dumps({"model": "m", **body}), {"X-Test": "1"})
    return connection.getresponse()


def events(stream: bytes) -> list[dict]:
    lines = [line.removeprefix(b"data: ") for line in stream.split(b"\n\n") if line]
    assert lines[-1] == b"[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_replies_come_in_order_and_requests_are_recorded(server, connect):
    server.add(ChatReply(text="one"), ChatReply(text="two"))
    connection = connect()
    texts = []
    for _ in range(2):
        chunks = events(ask(connection, messages=[]).read())
        texts.append("".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"]))
    assert texts == ["one", "two"]
    assert server.remaining == 0
    assert [request.body for request in server.requests] == [{"model": "m", "messages": []}] * 2
    assert (server.requests[0].path, server.requests[0].headers["x-test"]) == ("/v1/chat/completions", "1")


def test_an_answer_has_the_shape_of_the_protocol(server, connect):
    calls = (FakeToolCall(name="a", arguments=("{", "}")), FakeToolCall(name="b", call_id=None))
    server.add(ChatReply(reasoning="hm", tool_calls=calls))
    chunks = events(ask(connect()).read())
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas[0]["role"] == "assistant"
    assert deltas[1] == {"reasoning_content": "hm"}
    fragments = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [(f["index"], f["function"]["arguments"]) for f in fragments] == [
        (0, ""), (1, ""), (0, "{"), (1, "{}"), (0, "}"),
    ]  # fmt: skip
    assert "id" not in fragments[1]
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], FAKE_USAGE)


def test_a_reply_may_be_made_of_the_request(server, connect):
    server.add(lambda request: ErrorReply(status=418, body=request.body["model"], headers={"Retry-After": "3"}))
    response = ask(connect(), model="teapot")
    assert (response.status, response.headers["Retry-After"], response.read()) == (418, "3", b"teapot")


def test_a_script_that_is_used_up_is_a_refusal(connect):
    response = ask(connect())
    assert response.status == 400
    assert "used up" in json.loads(response.read())["error"]["message"]


@pytest.mark.parametrize("chunked", [True, False])
def test_pieces_are_sent_as_they_are(server, connect, chunked):
    server.add(RawReply(pieces=[b"data: \xe6", b"\x9d\xb1\n\n", sse()], chunked=chunked))
    assert ask(connect()).read() == "data: 東\n\ndata: [DONE]\n\n".encode()


def test_a_cut_answer_does_not_end(server, connect):
    server.add(RawReply(pieces=[b"data: {}\n\n"], cut=True))
    with pytest.raises(http.client.IncompleteRead):
        ask(connect()).read()


def test_a_held_answer_goes_on_when_it_is_released(server, connect):
    server.add(RawReply(pieces=[b"a", Hold.HOLD, b"b"]))
    response = ask(connect())
    assert response.read(1) == b"a"
    server.release()
    assert response.read() == b"b"
    assert not server.gone.is_set()


def test_a_client_that_leaves_a_held_answer_is_noticed(server, connect):
    server.add(RawReply(pieces=[b"a", Hold.HOLD]))
    connection = connect()
    response = ask(connection)
    assert response.read(1) == b"a"
    response.close()
    connection.close()
    assert server.gone.wait(5)


def test_leaving_the_server_ends_held_answers_and_all_its_threads():
    before = threading.active_count()
    with FakeOpenAIServer(RawReply(pieces=[b"a", Hold.HOLD])) as server:
        held, idle = (http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=10) for _ in range(2))
        idle.connect()
        response = ask(held)
        assert response.read(1) == b"a"
    assert threading.active_count() == before
    for connection in (response, held, idle):
        connection.close()
