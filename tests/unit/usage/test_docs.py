"""The queries of docs/usage.md print what the page shows, and the page names every column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lash_host.domain.commit import HookCallFact, PluginSeen
from lash_host.domain.tool import ToolOutput
from lash_host.usage.views import builtin_views

PAGE = (Path(__file__).parents[3] / "docs" / "usage.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def history(book, clock):
    """Two days of three sessions: a question, a long piece of work with a subagent, and a plugin's notes."""
    notes = [PluginSeen(plugin_id="notes", version="1.0")]
    slow = HookCallFact(plugin_id="notes", hook="lash_after_turn", calls=1, total_ms=3.5, max_ms=3.5, errors=0)
    small = {"provider_id": "openai", "model": "gpt-mini"}
    read = book.tool("read_file", duration_ms=3.0)
    missing = book.tool("read_file", duration_ms=1.0, output=ToolOutput.failure("no such file", code="not_found"))
    book.turn(
        "support-42",
        said=["What changed between the two files?", "A date."],
        tools=[read, missing],
        calls=[
            book.call(tokens=(900, 60, 0, 700, 0), cost_usd=0.0042, model="gpt-large"),
            book.call(tokens=(120, 80, 1600, 0, 20), cost_usd=0.0031, model="gpt-large"),
        ],
    )
    clock.advance(3600)
    book.turn(
        "report-7",
        said=["Write the quarterly report.", "Here it is."],
        plugins=notes,
        hooks=[slow],
        tools=[read, book.tool("search", duration_ms=420.0), book.tool("search", duration_ms=380.0)],
        calls=[
            book.call(tokens=(4000, 1500, 0, 3000, 600), cost_usd=0.051, model="gpt-large"),
            book.call(tokens=(300, 900, 7000, 0, 100), cost_usd=0.024, model="gpt-large"),
            book.call(tokens=(200, 40), cost_usd=0.0001, source="notes", plugin_id="notes", **small),
        ],
    )
    clock.advance(60)
    book.turn(
        "report-7/figures",
        said=["Find the figures.", "Found."],
        parent="report-7",
        tools=[read],
        calls=[book.call(tokens=(2500, 300, 500), cost_usd=0.0009, source="subagent", **small)],
    )
    clock.advance(86_400)
    book.turn(
        "support-42",
        said=["And in one sentence?", "Only the date."],
        calls=[book.call(tokens=(90, 20, 1800), cost_usd=0.0012, model="gpt-large")],
    )
    book.turn(
        "local",
        said=["hello", "Hello."],
        calls=[book.call(tokens=(40, 8), cost_usd=None, provider_id="offline", model="agent")],
    )


def printed(columns, rows):
    cells = [[str(value) if value is not None else "" for value in row] for row in rows]
    numeric = [all(isinstance(row[i], int | float) for row in rows if row[i] is not None) for i in range(len(columns))]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [columns, *cells]
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("store", ["duckdb"], indirect=True)  # whose words the page's queries are
@pytest.mark.parametrize(("sql", "text"), QUERIES, ids=range(len(QUERIES)))
def test_a_query_prints_what_the_page_shows(store, sql, text):
    result = store.query(sql)
    assert printed(list(result.columns), result.fetchall()) == text


@pytest.mark.parametrize("view", builtin_views(), ids=lambda view: view.name)
def test_every_column_is_explained_in_its_order(store, view):
    section = PAGE.partition(f"### `usage.{view.name}`: one row a ")[2].partition("\n#")[0]
    explained = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)))
    columns = list(store.query(f"SELECT * FROM usage.{view.name}").columns)
    assert sorted(explained) == sorted(columns)
