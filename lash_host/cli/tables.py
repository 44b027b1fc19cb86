"""Rows as tables for people: drawn by rich on a terminal, plain aligned text elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from lash_host.cli.formats import TextSink
from lash_host.cli.terminal import Terminal, one_line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "align", "fits", "print_records", "print_table"]

_GAP = 2
_MOST_ALIGNED = 200
_READABLE_WIDTH = 24
_NARROWEST = 6


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        heading: What stands above it.
        is_number: Whether it is set to the right.
        is_whole: Whether it is never cut: ids that are to be copied.
        wraps: Whether a long text goes on in the next line, instead of being cut.
    """

    heading: str
    is_number: bool = False
    is_whole: bool = False
    wraps: bool = False


def print_table(terminal: Terminal, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: on a terminal as wide as that, elsewhere as wide as it needs, with nothing cut."""
    if terminal.out_is_terminal:
        _draw(terminal, columns, [*rows])
    else:
        align(terminal.out, columns, rows)


def print_records(terminal: Terminal, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print each row over several lines, a heading and its value on each: for rows too wide for a table."""
    width = max(map(len, headings), default=0)
    for number, row in enumerate(rows, 1):
        terminal.write(terminal.styled_out(f"{'' if number == 1 else chr(10)}row {number}", "bold") + "\n")
        for heading, value in zip(headings, row, strict=True):
            terminal.write(f"{heading.ljust(width + _GAP)}{one_line(value)}\n")


def fits(terminal: Terminal, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table of this has room for what is in it, with long texts in several lines."""
    widths = [
        max(len(heading), min(max((len(row[index]) for row in rows), default=0), _READABLE_WIDTH))
        for index, heading in enumerate(columns)
    ]
    return sum(widths) + _GAP * len(widths) <= terminal.columns


def _draw(terminal: Terminal, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    texts = [[Text(one_line(cell)) for cell in row] for row in rows]
    natural = [
        max([len(column.heading), *(row[index].cell_len for row in texts)]) for index, column in enumerate(columns)
    ]
    heading = "bold" if terminal.out_has_colour else ""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style=heading, padding=(0, 1, 0, 0))
    for column, width in zip(columns, _fitted(columns, natural, room=terminal.columns), strict=True):
        table.add_column(
            Text(column.heading),
            justify="right" if column.is_number else "left",
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
            width=width,
        )
    for row in texts:
        table.add_row(*row)
    _console(terminal).print(table)


def _fitted(columns: Sequence[Column], natural: Sequence[int], *, room: int) -> list[int]:
    """Take what is too much from the widest text, again and again; numbers and ids keep their width."""
    widths = [*natural]
    excess = sum(widths) + _GAP * len(widths) - room
    while excess > 0:
        flexible = [
            index
            for index, column in enumerate(columns)
            if not (column.is_number or column.is_whole) and widths[index] > _NARROWEST
        ]
        if not flexible:
            break
        widths[max(flexible, key=widths.__getitem__)] -= 1
        excess -= 1
    return widths


def _console(terminal: Terminal) -> Console:
    from rich.console import Console

    return Console(
        file=terminal.out,
        width=terminal.columns,
        no_color=not terminal.out_has_colour,
        highlight=False,
        markup=False,
        emoji=False,
    )


def align(out: TextSink, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Write plain lines as they come, with nothing cut; the first ones say how wide the columns are."""
    iterator = iter(rows)
    first = [[one_line(cell) for cell in row] for row in islice(iterator, _MOST_ALIGNED)]
    headings = [column.heading for column in columns]
    widths = [max(map(len, cells)) for cells in zip(headings, *first, strict=True)]
    rest = ([one_line(cell) for cell in row] for row in iterator)
    lines = (_aligned(columns, widths, row) for row in chain([headings], first, rest))
    while block := "".join(islice(lines, _MOST_ALIGNED)):
        out.write(block)


def _aligned(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    cells = (
        cell.rjust(width) if column.is_number else cell.ljust(width)
        for cell, width, column in zip(row, widths, columns, strict=True)
    )
    return (" " * _GAP).join(cells).rstrip() + "\n"
