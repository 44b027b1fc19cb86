from __future__ import annotations

from datetime import UTC, date, datetime
from html.parser import HTMLParser

from lash_host.usage.render_html import render_html


class Page(HTMLParser):
    """Collects cells by row and the tags that were seen; every tag must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.classes: list[list[str]] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
            self.classes.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self.classes[-1].append(dict(attrs).get("class") or "")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


def test_a_report_becomes_a_table(usage, book):
    book.turn(calls=[book.call(tokens=(1_234_567,), cost_usd=None), book.call(model="b", cost_usd=0.125)])
    page = Page(render_html(usage.report(["day", "model"])))
    assert page.rows[0][:5] == ["day", "provider id", "model", "calls", "sessions"]
    assert page.rows[0][-2:] == ["total tokens", "cost, US$"]
    assert page.rows[1][:4] == ["2026-01-01", "openai", "gpt", "1"]
    assert page.rows[1][-2:] == ["1,234,567", "-"]
    assert page.rows[2][-1] == "0.1250"
    assert page.classes[1][2:] == ["", *["number"] * 8, "number unknown"]


def test_what_rows_hold_is_escaped():
    text = render_html([{"model": '<script>alert(1)</script> & "x"'}], title="<b>", note="</p><i>")
    page = Page(text)
    assert page.rows[1] == ['<script>alert(1)</script> & "x"']
    assert not page.tags & {"script", "b", "i"}


def test_values_of_every_type():
    row = {
        "at": datetime(2026, 1, 2, 3, 4, 5, 6, UTC).replace(tzinfo=None),
        "on": date(2026, 1, 2),
        "yes": True,
        "total_ms": 1234.56,
        "n": None,
    }
    assert Page(render_html([row])).rows == [
        ["at", "on", "yes", "total, ms", "n"],
        ["2026-01-02 03:04:05", "2026-01-02", "yes", "1,234.6", "-"],
    ]


def test_no_rows_are_a_page_that_says_so():
    text = render_html([], title="Usage since 7d")
    assert "no usage in this time" in text
    assert "<title>Usage since 7d</title>" in text
    assert Page(text).rows == []


def test_it_needs_nothing_from_elsewhere():
    text = render_html([{"a": 1}])
    assert not any(word in text for word in ("http", "src=", "<script", "@import", "url("))
