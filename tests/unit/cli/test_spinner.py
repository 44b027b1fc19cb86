"""The spinner for waits that get long."""

from __future__ import annotations

from lash_host.cli.spinner import Spinner, spinning


def test_a_pipe_sees_nothing(make_terminal):
    fake = make_terminal()
    spinner = Spinner(fake.terminal, patience_s=0)

    spinner.start("waiting")
    spinner.stop()

    assert fake.err == ""


def test_a_short_wait_shows_nothing(make_terminal):
    fake = make_terminal(err=True)

    with spinning(fake.terminal, "waiting"):
        pass

    assert fake.err == ""


def test_a_long_wait_says_what_it_waits_for_and_leaves_no_line(make_terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    fake = make_terminal(err=True)
    spinner = Spinner(fake.terminal, patience_s=0)
    seen = _Noticing(fake.streams[1])

    spinner.start("waiting for \x1b[31mthe model")
    seen.wait_for("waiting for [31mthe model")
    spinner.stop()

    assert fake.err.endswith("\x1b[2K")


class _Noticing:
    """Waits until a stream was written something."""

    def __init__(self, stream):
        import threading

        self._written, self._stream = threading.Event(), stream
        self._wanted, self._write = "", stream.write
        stream.write = self.write

    def write(self, text):
        count = self._write(text)
        if self._wanted and self._wanted in self._stream.getvalue():
            self._written.set()
        return count

    def wait_for(self, text):
        self._wanted = text
        self.write("")
        assert self._written.wait(10)
