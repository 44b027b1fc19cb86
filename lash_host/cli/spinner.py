"""A spinner for waits that get long, on standard error and on terminals only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lash_host.cli.terminal import Terminal, one_line

__all__ = ["Spinner", "spinning"]

_PATIENCE_S = 0.7


class Spinner:
    """Shows that something is being waited for, once that has taken a moment. Stop it before writing anything."""

    def __init__(self, terminal: Terminal, *, patience_s: float = _PATIENCE_S) -> None:
        self._terminal = terminal
        self._patience_s = patience_s
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self, text: str) -> None:
        """Wait for something else from now on. Does nothing where standard error is no terminal."""
        self.stop()
        if not self._terminal.err_is_terminal:
            return
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(one_line(text), self._stopped), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and leave no trace of it on the terminal."""
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._thread = None

    def _run(self, text: str, stopped: threading.Event) -> None:
        if stopped.wait(self._patience_s):
            return
        from rich.console import Console

        console = Console(file=self._terminal.err, no_color=not self._terminal.err_has_colour, highlight=False)
        dots = "dots" if self._terminal.mark("more") == "…" else "line"
        with console.status(console.render_str(text, markup=False), spinner=dots):
            stopped.wait()


@contextmanager
def spinning(terminal: Terminal, text: str) -> Iterator[None]:
    """Spin while the body runs."""
    spinner = Spinner(terminal)
    spinner.start(text)
    try:
        yield
    finally:
        spinner.stop()
