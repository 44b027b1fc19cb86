from __future__ import annotations

import sys
from datetime import date, timedelta

import pytest

from lash_host.errors import MissingExtra, StoreUnwritable, UsageFault
from lash_host.usage import charts
from lash_host.usage.charts import chart

FIRST = date(2026, 1, 1)


def day(number=0, *, tokens=1000, **facts):
    return {"day": FIRST + timedelta(days=number), "model": "m", "calls": 1, "total_tokens": tokens, **facts}


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw rows and give the figure, which has all text that is in the picture."""
    from matplotlib.figure import Figure

    figures = []
    savefig = Figure.savefig

    def keep(self, *args, **kwargs):
        figures.append(self)
        return savefig(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(rows, **options):
        assert chart(rows, tmp_path / "c.png", **options) == tmp_path / "c.png"
        assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        return figures[-1]

    return draw


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def boxes(figure):
    """Where the words of the picture are, on its canvas."""
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    beyond = {
        tick.label1
        for panel in figure.axes
        for axis in (panel.xaxis, panel.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    written = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    shown = [text for text in written if text not in beyond]
    return {(text.get_text(), id(text)): text.get_window_extent(renderer) for text in shown}


class TestDays:
    def test_title_units_and_legend(self, drawn):
        figure = drawn([day(0, provider_id="p"), day(2, provider_id="p"), day(1, provider_id="q", tokens=2_000_000)])
        words = texts(figure)
        assert {"Tokens a day by model", "tokens", "day (UTC)", "p/m", "q/m", "2 M", "2 M tokens in all"} <= set(words)
        assert "1 Jan\n2026" in words
        assert "3 Jan" in words

    def test_a_day_without_usage_keeps_its_place(self, drawn):
        bars = drawn([day(0), day(2)]).axes[0].patches
        assert [bar.get_height() for bar in bars] == [1000, 0, 1000]

    def test_bars_are_stacked_the_largest_below(self, drawn):
        rows = [day(0, model="small", tokens=1), day(0, model="large", tokens=9)]
        bars = drawn(rows).axes[0].patches
        assert [(bar.get_y(), bar.get_height()) for bar in bars] == [(0, 9), (9, 1)]

    def test_many_are_put_together(self, drawn):
        figure = drawn([day(0, model=f"m{number}", tokens=number) for number in range(1, 13)])
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names == ["m12", "m11", "m10", "m9", "m8", "m7", "6 others"]
        assert sum(bar.get_height() for bar in figure.axes[0].patches) == sum(range(1, 13))

    def test_costs_have_their_own_picture(self, drawn):
        figure = drawn([day(0, cost_usd=0.25), day(0, cost_usd=0.5, model="n"), day(1, cost_usd=1.0)])
        costs = figure.axes[1]
        assert [bar.get_height() for bar in costs.patches] == [0.75, 1.0]
        assert costs.get_ylabel() == r"US\$"
        assert any("US\\$ 1.75" in word for word in texts(figure))

    def test_a_day_of_unknown_cost_has_a_mark_and_no_bar(self, drawn):
        figure = drawn([day(0, cost_usd=0.25), day(1, cost_usd=None), day(1, cost_usd=1.0, model="n")])
        assert [bar.get_height() for bar in figure.axes[1].patches] == [0.25]
        assert "?" in texts(figure)
        assert not any("in all, US" in word for word in texts(figure))

    def test_where_nothing_is_known_to_cost_there_is_no_picture_of_it(self, drawn):
        assert len(drawn([day(0, cost_usd=None), day(1, cost_usd=0.0)]).axes) == 1


class TestBars:
    def test_one_a_row_without_days(self, drawn):
        rows = [{"tool_name": "read", "calls": 3, "failures": 1}, {"tool_name": None, "calls": 1200, "failures": 0}]
        figure = drawn(rows)
        assert {"Calls by tool", "calls", "read", "(none)", "1.2 k", "3", "1.2 k calls in all"} <= set(texts(figure))

    def test_many_are_put_together(self, drawn):
        figure = drawn([{"session_id": f"s{number}", "calls": 1, "total_tokens": number} for number in range(40)])
        assert "26 others" in texts(figure)
        assert len(figure.axes[0].patches) == 15

    def test_no_rows_are_a_picture_that_says_so(self, drawn):
        assert "no usage in this time" in texts(drawn([]))


class TestLegibility:
    @pytest.mark.parametrize("days", [1, 5, 14, 15, 60, 800])
    def test_words_do_not_overlap(self, drawn, days):
        rows = [
            day(number, provider_id="openrouter", model=f"meta/a-model-with-a-long-name-{kind}", cost_usd=0.1 * kind)
            for number in range(days)
            for kind in range(1, 10)
        ]
        places = boxes(drawn(rows))
        names = list(places)
        clashes = [
            (a[0], b[0])
            for number, a in enumerate(names)
            for b in names[number + 1 :]
            if places[a].shrunk(0.9, 0.9).overlaps(places[b].shrunk(0.9, 0.9))
        ]
        assert clashes == []

    def test_dollars_and_long_names_are_text(self, drawn):
        figure = drawn([{"session_id": "$x$" * 40, "calls": 1, "total_tokens": 5}], title="$5 and $6")
        assert r"\$5 and \$6" in texts(figure)
        assert any(word.endswith("…") for word in texts(figure))


class TestFiles:
    @pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")])
    def test_the_ending_says_the_format(self, tmp_path, suffix, start):
        assert chart([day()], str(tmp_path / f"c{suffix}")).read_bytes().startswith(start)
        assert len(list(tmp_path.iterdir())) == 1

    def test_another_ending_is_refused(self, tmp_path):
        with pytest.raises(UsageFault, match=r"\.png, \.svg, \.pdf; got 'c\.gif'"):
            chart([day()], tmp_path / "c.gif")

    def test_a_place_that_is_not_there(self, tmp_path):
        with pytest.raises(StoreUnwritable, match="cannot be written"):
            chart([day()], tmp_path / "no" / "c.png")

    def test_without_matplotlib_the_error_says_what_to_install(self, tmp_path, monkeypatch):
        for name in [name for name in sys.modules if name.startswith("matplotlib")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(MissingExtra, match=r'pip install "lash-host\[charts\]"'):
            chart([day()], tmp_path / "c.png")

    def test_numbers_in_short(self):
        values = [0, 7, 999, 1000, 12_345, 1_250_000, 3_400_000_000]
        assert [charts._in_short(value) for value in values] == ["0", "7", "999", "1 k", "12.3 k", "1.25 M", "3.4 G"]
