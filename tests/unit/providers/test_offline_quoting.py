"""How tool results are quoted."""

from __future__ import annotations

import pytest

from lash_host.providers.offline_quoting import command_lines, plain_text, quote_result, shortened


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("plain\n", "plain"),
        ('"in quotes"', "in quotes"),
        ('["a", "b", 3]', "a\nb\n3"),
        ('{"content": "x", "path": "p"}', "x"),
        ('{"entries": ["a", "b"]}', "a\nb"),
        ('{"a": 1, "b": [2]}', '{"a": 1, "b": [2]}'),
        ('{"text": "x", "output": "y"}', '{"text": "x", "output": "y"}'),
        ("[not json", "[not json"),
        ("[" * 100_000, "[" * 100_000),
        ("null", "null"),
        ("", ""),
    ],
)
def test_the_text_inside_a_result_is_found(result, text):
    assert plain_text(result) == text


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("$ a b\nout\n  $ c\n", ["a b", "c"]),
        ("```bash\na b\n# note\n\nc \\\n  d\n```\n```python\nx = 1\n```", ["a b", "c d"]),
        ("Run:\n\n    demo run\n\tdemo stop\n", ["demo run", "demo stop"]),
        ("Run `demo run` and then `demo stop`.", ["demo run", "demo stop"]),
        ("     1\t```\n     2\tdemo run\n     3\t```", ["demo run"]),
        ("No commands here.", []),
    ],
)
def test_command_lines_are_found(text, commands):
    assert command_lines(text) == commands


def test_as_many_commands_as_asked_for_are_quoted():
    text = "$ one\n$ two\n$ three\n"
    assert quote_result(text, "tell me the two commands") == " these commands:\n\n```\none\ntwo\n```"
    assert "three" in quote_result(text, "which commands are there")
    assert "three" not in quote_result(text, "the first 1 command")


def test_a_short_result_is_quoted_whole():
    assert quote_result("one", "") == ": one"
    assert quote_result("one\ntwo\n", "") == ":\n\n```\none\ntwo\n```"
    assert quote_result("", "") == " nothing."
    assert quote_result("one\ntwo", "the commands?") == ":\n\n```\none\ntwo\n```"


def test_a_fence_in_the_result_gets_a_longer_one_around_it():
    assert quote_result("```\nx\n```", "") == ":\n\n````\n```\nx\n```\n````"


def test_of_a_long_result_the_lines_asked_about_are_quoted():
    text = "\n".join([*(f"row {n}" for n in range(100)), "the licenses: MIT"])
    assert quote_result(text, "read a.txt and tell me the license") == (
        " 101 lines; those about your question:\n\n```\nthe licenses: MIT\n```"
    )
    assert quote_result(text, "read a.txt").startswith(" 101 lines; the first 40:")
    assert "row 39\n```" in quote_result(text, "read a.txt")


def test_texts_are_shortened_to_one_line():
    assert shortened("a\n  b", 10) == "a b"
    assert shortened("abcdef", 4) == "abc…"
