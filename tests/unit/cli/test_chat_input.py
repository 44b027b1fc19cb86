"""Where a chat reads from."""

from __future__ import annotations

import io
import signal
import stat

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from lash_host.cli.chat_input import EditedInput, PlainInput, history_path
from lash_host.cli.failures import WrongUsage


async def test_lines_are_messages_and_blank_ones_are_none():
    lines = PlainInput(io.BytesIO(b"one\n\n  \ntwo  words\r\nlast"))
    before = signal.getsignal(signal.SIGINT)

    assert [await lines.read() for _ in range(3)] == ["one", "two  words", "last"]
    with pytest.raises(EOFError):
        await lines.read()
    assert signal.getsignal(signal.SIGINT) == before


async def test_a_line_that_is_no_text_is_an_error():
    with pytest.raises(WrongUsage) as caught:
        await PlainInput(io.BytesIO(b"\x80\x81\n")).read()

    assert caught.value.code == "prompt_not_text"


async def _typed(keys: str, make_terminal, path) -> list[str | None]:
    """Give what the line editor makes of keys, up to Ctrl-D."""
    read: list[str | None] = []
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        edited = EditedInput(make_terminal().terminal, path)
        pipe.send_text(keys)
        while True:
            try:
                read.append(await edited.read())
            except EOFError:
                return read


async def test_enter_sends_and_alt_enter_breaks_the_line(make_terminal, tmp_path):
    assert await _typed("one\x1b\rtwo\rthree\r\x04", make_terminal, tmp_path / "h") == ["one\ntwo", "three"]


async def test_ctrl_c_clears(make_terminal, tmp_path):
    assert await _typed("abc\x03def\r\x04", make_terminal, tmp_path / "h") == [None, "def"]


async def test_history_is_the_users_own_and_comes_back(make_terminal, tmp_path):
    path = tmp_path / "state" / "history"

    await _typed("remember me\r\x04", make_terminal, path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await _typed("\x1b[A\r\x04", make_terminal, path) == ["remember me"]


async def test_without_a_place_for_history_the_chat_goes_on(make_terminal, tmp_path):
    (tmp_path / "file").write_text("")

    fake = make_terminal()
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        edited = EditedInput(fake.terminal, tmp_path / "file" / "history")

    assert isinstance(edited._session.history, InMemoryHistory)
    assert fake.err.startswith("no history: ")


def test_the_history_lies_in_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert history_path().is_relative_to(tmp_path)
