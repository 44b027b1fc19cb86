"""``lash run``: one turn in a session."""

from __future__ import annotations

import asyncio
import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from lash_host.cli.failures import INTERRUPTED
from lash_host.cli.invocation import Invocation, LashCommand
from lash_host.cli.output import write_document
from lash_host.cli.prompts import check_text, parse_plugin_options, read_prompt
from lash_host.cli.terminal import Terminal

if TYPE_CHECKING:
    from lash_host.bootstrap import LashHost
    from lash_host.cli.turns import Answer
    from lash_host.domain.turn import TurnResult
    from lash_host.domain.value import JsonObject
    from lash_host.runtime.runtime import LashRuntime

__all__ = ["run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    prompt: str
    session_id: str | None
    model: str | None
    plugin_options: dict[str, JsonObject]
    as_json: bool
    answer: Answer


@click.command("run", cls=LashCommand, short_help="Run one turn in a session.")
@click.argument("prompt")
@click.option("-s", "--session", "session_id", metavar="ID", help="Go on in this session, or start it.")
@click.option("-m", "--model", metavar="MODEL", help="The model, as provider/model. Wins over the recorded one.")
@click.option(
    "--option", "options", multiple=True, metavar="PLUGIN.KEY=VALUE", help="An option for a plugin; VALUE may be JSON."
)
@click.option("--json", "as_json", is_flag=True, help="Write the result as one JSON object.")
@click.option("--no-stream", is_flag=True, help="Write the answer when it is settled, not as it comes.")
@click.pass_obj
def run(
    invocation: Invocation,
    *,
    prompt: str,
    session_id: str | None,
    model: str | None,
    options: tuple[str, ...],
    as_json: bool,
    no_stream: bool,
) -> None:
    """Run one turn: give PROMPT to the model, let it call tools, and write its answer to standard output.

    A PROMPT of - reads standard input. What happens besides the answer is told on standard error. The exit status is
    1 if the turn stopped before it was finished. Ctrl-C cancels the turn; what it did until then is kept.
    """
    request = _Request(
        prompt=read_prompt(prompt),
        session_id=None if session_id is None else check_text(session_id, what="the session id"),
        model=model,
        plugin_options=parse_plugin_options(options),
        as_json=as_json,
        answer="hidden" if as_json else "settled" if no_stream else "streamed",
    )
    result = asyncio.run(_run(invocation, request))
    if not result.is_success:
        raise click.exceptions.Exit(INTERRUPTED if result.stop_reason == "cancelled" else 1)


async def _run(invocation: Invocation, request: _Request) -> TurnResult:
    from lash_host.cli.opening import open_for_turns
    from lash_host.cli.turns import TurnPrinter, run_turn, say_outcome, usage_line

    terminal, verbose = invocation.terminal, invocation.verbose
    printer = TurnPrinter(terminal, answer=request.answer, tells=verbose or not request.as_json, verbose=verbose)
    async with open_for_turns(invocation) as host:
        _check_plugins(host, request)
        opening = host.session(request.session_id, model=request.model, plugin_options=request.plugin_options)
        async with opening as runtime:
            result = await run_turn(runtime, request.prompt, printer)
            if request.as_json:
                write_document(terminal, _document(runtime, result))
            say_outcome(terminal, result)
            if not request.as_json or verbose:
                terminal.say(usage_line(terminal, result), style="dim")
                _say_session(terminal, runtime, request)
    return result


def _check_plugins(host: LashHost, request: _Request) -> None:
    """Refuse options of plugins that are not here. A resumed session would only keep them for later."""
    from lash_host.errors import UnknownPlugin

    known = tuple(plugin.plugin_id for plugin in host.plugins.plugins)
    for plugin_id in request.plugin_options:
        if plugin_id not in known:
            raise UnknownPlugin(plugin_id, known=known)


def _say_session(terminal: Terminal, runtime: LashRuntime, request: _Request) -> None:
    if request.session_id is None:
        terminal.say(f"session {runtime.session_id}; continue with:", style="dim")
        terminal.say(f"lash run -s {shlex.quote(runtime.session_id)} PROMPT", style="dim")


def _document(runtime: LashRuntime, result: TurnResult) -> dict[str, object]:
    """Give the result with the session's id, success and token totals in it."""
    document = json.loads(result.model_dump_json())
    document["usage"]["total_tokens"] = result.usage.total_tokens
    document["children_usage"]["total_tokens"] = result.children_usage.total_tokens
    return {"session_id": runtime.session_id, "is_success": result.is_success, **document}
