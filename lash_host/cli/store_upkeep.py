"""``lash store check``, ``gc`` and ``vacuum``: finding what is wrong, and removing what nothing needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lash_host.cli.invocation import Invocation, LashCommand
from lash_host.cli.output import format_option, output_to, write_document
from lash_host.cli.render import bytes_text, counted
from lash_host.cli.tables import Column, print_table

if TYPE_CHECKING:
    from lash_host.cli.terminal import Terminal
    from lash_host.domain.maintenance import CheckReport

__all__ = ["check", "collect_garbage", "print_check", "vacuum"]

_FORMATS = ("table", "json")


@click.command("check", cls=LashCommand, short_help="Read everything, and say what is wrong.")
@format_option(*_FORMATS)
@click.pass_obj
def check(invocation: Invocation, *, format_name: str | None) -> None:
    """Read everything in the store and say exactly what is wrong with it. Nothing is changed.

    The status is 1 when something is.
    """
    from lash_host.cli.progress import progressing
    from lash_host.cli.store_opening import open_for_upkeep

    output = output_to(format_name, known=_FORMATS)
    with open_for_upkeep(invocation) as opened, progressing(invocation.terminal) as progress:
        report = opened.check(progress=progress)
    if output.format == "json":
        write_document(invocation.terminal, report.model_dump(mode="json"))
    else:
        print_check(invocation.terminal, report)
    if report.problems:
        raise click.exceptions.Exit(1)


@click.command("gc", cls=LashCommand, short_help="Delete blobs that nothing refers to.")
@format_option(*_FORMATS)
@click.pass_obj
def collect_garbage(invocation: Invocation, *, format_name: str | None) -> None:
    """Delete blobs that no checkpoint and no message refers to.

    Where one of those cannot be read, nothing is deleted.
    """
    from lash_host.cli.spinner import spinning
    from lash_host.cli.store_opening import open_for_upkeep

    output = output_to(format_name, known=_FORMATS)
    with open_for_upkeep(invocation) as opened, spinning(invocation.terminal, "collecting garbage"):
        report = opened.collect_garbage()
    if output.format == "json":
        write_document(invocation.terminal, report.model_dump())
    else:
        what = f"{counted(report.deleted, 'blob')} ({bytes_text(report.deleted_bytes)})"
        invocation.terminal.write(f"deleted {what}, kept {report.retained:,}\n")


@click.command("vacuum", cls=LashCommand, short_help="Remove for good what is hidden or settled.")
@format_option(*_FORMATS)
@click.pass_obj
def vacuum(invocation: Invocation, *, format_name: str | None) -> None:
    """Remove hidden and replaced nodes, and turn inputs that were completed or cancelled, for good.

    Their space is given back.
    """
    from lash_host.cli.spinner import spinning
    from lash_host.cli.store_opening import open_for_upkeep

    output = output_to(format_name, known=_FORMATS)
    with open_for_upkeep(invocation) as opened, spinning(invocation.terminal, "vacuuming"):
        report = opened.vacuum()
    if output.format == "json":
        write_document(invocation.terminal, report.model_dump())
    else:
        inputs = counted(report.removed_turn_inputs, "turn input")
        invocation.terminal.write(f"removed {counted(report.removed_nodes, 'node')} and {inputs}\n")


def print_check(terminal: Terminal, report: CheckReport) -> None:
    """Print what a check found: problems as a table, then what was looked at."""
    if report.problems:
        columns = [Column("problem", is_whole=True), Column("session", is_whole=True), Column("detail", wraps=True)]
        rows = [[one.kind, one.session_id or "", one.detail] for one in report.problems]
        print_table(terminal, columns, rows)
    seen = {
        "session": report.sessions,
        "commit": report.commits,
        "node": report.nodes,
        "blob": report.blobs,
        "attachment": report.attachments,
    }
    looked_at = ", ".join(counted(count, noun) for noun, count in seen.items())
    found = counted(len(report.problems), "problem") if report.problems else "no problems"
    terminal.write(f"{found} in {looked_at}\n")
