"""``lash store migrate``, ``backup`` and ``copy``: a store to another schema, file or database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lash_host.cli.invocation import Invocation, LashCommand
from lash_host.cli.output import format_option, output_to, write_document
from lash_host.cli.render import bytes_text, counted

if TYPE_CHECKING:
    from lash_host.store.copying import CopyReport

__all__ = ["backup", "copy", "migrate"]

_FORMATS = ("table", "json")


@click.command("migrate", cls=LashCommand, short_help="Bring the store's schema up to date.")
@format_option(*_FORMATS)
@click.pass_obj
def migrate(invocation: Invocation, *, format_name: str | None) -> None:
    """Bring the store's schema up to date, as every command does that opens the store.

    A database file is copied to FILE.vVERSION-backup before.
    """
    from lash_host.cli.store_opening import opening_store, store_of
    from lash_host.store import open_store

    output = output_to(format_name, known=_FORMATS)
    place = store_of(invocation)
    with opening_store(invocation.terminal, says=False) as reports:
        opened = open_store(place, create=False)
    version = opened.info().schema_version
    opened.close()
    report = reports[0] if reports else None
    before = version if report is None else report.from_version
    kept = None if report is None or report.backup is None else str(report.backup)
    if output.format == "json":
        write_document(invocation.terminal, {"from_version": before, "to_version": version, "backup": kept})
    else:
        text = f"up to date: version {version}" if report is None else str(report)
        invocation.terminal.write(f"{text}\n")


@click.command("backup", cls=LashCommand, short_help="Copy the store's file, with its attachments.")
@click.argument("target", metavar="FILE")
@format_option(*_FORMATS)
@click.pass_obj
def backup(invocation: Invocation, *, target: str, format_name: str | None) -> None:
    """Copy the store's database to FILE through SQL, with its attachments beside it. Nothing is overwritten.

    No process may have the store open. A store on a server is backed up by the server's own tools, or copied to a file
    by ``lash store copy``.
    """
    from lash_host.cli.progress import progressing
    from lash_host.cli.store_opening import store_of
    from lash_host.store.backing_up import back_up_store

    output = output_to(format_name, known=_FORMATS)
    with progressing(invocation.terminal) as progress:
        report = back_up_store(store_of(invocation), target, progress=progress)
    if output.format == "json":
        document = {"path": str(report.path), "size_bytes": report.size_bytes, "attachments": report.attachments}
        write_document(invocation.terminal, document)
    else:
        attachments = f" and {counted(report.attachments, 'attachment')}" if report.attachments else ""
        invocation.terminal.write(f"wrote {report.path} ({bytes_text(report.size_bytes)}){attachments}\n")


@click.command("copy", cls=LashCommand, short_help="Copy a store to another database.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@format_option(*_FORMATS)
@click.pass_obj
def copy(invocation: Invocation, *, source: str, target: str, format_name: str | None) -> None:
    """Copy the store FROM to the new store TO, and check the copy. Each is a path or a URL.

    A copy that was interrupted goes on where it stopped when the command is given again. The status is 1 when the
    check finds something wrong.
    """
    from lash_host.cli.progress import progressing
    from lash_host.cli.store_upkeep import print_check
    from lash_host.store import open_store
    from lash_host.store.copying import copy_store
    from lash_host.usage.views import builtin_views

    output = output_to(format_name, known=_FORMATS)
    with progressing(invocation.terminal) as progress:
        report = copy_store(source, target, progress=progress)
    opened = open_store(target, create=False)
    opened.install_views(builtin_views())
    opened.close()
    if output.format == "json":
        write_document(invocation.terminal, _document(report))
    else:
        resumed = ", going on with an earlier copy" if report.resumed else ""
        copied = f"{sum(report.rows.values()):,} rows and {counted(report.attachments, 'attachment')}"
        invocation.terminal.write(f"copied {copied}{resumed}\n")
        print_check(invocation.terminal, report.check)
    if report.check.problems:
        raise click.exceptions.Exit(1)


def _document(report: CopyReport) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "attachments": report.attachments,
        "resumed": report.resumed,
        "check": report.check.model_dump(mode="json"),
    }
