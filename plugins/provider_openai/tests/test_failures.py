"""What went wrong, and whether to try again."""

from __future__ import annotations

import logging
import socket
import threading
import traceback

import pytest

from lash_host import ModelCallError
from lash_host.testing.clock import ManualClock
from lash_host.testing.openai_server import ChatReply, ErrorReply, RawReply, sse
from lash_host_provider_openai.failures import capped, retry_after_s, scrubbed

KEY = "sk-proj-1234567890abcdefghijKEEPSECRET"


def error_body(message: str, *, code: str | None = None, kind: str = "invalid_request_error") -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


OVERFLOW = "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens."
MISSING = "The model `gpt-9` does not exist or you do not have access to it."
USED_UP = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, error_body("Invalid value: 'x'"), ("validation", False)),
        (413, "too large", ("validation", False)),
        (422, {"detail": "unprocessable"}, ("validation", False)),
        (401, error_body("Incorrect API key provided", code="invalid_api_key"), ("auth", False)),
        (403, error_body("Country not supported"), ("auth", False)),
        (402, {"error": {"message": "Insufficient credits"}}, ("quota", False)),
        (404, "404 page not found", ("http", False)),
        (408, None, ("http", True)),
        (409, None, ("http", True)),
        (425, None, ("http", True)),
        (429, error_body("Rate limit reached", code="rate_limit_exceeded"), ("quota", True)),
        (429, error_body("Request too large: tokens per min (TPM); reduce the length of"), ("quota", True)),
        (429, error_body(USED_UP, code="insufficient_quota"), ("quota", False)),
        (429, {"error": {"type": "usage_limit_reached", "message": "limit"}}, ("quota", False)),
        (500, error_body("The server had an error", kind="server_error"), ("http", True)),
        (501, None, ("http", False)),
        (502, "<html><body>Bad Gateway</body></html>", ("http", True)),
        (503, error_body("overloaded"), ("http", True)),
        (504, "", ("http", True)),
        (400, error_body(OVERFLOW, code="context_length_exceeded"), ("context_overflow", False)),
        (413, error_body("prompt is too long: 210000 tokens"), ("context_overflow", False)),
        (400, {"error": {"type": "exceed_context_size_error", "message": "n"}}, ("context_overflow", False)),
        (404, error_body(MISSING, code="model_not_found"), ("unsupported", False)),
        (404, {"error": {"message": 'model "llama9" not found, try pulling it first'}}, ("unsupported", False)),
        (400, {"error": {"message": "x/y is not a valid model ID", "code": 400}}, ("unsupported", False)),
        (400, error_body("The response was filtered", code="content_filter"), ("content_filter", False)),
    ],
)
def test_a_refusal_by_status_and_words(server, refusal, status, body, expected):
    server.add(ErrorReply(status=status, body=body))
    error = refusal()
    assert isinstance(error, ModelCallError)
    assert (error.kind, error.retryable) == expected
    assert (error.status, error.retry_after_s) == (status, None)


def test_the_provider_is_asked_once(server, refusal):
    server.add(ErrorReply(status=500, body=None), ErrorReply(status=500, body=None))
    refusal()
    assert len(server.requests) == 1


def test_the_message_is_the_providers_own_and_html_is_not_shown(server, refusal):
    server.add(ErrorReply(status=400, body=error_body("Invalid value: 'x'")))
    assert str(refusal()) == "openai answered 400: Invalid value: 'x'"
    server.add(ErrorReply(status=502, body="<html><h1>Bad Gateway</h1></html>"))
    error = refusal()
    assert str(error) == "openai answered 502: Bad Gateway"
    assert error.raw == "<html><h1>Bad Gateway</h1></html>"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30.0),
        ({"Retry-After": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({}, None),
    ],
)
def test_how_long_the_provider_asks_to_wait(server, refusal, make_provider, headers, seconds):
    server.add(ErrorReply(status=429, body=error_body("Rate limit reached"), headers=headers))
    assert refusal(provider=make_provider(clock=ManualClock())).retry_after_s == seconds


