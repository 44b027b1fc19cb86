"""Where the command line writes."""

from __future__ import annotations

import pytest

from lash_host.cli.terminal import one_line, printable


def test_colour_goes_to_a_terminal_only(make_terminal):
    on_terminal, in_pipe = make_terminal(err=True), make_terminal()

    for each in (on_terminal, in_pipe):
        each.terminal.say("bad", label="error:", label_style="red")

    assert on_terminal.err == "\x1b[31merror:\x1b[0m bad\n"
    assert in_pipe.err == "error: bad\n"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_refused(make_terminal, environ):
    fake = make_terminal(out=True, err=True, **environ)

    fake.terminal.say("bad", style="red")

    assert fake.err == "bad\n"
    assert fake.terminal.styled_out("x", "bold") == "x"


def test_marks_have_an_ascii_spelling(make_terminal):
    assert make_terminal().terminal.mark("call") == "→"
    assert make_terminal(encoding="ascii").terminal.mark("call") == "->"


def test_a_notice_does_not_run_into_an_answer_on_the_same_terminal(make_terminal):
    fake = make_terminal(out=True, err=True)

    fake.terminal.write("half an ans")
    fake.terminal.say("a notice")
    fake.terminal.say("another")

    assert fake.out == "half an ans\n"


def test_a_notice_leaves_a_piped_answer_alone(make_terminal):
    fake = make_terminal(out=False, err=True)

    fake.terminal.write("half an ans")
    fake.terminal.say("a notice")
    fake.terminal.write("wer")

    assert fake.out == "half an answer"


def test_an_answer_cannot_steer_a_terminal_but_passes_a_pipe_whole(make_terminal):
    on_terminal, in_pipe = make_terminal(out=True), make_terminal()

    for each in (on_terminal, in_pipe):
        each.terminal.write("a\x1b[2Jb\x9b1mc\td\n")

    assert on_terminal.out == "a[2Jb1mc\td\n"
    assert in_pipe.out == "a\x1b[2Jb\x9b1mc\td\n"


def test_a_line_is_ended_once(make_terminal):
    fake = make_terminal()

    fake.terminal.end_line()
    fake.terminal.write("text")
    fake.terminal.end_line()
    fake.terminal.end_line()

    assert fake.out == "text\n"


def test_one_line_of_many():
    assert one_line(" a\n\tb\x07  c ") == "a b c"
    assert one_line("abcdef", limit=4) == "abc…"
    assert one_line("abcdef", limit=5, more="...") == "ab..."
    assert printable("tab\tand\nline") == "tab\tand\nline"
