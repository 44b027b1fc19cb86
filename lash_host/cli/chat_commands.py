"""What a chat understands besides messages: ``/help`` and the like."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from typing import Literal

from lash_host.cli.failures import say_error
from lash_host.cli.invocation import Invocation
from lash_host.cli.render import tokens_line
from lash_host.cli.spinner import spinning
from lash_host.cli.tables import Column, print_table
from lash_host.cli.turns import interrupting
from lash_host.errors import LashError
from lash_host.runtime.runtime import LashRuntime

__all__ = ["CHAT_COMMANDS", "ChatAnswer", "run_command"]

ChatAnswer = Literal["message", "done", "failed", "leave"]
"""What became of a line: it is a message for the model, a command that worked or did not, or the end."""

_COMMAND = re.compile(r"/([a-z]*)(?:\s+(.*))?", re.DOTALL)


async def run_command(invocation: Invocation, runtime: LashRuntime, text: str) -> ChatAnswer:
    """Run a line that starts with a slash and a word; any other is a message, a path such as ``/etc/hosts`` too."""
    match = _COMMAND.fullmatch(text.strip()) if text.startswith("/") else None
    if match is None:
        return "message"
    name, argument = match[1], (match[2] or "").strip()
    terminal = invocation.terminal
    if name not in CHAT_COMMANDS:
        near = get_close_matches(name, CHAT_COMMANDS, n=1)
        hint = f"did you mean /{near[0]}?" if near else "/help lists them"
        say_error(terminal, "unknown_command", f"no command /{name}; {hint}")
        return "failed"
    run = CHAT_COMMANDS[name][0]
    if run is None:
        return "leave"
    try:
        await run(invocation, runtime, argument)
    except LashError as exc:
        say_error(terminal, exc.code, str(exc))
        return "failed"
    except KeyboardInterrupt:
        terminal.say("interrupted", style="dim")
        return "failed"
    return "done"


async def _help(invocation: Invocation, _runtime: LashRuntime, _argument: str) -> None:
    terminal = invocation.terminal
    for name, (_, usage, purpose) in CHAT_COMMANDS.items():
        terminal.write(f"  /{f'{name} {usage}'.strip().ljust(24)} {purpose}\n")
    terminal.write("Enter sends, Alt-Enter starts a new line, Ctrl-C cancels a turn, Ctrl-D leaves.\n")


async def _compact(invocation: Invocation, runtime: LashRuntime, argument: str) -> None:
    def refuse() -> bool:
        return False

    with interrupting(refuse), spinning(invocation.terminal, "compacting"):
        is_done = await runtime.compact_context(argument or None)
    invocation.terminal.write("compacted\n" if is_done else "nothing to compact\n")


async def _usage(invocation: Invocation, runtime: LashRuntime, _argument: str) -> None:
    report = runtime.usage_report()
    columns = [
        Column("source"),
        Column("model"),
        *(Column(name, is_number=True) for name in ("input", "output", "total")),
    ]
    rows: list[tuple[str, ...]] = [
        (
            row.source,
            row.model,
            f"{row.usage.context_tokens:,}",
            f"{row.usage.output_tokens:,}",
            f"{row.usage.total_tokens:,}",
        )
        for row in report.by_source_model
    ]
    if len(rows) > 1:
        total = report.usage
        numbers = (total.context_tokens, total.output_tokens, total.total_tokens)
        rows.append(("total", "", *(f"{number:,}" for number in numbers)))
    if rows:
        print_table(invocation.terminal, columns, rows)
    else:
        invocation.terminal.write("nothing used yet\n")


async def _model(invocation: Invocation, runtime: LashRuntime, argument: str) -> None:
    if argument:
        await runtime.update_session_config(model=argument)
    invocation.terminal.write(f"{runtime.read_view().policy.model}\n")


async def _tools(invocation: Invocation, runtime: LashRuntime, _argument: str) -> None:
    tools = [(str(tool["name"]), str(tool["description"]).partition("\n")[0]) for tool in runtime.tool_catalog()]
    if tools:
        print_table(invocation.terminal, [Column("tool", is_whole=True), Column("what it does", wraps=True)], tools)
    else:
        invocation.terminal.write("no tools\n")


async def _session(invocation: Invocation, runtime: LashRuntime, _argument: str) -> None:
    view = runtime.read_view()
    facts = {
        "session": runtime.session_id,
        "model": str(view.policy.model),
        "turns": str(view.turn_index),
        "messages": f"{len(view.messages)} in this frame",
        "frames": str(len(view.agent_frames)),
        "used": tokens_line(runtime.usage_report().usage.model_dump()),
    }
    for name, value in facts.items():
        invocation.terminal.write(f"{name.ljust(10)}{value}\n")


_Run = Callable[[Invocation, LashRuntime, str], Awaitable[None]]

CHAT_COMMANDS: dict[str, tuple[_Run | None, str, str]] = {
    "help": (_help, "", "List these commands."),
    "model": (_model, "[NAME]", "Show the model, or change it."),
    "tools": (_tools, "", "List the tools the model may call."),
    "usage": (_usage, "", "Show what this session used."),
    "session": (_session, "", "Show what this session is."),
    "compact": (_compact, "[INSTRUCTIONS]", "Summarize the conversation into a fresh frame."),
    "exit": (None, "", "Leave. The session stays."),
}
"""The commands by name: what runs them (nothing: the chat ends), their argument, and what they do."""
