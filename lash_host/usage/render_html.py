"""Reports as a page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

__all__ = ["render_html"]

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; }
h1 { font-size: 1.3rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .35rem .8rem; text-align: left; vertical-align: top; border-bottom: 1px solid #8884; }
th { border-bottom: 2px solid #888; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.unknown { color: #888; }
"""


def render_html(rows: Sequence[Mapping[str, Any]], *, title: str = "Usage", note: str = "") -> str:
    """Write rows as an HTML page with one table; what they hold is escaped.

    Numbers have thousands separators, costs four decimals, durations one; what is None is a dash.

    Args:
        rows: Rows with the same columns, such as `UsageAnalytics.report` gives.
        title: Stands above the table, and names the page.
        note: A sentence below it, for example what was left out.
    """
    columns = list(rows[0]) if rows else []
    numeric = {column for column in columns if any(_is_number(row[column]) for row in rows)}
    head = "".join(f"<th{_class(column in numeric)}>{escape(_heading(column))}</th>" for column in columns)
    body = "\n".join(
        f"<tr>{''.join(_cell(column, row[column], is_number=column in numeric) for column in columns)}</tr>"
        for row in rows
    )
    table = f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + (table if rows else "<p>no usage in this time</p>")
        + (f"\n<p>{escape(note)}</p>" if note else "")
        + "\n</body>\n</html>\n"
    )


def _heading(column: str) -> str:
    """Turn a column's name into words, with its unit behind it."""
    for suffix, unit in (("_usd", "US$"), ("_ms", "ms")):
        if column.endswith(suffix):
            return f"{column.removesuffix(suffix).replace('_', ' ')}, {unit}"
    return column.replace("_", " ")


def _cell(column: str, value: object, *, is_number: bool) -> str:
    if value is None:
        return f'<td class="{"number " if is_number else ""}unknown">-</td>'
    return f"<td{_class(is_number)}>{escape(_written(column, value))}</td>"


def _written(column: str, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.{4 if column.endswith('_usd') else 1}f}"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case _:
            return str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _class(is_number: bool) -> str:  # noqa: FBT001
    return ' class="number"' if is_number else ""
