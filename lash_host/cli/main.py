"""The command ``lash``: which commands there are, and one call of it from arguments to exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import click

from lash_host.cli.failures import report_failure
from lash_host.cli.invocation import Invocation, LashGroup, add_common_options
from lash_host.cli.terminal import Terminal

__all__ = ["BUILTIN_COMMANDS", "app", "run_cli"]


@dataclass(frozen=True, slots=True)
class _Builtin:
    """A built-in command: where it is, and what it does in a line."""

    target: str
    summary: str


BUILTIN_COMMANDS: dict[str, _Builtin] = {
    "run": _Builtin("lash_host.cli.run:run", "Run one turn in a session."),
    "chat": _Builtin("lash_host.cli.chat:chat", "Talk with a model in the terminal."),
    "sessions": _Builtin("lash_host.cli.sessions:sessions", "List, show, compact and delete sessions."),
    "usage": _Builtin("lash_host.cli.usage:usage", "Report tokens, costs and calls."),
    "sql": _Builtin("lash_host.cli.sql:sql", "Run read-only SQL over the usage views."),
    "plugins": _Builtin("lash_host.cli.plugins:plugins", "List, show and check plugins."),
    "store": _Builtin("lash_host.cli.store:store", "Look at the store, and after it."),
}
"""The built-in commands, in the order of the help. Their modules are imported when they are asked for."""


class App(LashGroup):
    """The root of the command line. A name that is not built in is looked for among the plugins' commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the built-in commands; naming those of plugins would import the plugins."""
        return [*BUILTIN_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command: a built-in one, else a plugin's."""
        builtin = BUILTIN_COMMANDS.get(cmd_name)
        if builtin is not None:
            module, _, attribute = builtin.target.partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        if cmd_name.startswith("-"):
            return None
        from lash_host.cli.plugin_commands import load_plugin_commands

        invocation = ctx.ensure_object(Invocation)
        self.commands = dict(load_plugin_commands(invocation, builtin=frozenset(BUILTIN_COMMANDS)))
        added = self.commands.get(cmd_name)
        if added is not None:
            invocation.plugin_command = cmd_name
            add_common_options(added)
        return added

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for.

        Raises:
            click.NoSuchCommand: Nobody has it; names what is near.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            if not isinstance(exc, click.exceptions.NoSuchCommand):
                raise
            known = [*BUILTIN_COMMANDS, *self.commands]
            raise click.exceptions.NoSuchCommand(exc.command_name, possibilities=known, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the built-in commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, builtin.summary) for name, builtin in BUILTIN_COMMANDS.items()])
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("Plugins may add more: see lash plugins list.")

    def invoke(self, ctx: click.Context) -> None:
        """Run the command. What it returns means nothing: exit statuses are raised.

        Raises:
            click.exceptions.Exit: Nobody reads the output any more.
        """
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _drop_output()
            raise click.exceptions.Exit(1) from None


app = App(
    name="lash",
    help="Durable agents: run turns, look at sessions, and ask what they cost.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
"""The command line, for `run_cli` and for completion in shells."""


def run_cli(arguments: Sequence[str]) -> int:
    """Run ``lash`` with ``arguments``, and give its exit status: 0 done, 1 the work failed, 2 wrong usage.

    Errors become one line on standard error. An interrupt is 130.
    """
    invocation = Invocation(terminal=Terminal.of_process())
    try:
        status = app.main(list(arguments), prog_name="lash", standalone_mode=False, obj=invocation)
    except SystemExit as exc:
        if isinstance(exc.code, str):
            invocation.terminal.say(exc.code)
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001  the one place where every error becomes a line
        status = report_failure(exc, invocation)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
    return status if isinstance(status, int) else 0


def _drop_output() -> None:
    """Send what could not be written nowhere, so that the interpreter does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
