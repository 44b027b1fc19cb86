# ruff: noqa: DTZ001 - times in the views are UTC and have no zone
from __future__ import annotations

import csv
import json
import sys
from datetime import date, datetime

import duckdb
import pyarrow as pa
import pytest

from lash_host.contracts.store import UsageView
from lash_host.errors import MissingExtra, QueryFailed, StoreUnwritable, UsageFault
from lash_host.usage.export import write_result
from lash_host.usage.views import builtin_views

VIEWS = sorted(view.name for view in builtin_views())


@pytest.fixture
def turns(book):
    book.turn(calls=[book.call()], tools=[book.tool()])
    book.turn(said=['with "quotes", commas\nand lines'], calls=[book.call(cost_usd=None)])


def read(path):
    with duckdb.connect() as plain:
        rows = plain.execute(f"SELECT * FROM '{path}'")
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


@pytest.mark.usefixtures("turns")
class TestFiles:
    @pytest.mark.parametrize("form", ["parquet", "csv", "json"])
    def test_every_view_becomes_a_file(self, usage, tmp_path, form):
        written = usage.export(tmp_path / "deep" / "out", format=form)
        assert written == [tmp_path / "deep" / "out" / f"{name}.{form}" for name in VIEWS]
        assert sorted((tmp_path / "deep" / "out").iterdir()) == written

    def test_parquet_keeps_rows_and_types(self, usage, tmp_path):
        usage.export(str(tmp_path))
        for name in VIEWS:
            result = usage.sql(f"SELECT * FROM usage.{name}")
            names = tuple(result.columns)
            expected = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
            assert sorted(map(str, read(tmp_path / f"{name}.parquet"))) == sorted(map(str, expected))
        (day,) = read(tmp_path / "daily.parquet")
        assert day["day"] == date(2026, 1, 1)
        assert isinstance(day["input_tokens"], int)
        assert read(tmp_path / "turns.parquet")[0]["started_at"] == datetime(2026, 1, 1)

    def test_json_is_an_array_of_objects(self, usage, tmp_path):
        usage.export(tmp_path, "json")
        read_back = json.loads((tmp_path / "turns.json").read_text(encoding="utf-8"))
        rows = sorted(read_back, key=lambda row: row["turn_index"])
        assert [row["cost_usd"] for row in rows] == [0.5, None]
        assert rows[0]["started_at"] == "2026-01-01T00:00:00.000000Z"
        assert rows[0]["total_tokens"] == 20

    def test_csv_has_a_header_and_quotes_what_must_be(self, usage, tmp_path):
        usage.export(tmp_path, "csv")
        with (tmp_path / "messages.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert 'with "quotes", commas\nand lines' in [row["text"] for row in rows]
        assert {row["created_at"] for row in rows} == {"2026-01-01T00:00:00.000000Z"}

    def test_views_of_plugins_are_among_them(self, usage, store, tmp_path):
        own = UsageView(name="notes_count", sql="SELECT count(*) AS n FROM usage.turns", description="Notes.")
        store.install_views((*builtin_views(), own))
        usage.export(tmp_path)
        assert read(tmp_path / "notes_count.parquet") == [{"n": 2}]

    def test_an_empty_view_becomes_a_file_too(self, usage, tmp_path):
        usage.export(tmp_path, "json")
        assert json.loads((tmp_path / "hook_calls.json").read_text(encoding="utf-8")) == []

    def test_a_folder_with_a_quote_in_its_name(self, usage, tmp_path):
        assert len(usage.export(tmp_path / "it's")) == len(VIEWS)


@pytest.mark.usefixtures("turns")
class TestWhatIsThereAlready:
    def test_stays_and_nothing_is_written(self, usage, tmp_path):
        (tmp_path / "turns.csv").write_text("mine")
        with pytest.raises(UsageFault, match=r"turns\.csv is there already"):
            usage.export(tmp_path, "csv")
        assert [path.name for path in tmp_path.iterdir()] == ["turns.csv"]
        assert (tmp_path / "turns.csv").read_text() == "mine"

    def test_is_replaced_where_that_is_asked_for(self, usage, tmp_path):
        usage.export(tmp_path, "csv")
        (tmp_path / "turns.csv").write_text("old")
        usage.export(tmp_path, "csv", overwrite=True)
        assert (tmp_path / "turns.csv").read_text().startswith("session_id,")
        assert len(list(tmp_path.iterdir())) == len(VIEWS)


class TestWhatCannotBe:
    def test_an_unknown_format(self, usage, tmp_path):
        with pytest.raises(UsageFault, match="no export as 'xlsx'; known: parquet, csv, json"):
            usage.export(tmp_path, "xlsx")

    def test_a_folder_that_is_a_file(self, usage, tmp_path):
        (tmp_path / "out").write_text("")
        with pytest.raises(UsageFault, match="is a file, not a folder"):
            usage.export(tmp_path / "out")

    def test_a_folder_that_cannot_be_made(self, usage, tmp_path):
        (tmp_path / "out").write_text("")
        with pytest.raises(StoreUnwritable, match="cannot be written"):
            usage.export(tmp_path / "out" / "deeper")

    def test_a_place_taken_by_a_folder_leaves_no_draft(self, usage, tmp_path):
        (tmp_path / "daily.csv").mkdir()
        with pytest.raises(StoreUnwritable, match=r"daily\.csv"):
            usage.export(tmp_path, "csv", overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["daily.csv"]

    def test_a_view_that_fails_leaves_no_half_file(self, usage, store, tmp_path):
        bad = UsageView(name="aaa", sql="SELECT CAST('x' || count(*) AS INTEGER) FROM usage.turns", description="Bad.")
        store.install_views((*builtin_views(), bad))
        with pytest.raises(QueryFailed):
            usage.export(tmp_path)
        assert list(tmp_path.iterdir()) == []


class RowsByPyarrow:
    """A result of a store that has no Arrow stream of its own."""

    columns = ("n",)

    def __init__(self, table):
        self.table = table

    def arrow(self):
        if self.table is None:
            raise MissingExtra("QueryResult.arrow()", extra="arrow")
        return self.table

    def close(self):
        self.table = None


class TestWithoutPyarrow:
    @pytest.mark.parametrize("store", ["postgresql"], indirect=True)
    @pytest.mark.usefixtures("turns")
    def test_postgresql_needs_it(self, usage, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingExtra, match=r'pip install "lash-host\[arrow\]"'):
            usage.export(tmp_path, "csv")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.usefixtures("turns")
    @pytest.mark.parametrize("store", ["duckdb"], indirect=True)
    @pytest.mark.parametrize("form", ["parquet", "csv", "json"])
    def test_everything_is_written(self, usage, tmp_path, monkeypatch, form):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        assert len(usage.export(tmp_path, form)) == len(VIEWS)
        with duckdb.connect() as plain:
            assert plain.execute(f"SELECT count(*) FROM '{tmp_path}/turns.{form}'").fetchone() == (2,)

    def test_a_store_that_needs_it_says_what_to_install(self, tmp_path):
        with pytest.raises(MissingExtra, match=r'pip install "lash-host\[arrow\]"'):
            write_result(RowsByPyarrow(None), tmp_path / "x.parquet", format="parquet")
        assert list(tmp_path.iterdir()) == []

    def test_a_stream_that_needs_it_says_what_to_install(self, tmp_path):
        class Rows(RowsByPyarrow):
            def __arrow_c_stream__(self, requested_schema=None):
                raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

        with pytest.raises(MissingExtra, match=r'pip install "lash-host\[arrow\]"'):
            write_result(Rows(None), tmp_path / "x.json", format="json")
        assert list(tmp_path.iterdir()) == []

    def test_a_store_that_gives_a_table_is_read_too(self, tmp_path):
        table = pa.table({"n": [1, 2]})
        write_result(RowsByPyarrow(table), tmp_path / "x.parquet", format="parquet")
        assert read(tmp_path / "x.parquet") == [{"n": 1}, {"n": 2}]
