"""``lash chat``: a conversation in the terminal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from lash_host.cli.failures import say_error
from lash_host.cli.invocation import Invocation, LashCommand
from lash_host.cli.prompts import check_text
from lash_host.cli.render import counted

if TYPE_CHECKING:
    from lash_host.cli.chat_input import ChatInput
    from lash_host.runtime.runtime import LashRuntime

__all__ = ["chat"]


@click.command("chat", cls=LashCommand, short_help="Talk with a model in the terminal.")
@click.option("-s", "--session", "session_id", metavar="ID", help="Go on in this session, or start it.")
@click.option("-m", "--model", metavar="MODEL", help="The model, as provider/model. Wins over the recorded one.")
@click.pass_obj
def chat(invocation: Invocation, *, session_id: str | None, model: str | None) -> None:
    """Talk with a model. Every message is a turn; /help lists what else there is.

    Enter sends, Alt-Enter starts a new line. Ctrl-C cancels a running turn, and the chat goes on; Ctrl-D leaves.
    Where standard input is no terminal, every line of it is a message.
    """
    if session_id is not None:
        check_text(session_id, what="the session id")
    if not asyncio.run(_chat(invocation, session_id, model)):
        raise click.exceptions.Exit(1)


async def _chat(invocation: Invocation, session_id: str | None, model: str | None) -> bool:
    from lash_host.cli.chat_input import open_input
    from lash_host.cli.opening import open_for_turns

    async with open_for_turns(invocation) as host, host.session(session_id, model=model) as runtime:
        talk = _Talk(invocation, runtime, open_input(invocation.terminal))
        talk.greet()
        went_well = await talk.run()
        if runtime.read_view().turn_index:
            again = f"lash chat -s {runtime.session_id}"
            invocation.terminal.say(f"go on with: {again}", style="dim")
    return went_well


class _Talk:
    """One conversation."""

    def __init__(self, invocation: Invocation, runtime: LashRuntime, source: ChatInput) -> None:
        self._invocation, self._runtime, self._source = invocation, runtime, source
        self._terminal = invocation.terminal

    def greet(self) -> None:
        """Say which model in which session is spoken to."""
        view = self._runtime.read_view()
        turns = f", {counted(view.turn_index, 'turn')} so far" if view.turn_index else ""
        self._terminal.say(f"session {self._runtime.session_id}{turns}", style="dim")
        self._terminal.say(f"{view.policy.model}; /help lists commands", style="dim")

    async def run(self) -> bool:
        """Talk until the user leaves.

        Returns:
            Whether all went well; with a user who sees what goes wrong, always.
        """
        from lash_host.cli.chat_commands import run_command

        went_well = True
        while True:
            try:
                text = await self._source.read()
            except EOFError:
                return went_well or self._source.is_interactive
            if text is None or not text.strip():
                continue
            answer = await run_command(self._invocation, self._runtime, text)
            if answer == "leave":
                return went_well or self._source.is_interactive
            if answer == "message":
                answer = "done" if await self._turn(text) else "failed"
            went_well = went_well and answer == "done"

    async def _turn(self, text: str) -> bool:
        from lash_host.cli.turns import TurnPrinter, run_turn, say_outcome
        from lash_host.errors import LashError

        printer = TurnPrinter(self._terminal, answer="streamed", tells=True, verbose=self._invocation.verbose)
        try:
            result = await run_turn(self._runtime, check_text(text, what="the prompt"), printer)
        except LashError as exc:
            say_error(self._terminal, exc.code, str(exc))
            return False
        say_outcome(self._terminal, result)
        return result.is_success
