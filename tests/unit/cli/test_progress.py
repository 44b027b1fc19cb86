"""The bar of work that is counted."""

from __future__ import annotations

from lash_host.cli.progress import progressing


def test_a_pipe_sees_nothing(make_terminal):
    fake = make_terminal()

    with progressing(fake.terminal) as progress:
        assert progress is None

    assert (fake.out, fake.err) == ("", "")


def test_a_terminal_sees_what_is_done_and_no_line_stays(make_terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    fake = make_terminal(err=True, columns=100)

    with progressing(fake.terminal) as progress:
        for done in range(4):
            progress("nodes\x1b[31m of all", done, 3)

    assert "nodes[31m of all" in fake.err
    assert "3/3" in fake.err
    assert fake.err.endswith("\x1b[2K")
    assert fake.out == ""


def test_one_piece_of_work_is_shown_at_a_time(make_terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    fake = make_terminal(err=True, columns=100)

    with progressing(fake.terminal) as progress:
        progress("first", 0, 0)
        progress("second", 1, 2)

    last = fake.err.rpartition("second")
    assert "first" not in last[2]
    assert "1/2" in fake.err
