"""``lash chat``."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys

import pytest


def test_lines_are_turns_of_one_session(lash):
    outcome = lash("chat", "-s", "a", stdin=b"my colour is blue\nwhat did I ask before?\n")

    assert outcome.status == 0
    assert outcome.out.count("my colour is blue") == 2
    assert "session a" in outcome.err
    assert lash("sql", "select turns from usage.sessions", "--format", "json").json == [{"turns": 2}]


def test_commands_answer_on_standard_output(lash):
    lines = [
        b"/help",
        b"/tools",
        b"/usage",
        b"hi",
        b"/usage",
        b"/model",
        b"/model offline/echo",
        b"hello",
        b"/session",
        b"/exit",
    ]

    outcome = lash("chat", "-s", "a", stdin=b"\n".join([*lines, b"never said"]))

    assert outcome.status == 0
    for part in (
        "/compact [INSTRUCTIONS]",
        "read_file",
        "nothing used yet",
        "agent",
        "offline/echo\nhello\n",
        "turns     2",
    ):
        assert part in outcome.out
    assert "never said" not in outcome.out


def test_compacting_opens_a_fresh_frame(lash):
    lines = b"one\ntwo\nthree\nfour\nfive\n/compact keep the numbers\n/session\n"

    outcome = lash("chat", stdin=lines)

    assert "compacted\n" in outcome.out
    assert "frames    2" in outcome.out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"/modle", "error [unknown_command]: no command /modle; did you mean /model?"),
        (b"/frob it", "error [unknown_command]: no command /frob; /help lists them"),
        (b"/", "error [unknown_command]: no command /; /help lists them"),
        (b"/model nobody/x", "error [unknown_provider]: "),
        (b"\xff\xfe", "error [prompt_not_text]: "),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_a_line_and_ends_a_chat_nobody_watches_with_a_status(lash, line, told):
    outcome = lash("chat", "-m", "offline/echo", stdin=line + b"\n")

    assert outcome.status in {1, 2}
    assert told in outcome.err
    assert "Traceback" not in outcome.err


def test_a_failed_turn_does_not_end_the_chat(lash, script):
    model = script({"error": {"kind": "auth", "message": "bad key"}}, {"text": "better"})

    outcome = lash("chat", "-m", model, stdin=b"one\ntwo\n")

    assert outcome.status == 1
    assert "error [model_call_failed]: bad key" in outcome.err
    assert outcome.out == "better\n"


def test_a_path_is_a_message(lash):
    assert lash("chat", "-m", "offline/echo", stdin=b"/etc/hosts is what?\n").out == "/etc/hosts is what?\n"


_PROMPT = "\x1b[?2004h"
"""Bracketed paste is turned on: the line editor waits."""


class OnTerminal:
    """The command line on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", "PROMPT_TOOLKIT_NO_CPR": "1"}
        program = [sys.executable, "-m", "lash_host", *arguments]
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
        self.process = subprocess.Popen(
            program,
            env=environ,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509  it only makes a system call
            **streams,
        )
        os.close(slave)
        self._unread = ""

    def wait_for(self, text: str) -> None:
        """Read until ``text`` has come, after what was waited for before."""
        while text not in self._unread:
            ready, _, _ = select.select([self._master], [], [], 60)
            assert ready, f"{text!r} did not come; seen: {self._unread!r}"
            self._unread += os.read(self._master, 65536).decode(errors="replace")
        self._unread = self._unread.partition(text)[2]

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_ends_the_turn_and_not_the_chat(place, lash, script):
    model = script({"text": "first" + " more" * 500, "piece_delay_s": 0.2}, {"text": "the second answer"})
    with OnTerminal("chat", "-s", "a", "-m", model) as terminal:
        terminal.wait_for(_PROMPT)
        terminal.type("one\r")
        terminal.wait_for("first")
        terminal.type("\x03")
        terminal.wait_for("the turn was cancelled")
        terminal.wait_for(_PROMPT)
        terminal.type("two\r")
        terminal.wait_for("the second answer")
        terminal.wait_for(_PROMPT)
        terminal.type("\x04")
        assert terminal.process.wait(timeout=60) == 0

    rows = lash("sql", "select turn_index, stop_reason from usage.turns order by 1", "--format", "json").json
    assert rows == [{"turn_index": 1, "stop_reason": "cancelled"}, {"turn_index": 2, "stop_reason": None}]
