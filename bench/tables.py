"""Printing a table of figures, and the statistics in it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

__all__ = ["mean", "median", "milliseconds", "print_table", "quantile", "ratio"]


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, note: str = "") -> None:
    """Print a table; numbers stand right, the first column left."""
    table = Table(title=title, caption=note or None, title_justify="left", caption_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(width=120).print(table)


def milliseconds(seconds: float) -> str:
    """Write a duration in milliseconds, to a figure that means something."""
    value = seconds * 1000
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which ``share`` of the values lie."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def ratio(ours: Sequence[Mapping[str, float]], others: Sequence[Mapping[str, float]], figure: str) -> str:
    """Give the median of the rounds' ratios of a figure: noise of the machine is mostly that of a whole round."""
    pairs = [(one[figure], other[figure]) for one, other in zip(ours, others, strict=True)]
    return f"{statistics.median(a / b for a, b in pairs):.2f}"


mean, median = statistics.fmean, statistics.median
