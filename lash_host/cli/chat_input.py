"""Where `lash chat` reads from: a line editor with a history on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lash_host.cli.prompts import decode_text
from lash_host.cli.terminal import Terminal

if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

__all__ = ["ChatInput", "EditedInput", "PlainInput", "open_input"]


class ChatInput(Protocol):
    """Where the next message comes from."""

    is_interactive: bool

    async def read(self) -> str | None:
        """Give the next message; None where the user only cleared the line.

        Raises:
            EOFError: There is no more.
            WrongUsage: It is not text.
        """
        ...


def open_input(terminal: Terminal) -> ChatInput:
    """Give the line editor where standard input is a terminal, plain lines elsewhere."""
    if sys.stdin.isatty():
        return EditedInput(terminal, history_path())
    return PlainInput(sys.stdin.buffer)


def history_path() -> Path:
    """Say where messages are remembered for the next chat."""
    import platformdirs

    return Path(platformdirs.user_state_dir("lash-host", appauthor=False)) / "chat_history"


class PlainInput:
    """Reads a message a line. Blocks the loop while it waits: nothing else of a chat runs between turns."""

    is_interactive = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    async def read(self) -> str | None:
        """Give the next line that is not blank."""
        before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            while line := self._stream.readline():
                text = decode_text(line, what="the prompt").strip()
                if text:
                    return text
        finally:
            signal.signal(signal.SIGINT, before)
        raise EOFError


class EditedInput:
    """The line editor: Enter sends, Alt-Enter starts a new line, Ctrl-C clears, Ctrl-D leaves."""

    is_interactive = True

    def __init__(self, terminal: Terminal, history: Path) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.output import create_output

        self._terminal = terminal
        self._session: PromptSession[str] = PromptSession(
            history=_history(terminal, history),
            key_bindings=_key_bindings(),
            multiline=True,
            prompt_continuation="  ",
            output=create_output(always_prefer_tty=True),
        )

    async def read(self) -> str | None:
        """Give the next message."""
        try:
            return await self._session.prompt_async("> ")
        except KeyboardInterrupt:
            self._terminal.say("Ctrl-D or /exit leaves", style="dim")
            return None


def _key_bindings() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    bindings = KeyBindings()

    @bindings.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _break_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings


def _history(terminal: Terminal, path: Path) -> History:
    """Open the history for its owner alone; where that cannot be, remember only for this chat."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    except OSError as exc:
        terminal.say(f"no history: {path}: {exc.strerror}", style="dim")
        return InMemoryHistory()
    return FileHistory(path)