def test_a_wait_in_lower_case_headers_is_found():
    assert retry_after_s({"retry-after": "3"}, now_s=0) == 3.0


def test_a_wrong_key_names_its_variable_and_never_the_key(server, refusal, ask, caplog):
    caplog.set_level(logging.DEBUG)
    echo = ErrorReply(status=401, body=error_body(f"Incorrect API key provided: {KEY}. Find yours at https://x.y."))
    server.add(echo, echo)
    error = refusal()
    assert "OPENAI_API_KEY" in str(error)
    assert "Incorrect API key provided: [key]" in str(error)
    with pytest.raises(ModelCallError) as caught:
        ask()
    assert "KEEPSECRET" not in "".join(traceback.format_exception(caught.value))
    assert "KEEPSECRET" not in caplog.text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"got {KEY}!", "got [key]!"),
        ("Incorrect API key provided: sk-abcde***************wxyz.", "Incorrect API key provided: [key]"),
        ("provided: MY-SEC*****-KEY. Find", "provided: [key]. Find"),
        ("header Authorization: Bearer abc.def-ghi sent", "header Authorization: Bearer [key] sent"),
        ("gsk_1234567890abcdef is wrong", "[key] is wrong"),
        ("a risk-averse task at the desk", "a risk-averse task at the desk"),
    ],
)
def test_texts_are_scrubbed(text, clean):
    assert scrubbed(text, KEY) == clean


def test_scrubbing_a_long_text_takes_no_time_to_speak_of():
    assert len(scrubbed("a" * 200_000 + "*" * 2, KEY)) == 200_002


def test_a_long_answer_is_cut_in_its_middle_and_no_key_survives_at_the_cut(server, refusal):
    body = "a" * 1990 + KEY + "b" * 9000
    server.add(ErrorReply(status=500, body=body))
    error = refusal()
    assert len(error.raw) == 4000
    assert error.raw.startswith("a" * 1990 + "[key]bbbbb")
    assert error.raw.endswith("b" * 2000)
    assert len(str(error)) <= 500
    assert capped("short") == "short"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"message": "The server had an error", "type": "server_error", "code": None}, ("stream", True, None)),
        ({"message": "Upstream is overloaded", "code": 502}, ("http", True, 502)),
        ({"message": "Rate limit exceeded", "code": 429}, ("quota", True, 429)),
        ({"message": "Rate limit exceeded", "code": "rate_limit_exceeded"}, ("quota", True, None)),
        ({"message": OVERFLOW, "code": "context_length_exceeded"}, ("context_overflow", False, None)),
        ({"message": USED_UP, "code": "insufficient_quota"}, ("quota", False, None)),
    ],
)
def test_an_error_within_a_stream(server, refusal, event, expected):
    begun = list(ChatReply(text="The", finish_reason="", usage=None).chunks(model="m"))
    server.add(RawReply(pieces=[sse(*begun, {"error": event})]))
    error = refusal()
    assert (error.kind, error.retryable, error.status) == expected
    assert event["message"] in str(error)


def test_a_server_that_is_not_there_may_come_back(refusal, make_provider):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = refusal(provider=make_provider(base_url=f"http://127.0.0.1:{port}/v1"))
    assert (error.kind, error.retryable, error.status) == ("transport", True, None)
    assert f"http://127.0.0.1:{port}" in str(error)


def test_a_server_that_hangs_up_without_a_word_may_be_asked_again(refusal, make_provider):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        port = listener.getsockname()[1]
        error = refusal(provider=make_provider(base_url=f"http://127.0.0.1:{port}/v1"))
        thread.join()
    assert (error.kind, error.retryable) == ("transport", True)


def test_text_that_cannot_be_encoded_is_the_callers_fault(refusal, make_request):
    error = refusal(make_request("half \ud83d"))
    assert (error.kind, error.retryable) == ("validation", False)
