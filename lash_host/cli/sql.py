"""``lash sql``: read-only SQL over the views of schema ``usage``."""

from __future__ import annotations

from contextlib import closing

import click

from lash_host.cli.invocation import Invocation, LashCommand
from lash_host.cli.output import format_option, output_option, output_to, write_query
from lash_host.cli.prompts import read_text

__all__ = ["sql"]

_FORMATS = ("table", "json", "csv", "parquet")


@click.command("sql", cls=LashCommand, short_help="Run read-only SQL over the usage views.")
@click.argument("query")
@format_option(*_FORMATS)
@output_option
@click.pass_obj
def sql(invocation: Invocation, *, query: str, format_name: str | None, path: str | None) -> None:
    """Run one read-only SQL QUERY, such as: lash sql "select * from usage.sessions".

    A QUERY of - reads standard input. The views are usage.sessions, turns, model_calls, tool_calls, messages,
    hook_calls, daily and plugins, and those that plugins bring. Times are UTC.
    """
    output = output_to(format_name, path, known=_FORMATS)
    text = read_text(query, what="the query", empty="empty_query")
    from lash_host.cli.opening import open_to_look
    from lash_host.cli.spinner import spinning

    with open_to_look(invocation) as opened:
        with spinning(invocation.terminal, "running the query"):
            result = opened.host.usage.sql(text)
        with closing(result):
            write_query(invocation.terminal, result, output)
