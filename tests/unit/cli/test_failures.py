"""How errors end the command line."""

from __future__ import annotations

import click
import pytest

from lash_host.cli.failures import CommandFailed, WrongUsage, report_failure
from lash_host.cli.invocation import Invocation
from lash_host.errors import StoreLocked, UnknownModel, UnknownSession


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UnknownModel("offline", "x"), 2, "error [unknown_model]: provider 'offline' has no model 'x'"),
        (WrongUsage("no", code="empty_input"), 2, "error [empty_input]: no"),
        (StoreLocked("a.duckdb", holder="process 7"), 1, "error [store_locked]: a.duckdb is held by process 7"),
        (UnknownSession("x"), 2, "error [unknown_session]: no session 'x' in this store"),
        (CommandFailed("two\nlines", code="x"), 1, "error [x]: two lines"),
        (click.ClickException("theirs"), 1, "error [command_failed]: theirs"),
        (OSError(28, "No space left on device", "a.csv"), 1, "error [io_error]: a.csv: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (ZeroDivisionError("by zero"), 1, "error [internal]: ZeroDivisionError: by zero (--debug shows the traceback)"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_a_status(make_terminal, error, status, line):
    fake = make_terminal()

    assert report_failure(error, Invocation(terminal=fake.terminal)) == status
    assert fake.err == f"{line}\n"
    assert fake.out == ""


def _raised() -> ZeroDivisionError:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // 0
    return caught.value


def test_debug_shows_the_traceback(make_terminal):
    fake = make_terminal()
    report_failure(_raised(), Invocation(terminal=fake.terminal, debug=True))

    assert "Traceback (most recent call last)" in fake.err
    assert fake.err.endswith("error [internal]: ZeroDivisionError: integer division or modulo by zero\n")


def test_a_failing_command_of_a_plugin_is_the_plugins_fault(make_terminal):
    fake = make_terminal()

    status = report_failure(ValueError("odd"), Invocation(terminal=fake.terminal, plugin_command="notes"))

    assert status == 1
    assert fake.err.startswith("error [plugin]: the command 'notes', which a plugin added, failed: ValueError: odd")


def test_a_message_without_end_is_cut(make_terminal):
    fake = make_terminal()

    report_failure(CommandFailed("x" * 10_000, code="x"), Invocation(terminal=fake.terminal))

    assert len(fake.err) < 2_100
