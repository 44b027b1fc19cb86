"""``lash usage``: what sessions consumed, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lash_host.cli.invocation import Invocation, LashCommand
from lash_host.cli.output import format_option, output_option, output_to, write_cells, write_query, write_text

if TYPE_CHECKING:
    from lash_host.cli.output import Output

__all__ = ["usage"]

_FORMATS = ("table", "json", "csv", "parquet", "html")


@click.command("usage", cls=LashCommand, short_help="Report tokens, costs and calls.")
@click.option(
    "--by",
    "by",
    multiple=True,
    metavar="WORDS",
    help="Divide by any of day, model, source, session, plugin, tool, with commas between (model).",
)
@click.option("--since", metavar="TIME", help="Leave out what is older: 7d, 24h, 30m, or a date or time (UTC).")
@format_option(*_FORMATS)
@output_option
@click.option("--chart", metavar="FILE", help="Draw it too, into a .png, .svg or .pdf file.")
@click.pass_obj
def usage(
    invocation: Invocation,
    *,
    by: tuple[str, ...],
    since: str | None,
    format_name: str | None,
    path: str | None,
    chart: str | None,
) -> None:
    """Report what model calls consumed and cost; by tool, how often tools were called and what that took.

    A cost is - where a price is not known.
    """
    from lash_host.cli.opening import open_to_look
    from lash_host.contracts.clock import SystemClock
    from lash_host.usage.reports import check_dimensions, parse_since, report_sql

    output = output_to(format_name, path, known=_FORMATS)
    dimensions = check_dimensions(",".join(by) if by else "model")
    moment = parse_since(since, now_us=SystemClock().now_us())
    query = report_sql(dimensions, since=moment)
    with open_to_look(invocation) as opened:
        analytics = opened.host.usage
        if output.format in {"json", "csv", "parquet"}:
            with closing(analytics.sql(query)) as result:
                write_query(invocation.terminal, result, output)
        if output.format in {"table", "html"} or chart is not None:
            with closing(analytics.sql(query)) as result:
                columns = tuple(result.columns)
                rows = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
            _write_people(invocation, rows, output, title=_title(dimensions, since))
            if chart is not None:
                _draw(invocation, rows, chart)


def _write_people(invocation: Invocation, rows: Sequence[Mapping[str, Any]], output: Output, *, title: str) -> None:
    if output.format == "html":
        from lash_host.usage.render_html import render_html

        write_text(invocation.terminal, render_html(rows, title=title), output)
    elif output.format == "table":
        from lash_host.cli.usage_table import usage_table

        if not rows:
            invocation.terminal.say("no usage in this time", style="dim")
            return
        write_cells(invocation.terminal, *usage_table(rows), output)


def _draw(invocation: Invocation, rows: Sequence[Mapping[str, Any]], chart: str) -> None:
    from lash_host.cli.spinner import spinning
    from lash_host.usage.charts import chart as draw

    with spinning(invocation.terminal, "drawing"):
        written = draw(rows, Path(chart))
    invocation.terminal.say(f"wrote {written}", style="dim")


def _title(dimensions: Sequence[str], since: str | None) -> str:
    by = f" by {' and '.join(dimensions)}" if dimensions else ""
    return f"Usage{by}" + (f" since {since}" if since else "")
