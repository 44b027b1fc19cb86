"""The root of the command line: help, common options, unknown names, exit statuses."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from lash_host.cli.invocation import Invocation, LashCommand, add_common_options
from lash_host.cli.main import BUILTIN_COMMANDS, app

_HEAVY = ["pydantic", "sqlalchemy", "duckdb", "rich", "prompt_toolkit", "asyncio", "pluggy"]


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from lash_host.cli.main import run_cli; status = run_cli(['--help']);"
        f"print([name for name in {_HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(status)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"
    for name, builtin in BUILTIN_COMMANDS.items():
        assert name in done.stdout
        assert builtin.summary in done.stdout
    assert "lash plugins list" in done.stdout


@pytest.mark.parametrize("name", [*BUILTIN_COMMANDS])
def test_the_table_says_what_the_commands_say(name):
    command = app.get_command(click.Context(app), name)

    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(100) == BUILTIN_COMMANDS[name].summary


@pytest.mark.parametrize("name", [*BUILTIN_COMMANDS])
def test_every_command_has_help_that_lists_the_common_options_last(lash, name):
    outcome = lash(name, "--help")

    assert outcome.status == 0
    own, _, common = outcome.out.partition("Options of every command:")
    assert "--store" in common
    assert "--store" not in own


def test_the_version(lash):
    assert lash("--version").out == lash("run", "--version").out
    assert lash("--version").out.startswith("lash 0.")


def test_nothing_asked_for_is_wrong_usage(lash):
    outcome = lash()

    assert outcome.status == 2
    assert outcome.err.startswith("Usage: lash")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sesions"], "error [unknown_command]: No such command 'sesions'. Did you mean 'sessions'?"),
        (["--frob"], "error [unknown_option]: No such option '--frob'."),
        (["run", "hi", "--modle", "x"], "error [unknown_option]: No such option '--modle'. Did you mean '--model'?"),
        (["run"], "error [usage]: Missing argument 'PROMPT'."),
        (["--store", "", "store", "info"], "error [usage]: Invalid value for '--store': must not be empty"),
    ],
)
def test_wrong_usage_is_one_line_and_two(lash, arguments, message):
    outcome = lash(*arguments)

    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith(message)
    assert outcome.err.count("\n") == 1


def _seen(*arguments: str) -> Invocation:
    """Give the invocation that a command sees."""
    seen: list[Invocation] = []

    @click.group(cls=type("Root", (LashCommand, click.Group), {}))
    def root() -> None:
        pass

    @root.command("look", cls=LashCommand)
    @click.pass_obj
    def look(invocation: Invocation) -> None:
        seen.append(invocation)

    root.main([*arguments], standalone_mode=False, obj=Invocation())
    return seen[0]


def test_common_options_are_taken_before_and_after_the_command():
    assert _seen("--store", "a", "look").store == "a"
    assert _seen("look", "--store", "b").store == "b"
    assert _seen("--store", "a", "look", "--store", "b").store == "b"
    seen = _seen("-v", "look", "--debug", "--strict-plugins", "--config", "x.toml")
    assert (seen.verbose, seen.debug, seen.strict_plugins, seen.config) == (True, True, True, "x.toml")
    assert _seen("--debug", "look").debug


def test_a_plugins_command_gets_the_common_options_whose_names_are_free():
    @click.group()
    def notes() -> None:
        pass

    @notes.command()
    @click.option("-v", "--volume")
    @click.option("--store", help="A shop.")
    def add(volume: str, store: str) -> None:
        raise AssertionError

    add_common_options(notes)
    add_common_options(notes)

    taken = [name for parameter in add.params for name in parameter.opts]
    assert sorted(taken) == ["--config", "--debug", "--store", "--strict-plugins", "--version", "--volume", "-v"]
    assert "--store" in [name for parameter in notes.params for name in parameter.opts]
