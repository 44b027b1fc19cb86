"""``lash sessions``: list, show, compact and delete sessions."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from lash_host.cli.failures import WrongUsage
from lash_host.cli.invocation import Invocation, LashGroup
from lash_host.cli.output import format_option, output_to, write_document, write_objects
from lash_host.cli.prompts import check_text
from lash_host.cli.render import ago, counted
from lash_host.cli.tables import Column, print_table
from lash_host.cli.terminal import one_line

if TYPE_CHECKING:
    from lash_host.cli.opening import BlockingHost

__all__ = ["sessions"]

_FORMATS = ("table", "json")
_LATEST_FIRST = "SELECT * FROM usage.sessions ORDER BY coalesce(last_turn_at, created_at) DESC, session_id"
_WIDE = 110


@click.group("sessions", cls=LashGroup, short_help="List, show, compact and delete sessions.")
def sessions() -> None:
    """List, show, compact and delete sessions."""


@sessions.command("list", short_help="List sessions.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Only the N latest.")
@format_option(*_FORMATS)
@click.pass_obj
def list_sessions(invocation: Invocation, *, limit: int | None, format_name: str | None) -> None:
    """List the sessions of the store, the one with the latest turn first."""
    from lash_host.cli.opening import open_to_look

    output = output_to(format_name, known=_FORMATS)
    with open_to_look(invocation) as opened:
        query = _LATEST_FIRST if limit is None else f"{_LATEST_FIRST} LIMIT {limit}"
        with closing(opened.host.usage.sql(query)) as result:
            columns, rows = tuple(result.columns), result.fetchall()
    if output.format == "json":
        write_objects(invocation.terminal, columns, rows)
        return
    if not rows:
        invocation.terminal.say("no sessions", style="dim")
        return
    _print_list(invocation, [dict(zip(columns, row, strict=True)) for row in rows])


def _print_list(invocation: Invocation, found: list[dict[str, object]]) -> None:
    now = datetime.now(UTC)
    is_wide = not invocation.terminal.out_is_terminal or invocation.terminal.columns >= _WIDE
    columns = [
        Column("session", is_whole=True),
        Column("last turn", is_whole=True),
        Column("turns", is_number=True),
        *([Column("tokens", is_number=True), Column("model")] if is_wide else []),
        Column("title"),
    ]
    rows = []
    for row in found:
        moment = row["last_turn_at"] or row["created_at"]
        assert isinstance(moment, datetime)  # noqa: S101  the view says so
        more = [f"{row['total_tokens']:,}", f"{row['provider_id']}/{row['model']}"] if is_wide else []
        cells = [row["session_id"], ago(moment, now=now), row["turns"], *more, row["title"] or ""]
        rows.append([str(cell) for cell in cells])
    print_table(invocation.terminal, columns, rows)


@sessions.command("show", short_help="Show what is in a session.")
@click.argument("session_id", metavar="ID")
@click.option("--all", "everything", is_flag=True, help="Messages of earlier frames and other branches too.")
@format_option(*_FORMATS)
@click.pass_obj
def show(invocation: Invocation, *, session_id: str, everything: bool, format_name: str | None) -> None:
    """Show a session: what it is, its frames, what it used, and the messages its model sees."""
    from lash_host.cli.opening import open_to_look
    from lash_host.cli.session_report import describe_session, print_session
    from lash_host.contracts.store import ReadScope
    from lash_host.errors import UnknownSession

    output = output_to(format_name, known=_FORMATS)
    check_text(session_id, what="the session id")
    with open_to_look(invocation) as opened:
        store = opened.host.store
        info = store.session_info(session_id)
        scope = ReadScope.FULL_GRAPH if everything else ReadScope.CURRENT_FRAME
        persisted = store.load_session(session_id, scope=scope)
        if info is None or persisted is None:
            raise UnknownSession(session_id)
        document = describe_session(info, persisted, everything=everything)
    if output.format == "json":
        write_document(invocation.terminal, document)
    else:
        print_session(invocation.terminal, document, now=datetime.now(UTC))


@sessions.command("compact", short_help="Summarize a session into a fresh frame.")
@click.argument("session_id", metavar="ID")
@click.option("--instructions", metavar="TEXT", help="What to keep, or to leave out.")
@click.pass_obj
def compact(invocation: Invocation, *, session_id: str, instructions: str | None) -> None:
    """Let a plugin summarize the session into a fresh frame. Its history stays in the store."""
    from lash_host.cli.opening import open_to_look
    from lash_host.cli.spinner import spinning

    check_text(session_id, what="the session id")
    with open_to_look(invocation, tells_findings=True) as opened:
        opened.run(opened.host.session_info(session_id))
        with spinning(invocation.terminal, f"compacting {session_id}"):
            is_done = opened.run(_compact(opened, session_id, instructions))
    invocation.terminal.write("compacted\n" if is_done else "nothing to compact\n")


async def _compact(opened: BlockingHost, session_id: str, instructions: str | None) -> bool:
    async with opened.host.session(session_id) as runtime:
        return await runtime.compact_context(instructions)


@sessions.command("delete", short_help="Delete a session and all that is stored of it.")
@click.argument("session_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_option(*_FORMATS)
@click.pass_obj
def delete(invocation: Invocation, *, session_id: str, yes: bool, format_name: str | None) -> None:
    """Delete a session and all that is stored of it: messages, turns, calls, usage. This cannot be undone."""
    from lash_host.cli.opening import open_to_look

    output = output_to(format_name, known=_FORMATS)
    check_text(session_id, what="the session id")
    if not yes and not sys.stdin.isatty():
        raise WrongUsage("deleting a session needs --yes where nobody can be asked", code="confirmation_needed")
    with open_to_look(invocation) as opened:
        info = opened.run(opened.host.session_info(session_id))
        if not yes:
            title = f" ({info.title})" if info.title else ""
            question = one_line(f"Delete session {session_id}{title} with {counted(info.turns, 'turn')}?")
            if not click.confirm(question, err=True):
                invocation.terminal.say("nothing was deleted", style="dim")
                raise click.exceptions.Exit(1)
        report = opened.run(opened.host.delete_session(session_id))
    if output.format == "json":
        write_document(invocation.terminal, report.model_dump())
    else:
        calls = f"{counted(report.model_calls, 'model call')}, {counted(report.tool_calls, 'tool call')}"
        counts = f"{counted(report.turns, 'turn')}, {counted(report.nodes, 'node')}, {calls}"
        invocation.terminal.write(f"deleted {session_id}: {counts}\n")
