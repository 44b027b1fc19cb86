"""What the options of every command say, and commands that take them before and after their name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from lash_host.cli.terminal import Terminal

__all__ = ["COMMON_OPTIONS", "Invocation", "LashCommand", "LashGroup", "add_common_options"]


@dataclass(slots=True, kw_only=True)
class Invocation:
    """One call of ``lash``. Commands, those of plugins too, find it as ``click.get_current_context().obj``.

    Attributes:
        terminal: Where to write.
        store: Path or URL that was asked for; None leaves it to the settings.
        config: The settings file that was asked for.
        strict_plugins: Whether anything wrong with a plugin ends the command.
        debug: Whether errors show their traceback.
        verbose: Whether more is told on standard error.
        plugin_command: The command that is run, where a plugin brought it.
    """

    terminal: Terminal = field(default_factory=Terminal.of_process)
    store: str | None = None
    config: str | None = None
    strict_plugins: bool = False
    debug: bool = False
    verbose: bool = False
    plugin_command: str | None = None


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Note an option. The last one given wins; one that is not given changes nothing."""
    if value == "":
        raise click.BadParameter("must not be empty", context, parameter)
    if isinstance(value, str) and not value.isascii() and value.encode(errors="replace").decode() != value:
        raise click.BadParameter("is not UTF-8 text", context, parameter)
    if value and not context.resilient_parsing:
        setattr(context.ensure_object(Invocation), parameter.name or "", value)


def _show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"lash {version('lash-host')}")
    context.exit()


COMMON_OPTIONS: tuple[click.Option, ...] = (
    click.Option(
        ["--store"], metavar="URL", expose_value=False, callback=_keep, help="The store: a path or URL (LASH_STORE)."
    ),
    click.Option(
        ["--config"], metavar="FILE", expose_value=False, callback=_keep, help="The settings file (LASH_CONFIG)."
    ),
    click.Option(
        ["--strict-plugins"], is_flag=True, expose_value=False, callback=_keep, help="Stop if a plugin is broken."
    ),
    click.Option(["--debug"], is_flag=True, expose_value=False, callback=_keep, help="Show tracebacks of errors."),
    click.Option(["-v", "--verbose"], is_flag=True, expose_value=False, callback=_keep, help="Tell more."),
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and leave.",
    ),
)
"""Options of every command, given before or after its name."""


class _TakesCommonOptions(click.Command):
    """A command with the common options, which its help lists last."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Give the command's own parameters, then the common options."""
        return [*super().get_params(ctx), *COMMON_OPTIONS]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write commands, own options, common options."""
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        own = [each for each in options if each not in COMMON_OPTIONS]
        for heading, listed in (("Options", own), ("Options of every command", COMMON_OPTIONS)):
            records = [record for each in listed if (record := each.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class LashCommand(_TakesCommonOptions):
    """A command of ``lash``."""


class LashGroup(_TakesCommonOptions, click.Group):
    """A command of ``lash`` that has commands."""

    command_class = LashCommand


def add_common_options(command: click.Command) -> None:
    """Let a command that is not ours take the common options, as far as their names are free in it."""
    if isinstance(command, _TakesCommonOptions):
        return
    taken = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    names = {parameter.name for parameter in command.params}
    command.params.extend(
        option for option in COMMON_OPTIONS if option.name not in names and taken.isdisjoint(option.opts)
    )
    if isinstance(command, click.Group):
        _add_to_all(command.commands.values())


def _add_to_all(commands: Iterable[click.Command]) -> None:
    for command in commands:
        add_common_options(command)
