"""What a user hands in."""

from __future__ import annotations

import io
import sys

import pytest

from lash_host.cli.failures import WrongUsage
from lash_host.cli.prompts import check_text, decode_text, parse_plugin_options, read_prompt


def _on_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_prompt_is_itself():
    assert read_prompt("what is 17*23?") == "what is 17*23?"


def test_a_dash_reads_standard_input(monkeypatch):
    _on_stdin(monkeypatch, "\ufeffgrüße\n".encode())

    assert read_prompt("-") == "grüße\n"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x89PNG\r\n\x1a\n", "prompt_not_text"),
        (b"ELF\x00\x01", "prompt_not_text"),
        (b" \n\t", "empty_input"),
        (b"", "empty_input"),
    ],
)
def test_what_is_no_prompt_on_standard_input(monkeypatch, data, code):
    _on_stdin(monkeypatch, data)

    with pytest.raises(WrongUsage) as caught:
        read_prompt("-")

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("prompt", "code"), [("", "empty_input"), ("  ", "empty_input"), ("\udcff", "prompt_not_text")]
)
def test_what_is_no_prompt_on_the_command_line(prompt, code):
    with pytest.raises(WrongUsage) as caught:
        read_prompt(prompt)

    assert caught.value.code == code


def test_the_message_says_where_it_stops_being_text():
    with pytest.raises(WrongUsage, match="the query is not UTF-8 text: byte 2 is 0xff"):
        decode_text(b"ab\xff", what="the query")
    with pytest.raises(WrongUsage, match="the session id is not text: it holds a NUL character"):
        check_text("a\0", what="the session id")


def test_options_of_plugins():
    options = ["a.n=1", "a.on=true", "a.list=[1, 2]", "b.text=plain=text", "b.nan=NaN", 'b.quoted="1"', "b.deep.er="]

    assert parse_plugin_options(options) == {
        "a": {"n": 1, "on": True, "list": [1, 2]},
        "b": {"text": "plain=text", "nan": "NaN", "quoted": "1", "deep.er": ""},
    }


@pytest.mark.parametrize("option", ["a", "a=1", ".key=1", "a.=1", "=1", ""])
def test_an_option_of_another_form(option):
    with pytest.raises(WrongUsage) as caught:
        parse_plugin_options([option])

    assert caught.value.code == "malformed_option"
