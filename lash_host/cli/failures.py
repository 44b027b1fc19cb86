"""How errors end the command line: one line with a code on standard error, and an exit status."""

from __future__ import annotations

import traceback

import click

from lash_host.cli.invocation import Invocation
from lash_host.cli.terminal import Terminal, one_line
from lash_host.errors import LashError, PluginError, UsageFault

__all__ = ["INTERRUPTED", "CommandFailed", "WrongUsage", "report_failure", "say_error", "say_warning"]

INTERRUPTED = 130
"""Exit status after Ctrl-C."""

_FAILED, _WRONG_USAGE = 1, 2
_LONGEST = 2_000


class WrongUsage(UsageFault):
    """The command was called with something it cannot use. `code` says what."""

    def __init__(self, message: str, *, code: str = "usage") -> None:
        super().__init__(message)
        self.code = code


class CommandFailed(LashError):
    """The command could not do its work. `code` says why."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


def say_error(terminal: Terminal, code: str, message: str) -> None:
    """Write the one line of an error."""
    terminal.say(one_line(message, limit=_LONGEST), label=f"error [{code}]:", label_style="red")


def say_warning(terminal: Terminal, code: str, message: str) -> None:
    """Write the one line of a warning."""
    terminal.say(one_line(message, limit=_LONGEST), label=f"warning [{code}]:", label_style="yellow")


def report_failure(error: BaseException, invocation: Invocation) -> int:
    """Write the line of an error, its traceback where it was asked for, and give the exit status."""
    terminal = invocation.terminal
    terminal.end_line()
    if invocation.debug:
        terminal.err.write("".join(traceback.format_exception(error)))
    match error:
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.ctx.get_help() if error.ctx else error.format_message(), err=True)
            return _WRONG_USAGE
        case click.UsageError():
            hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
            say_error(terminal, _usage_code(error), error.format_message() + hint)
            return _WRONG_USAGE
        case click.ClickException():
            say_error(terminal, "command_failed", error.format_message())
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            terminal.say("interrupted", style="dim")
            return INTERRUPTED
        case UsageFault():
            say_error(terminal, error.code, str(error))
            return _WRONG_USAGE
        case LashError():
            say_error(terminal, error.code, str(error))
            return _FAILED
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            say_error(terminal, "io_error", f"{place}{error.strerror or error}")
            return _FAILED
        case _:
            _say_unexpected(error, invocation)
            return _FAILED


def _usage_code(error: click.UsageError) -> str:
    match error:
        case click.exceptions.NoSuchCommand():
            return "unknown_command"
        case click.exceptions.NoSuchOption():
            return "unknown_option"
        case _:
            return "usage"


def _say_unexpected(error: BaseException, invocation: Invocation) -> None:
    hint = "" if invocation.debug else " (--debug shows the traceback)"
    problem = f"{type(error).__name__}: {error}".rstrip(": ")
    if invocation.plugin_command is None:
        say_error(invocation.terminal, "internal", problem + hint)
    else:
        message = f"the command {invocation.plugin_command!r}, which a plugin added, failed: {problem}{hint}"
        say_error(invocation.terminal, PluginError.code, message)
