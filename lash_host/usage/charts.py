"""Pictures of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from lash_host.errors import MissingExtra, UsageFault
from lash_host.usage.export import replacing
from lash_host.usage.reports import DIMENSIONS

__all__ = ["chart"]

_SUFFIXES: Final = (".png", ".svg", ".pdf")
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f6bb3")
"""Okabe and Ito's colours, told apart by everybody; their yellow is too faint for bars."""
_OTHER: Final = "#b3b3b3"
_MOST_BARS: Final = 15
_UNITS: Final = {"total_tokens": "tokens", "calls": "calls"}
_KINDS: Final = {column: kind for kind, columns in DIMENSIONS.items() for column in columns}

Row = Mapping[str, Any]


def chart(rows: Sequence[Row], path: str | Path, *, title: str | None = None) -> Path:
    """Draw a report: bars a day where it has days, else one bar a row. Reports of tools show calls, others tokens.

    Bars of a day are stacked by whatever else the report is divided by, the largest first; beyond seven the rest is
    one. Below them stands what each day cost, where that is known of any.

    Args:
        rows: What `UsageAnalytics.report` gave.
        path: A file ending in ``.png``, ``.svg`` or ``.pdf``; it is replaced if it is there.
        title: Instead of the one that is made of the rows.

    Returns:
        The path.

    Raises:
        MissingExtra: matplotlib is not installed.
        UsageFault: The file's ending is another one.
        StoreUnwritable: The file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in _SUFFIXES:
        raise UsageFault(f"a chart is a file ending in {', '.join(_SUFFIXES)}; got {target.name!r}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise MissingExtra("a chart", extra="charts") from exc
    picture = _picture(rows)
    figure = Figure(figsize=(10, picture.height_inches), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    if picture.days:
        _draw_days(figure, picture)
    else:
        _draw_bars(figure, picture)
    figure.suptitle(_plain(title or picture.title), x=0.01, ha="left", fontsize=14, fontweight="bold")
    with replacing(target) as draft:
        figure.savefig(draft, format=target.suffix.lower().removeprefix("."))
    return target


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """What is drawn: one value a series and day, or one a series where there are no days."""

    metric: str
    by: tuple[str, ...]
    series: dict[str, dict[date | None, float]]
    costs: dict[date, float | None]
    cost_usd: float | None

    @property
    def days(self) -> list[date]:
        """Every day from the first to the last, those without usage too."""
        found = sorted({day for values in self.series.values() for day in values if day is not None})
        return [found[0] + timedelta(days=n) for n in range((found[-1] - found[0]).days + 1)] if found else []

    @property
    def has_costs(self) -> bool:
        """Whether any day has a cost worth a picture."""
        return any(self.costs.values())

    @property
    def height_inches(self) -> float:
        """Room for the bars."""
        if self.days:
            return 6.5 if self.has_costs else 4.5
        return 1.6 + 0.4 * max(min(len(self.series), _MOST_BARS + 1), 2)

    @property
    def title(self) -> str:
        """Say what is drawn."""
        kinds = [kind for kind in dict.fromkeys(_KINDS[column] for column in self.by) if kind != "day"]
        what = _UNITS[self.metric].capitalize() + (" a day" if self.days else "")
        return f"{what} by {' and '.join(kinds)}" if kinds else what

    @property
    def summary(self) -> str:
        """Say what it comes to in all."""
        total = sum(value for values in self.series.values() for value in values.values())
        amount = f"{_in_short(total)} {_UNITS[self.metric]} in all"
        if self.cost_usd is None:
            return amount
        return f"{amount}, US$ {self.cost_usd:,.2f}"

    def largest(self, most: int) -> tuple[dict[str, dict[date | None, float]], str | None]:
        """Give the largest series, and the name of one that holds all others, which comes last."""
        ranked = sorted(self.series, key=lambda name: -sum(self.series[name].values()))
        if len(ranked) <= most:
            return {name: self.series[name] for name in ranked}, None
        chosen = {name: self.series[name] for name in ranked[: most - 1]}
        rest: dict[date | None, float] = {}
        for name in ranked[most - 1 :]:
            for day, value in self.series[name].items():
                rest[day] = rest.get(day, 0) + value
        other = f"{len(ranked) - most + 1} others"
        return {**chosen, other: rest}, other


def _picture(rows: Sequence[Row]) -> _Picture:
    columns: Sequence[str] = list(rows[0]) if rows else []
    by = tuple(column for column in columns if column in _KINDS)
    metric = "total_tokens" if not rows or any(row.get("total_tokens") for row in rows) else "calls"
    series: dict[str, dict[date | None, float]] = {}
    costs: dict[date, float | None] = {}
    spent: list[Any] = [row.get("cost_usd") for row in rows]
    for row in rows:
        day = row.get("day")
        values = series.setdefault(_label(row, by), {})
        values[day] = values.get(day, 0) + (row[metric] or 0)
        if day is not None:
            before, cost = costs.get(day, 0.0), row.get("cost_usd")
            costs[day] = None if before is None or cost is None else before + cost
    cost_usd = None if None in spent else sum(spent)
    return _Picture(metric=metric, by=by, series=series, costs=costs, cost_usd=cost_usd)


def _label(row: Row, by: tuple[str, ...]) -> str:
    """Name a row: a model with its provider, everything else as it is."""
    words = {column: "(none)" if row[column] is None else str(row[column]) for column in by if column != "day"}
    model = words.get("model")
    if model is not None and "provider_id" in words:
        words["model"] = f"{words.pop('provider_id')}/{model}"
    return ", ".join(words.values()) or "all"


def _draw_days(figure: Any, picture: _Picture) -> None:
    shares = {"height_ratios": [2, 1]} if picture.has_costs else {}
    panels = figure.subplots(2 if picture.has_costs else 1, 1, sharex=True, squeeze=False, gridspec_kw=shares)[:, 0]
    days = picture.days
    chosen, other = picture.largest(len(_COLOURS))
    floor = [0.0] * len(days)
    handles = []
    for number, (name, values) in enumerate(chosen.items()):
        heights = [values.get(day, 0) for day in days]
        colour = _OTHER if name == other else _COLOURS[number]
        handles.append(panels[0].bar(days, heights, bottom=floor, color=colour, width=0.8))
        floor = [a + b for a, b in zip(floor, heights, strict=True)]
    _finish(panels[0], unit=_UNITS[picture.metric], axis="y")
    panels[0].set_title(_plain(picture.summary), loc="left", fontsize=9, color="#666666")
    if len(chosen) > 1:
        names = [_plain(_shortened(name)) for name in chosen]
        columns = max(1, min(len(names), 110 // (max(map(len, names)) + 8)))
        figure.legend(handles, names, loc="outside lower left", ncols=columns, frameon=False, fontsize=9)
    if picture.has_costs:
        _draw_costs(panels[1], picture)
    _mark_days(panels[-1], days)


def _draw_costs(panel: Any, picture: _Picture) -> None:
    """Draw what each day cost; a day with calls of no known price gets a mark and no bar."""
    known = {day: cost for day, cost in picture.costs.items() if cost is not None}
    unknown = [day for day, cost in picture.costs.items() if cost is None]
    panel.bar(list(known), list(known.values()), color="#555555", width=0.8)
    _finish(panel, unit="US$", axis="y")
    for day in unknown:
        panel.text(day, 0.02, "?", transform=panel.get_xaxis_transform(), ha="center", color="#888888")
    if unknown:
        note = "?  has calls of no known price"
        panel.set_title(note, loc="right", fontsize=8, color="#888888")


def _draw_bars(figure: Any, picture: _Picture) -> None:
    panel = figure.subplots()
    chosen, other = picture.largest(_MOST_BARS)
    if not chosen:
        panel.axis("off")
        panel.text(0.5, 0.5, "no usage in this time", transform=panel.transAxes, ha="center", color="#888888")
        return
    totals = [sum(values.values()) for values in chosen.values()]
    colours = [_OTHER if name == other else _COLOURS[0] for name in chosen]
    bars = panel.barh(range(len(chosen)), totals, color=colours, height=0.7)
    panel.set_yticks(range(len(chosen)), [_plain(_shortened(name)) for name in chosen])
    panel.invert_yaxis()
    panel.bar_label(bars, labels=[_in_short(total) for total in totals], padding=4, fontsize=9)
    panel.margins(x=0.1, y=0.02)
    panel.set_title(_plain(picture.summary), loc="left", fontsize=9, color="#666666")
    _finish(panel, unit=_UNITS[picture.metric], axis="x")


def _finish(panel: Any, *, unit: str, axis: Literal["x", "y"]) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    values = panel.yaxis if axis == "y" else panel.xaxis
    values.set_label_text(_plain(unit))
    if unit == "US$":
        values.set_major_formatter("{x:,.2f}")
    else:
        values.set_major_formatter(EngFormatter(sep=" "))
        values.set_major_locator(MaxNLocator(nbins=6, integer=True))
    panel.grid(axis=axis, color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _mark_days(panel: Any, days: list[date]) -> None:
    """Write a dozen days at most, the year where it begins, and keep few bars from growing wide."""
    marked = days[:: -(-len(days) // 12)]
    years = [None, *(day.year for day in marked)]
    labels = [
        f"{day.day} {day:%b}" + (f"\n{day.year}" if day.year != year else "")
        for day, year in zip(marked, years, strict=False)
    ]
    panel.set_xticks(marked, labels)
    beside = timedelta(days=max(1, (8 - len(days)) // 2))
    panel.set_xlim(days[0] - beside, days[-1] + beside)
    panel.set_xlabel("day (UTC)")


def _in_short(value: float) -> str:
    """Write a number with three digits and a word for its size: 1.25 M."""
    for size, word in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{word}"
    return f"{value:g}"


def _shortened(name: str, most: int = 48) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _plain(text: str) -> str:
    """Keep matplotlib from reading dollars as formulas."""
    return text.replace("$", r"\$")
