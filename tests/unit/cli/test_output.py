"""The options ``--format`` and ``-o``, and writing rows as they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lash_host.cli.failures import WrongUsage
from lash_host.cli.output import output_to, write_document, write_query
from lash_host.contracts.store import QueryResult
from lash_host.errors import StoreUnwritable

_ALL = ("table", "json", "csv", "parquet", "html")


class Rows(QueryResult):
    """Rows that were given, and whether they were let go of."""

    def __init__(self, columns, rows):
        self._columns, self._rows = columns, rows
        self.is_closed = False

    @property
    def columns(self):
        return self._columns

    def fetchall(self):
        return self._rows

    def arrow(self):
        import pyarrow as pa

        return pa.Table.from_pylist([dict(zip(self._columns, row, strict=True)) for row in self._rows])

    def df(self):
        raise AssertionError

    def pl(self):
        raise AssertionError

    def close(self):
        self.is_closed = True


def test_the_format_comes_from_the_option_then_the_file_then_is_a_table():
    assert output_to(None, known=_ALL).format == "table"
    assert output_to(None, "a.CSV", known=_ALL).format == "csv"
    assert output_to("json", "a.csv", known=_ALL).format == "json"
    assert output_to(None, "a.txt", known=_ALL).format == "table"


@pytest.mark.parametrize(
    ("format_name", "path", "known", "message"),
    [
        ("parquet", None, _ALL, "Parquet is written to files"),
        ("parquet", "/dev/null", _ALL, "Parquet is written to files"),
        (None, "a.parquet", ("table", "json"), "cannot be written as parquet"),
        (None, ".", _ALL, "is a folder"),
    ],
)
def test_what_cannot_be_is_wrong_usage(format_name, path, known, message):
    with pytest.raises(WrongUsage, match=message):
        output_to(format_name, path, known=known)


@pytest.mark.parametrize("suffix", ["json", "csv", "txt"])
def test_a_file_takes_the_place_of_another_whole(make_terminal, tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    path.write_text("old")

    write_query(make_terminal().terminal, Rows(("a",), [(1,), ("é",)]), output_to(None, str(path), known=_ALL))

    written = path.read_text(encoding="utf-8")
    assert {
        "json": lambda: json.loads(written) == [{"a": 1}, {"a": "é"}],
        "csv": lambda: written == "a\n1\né\n",
        "txt": lambda: written == "a\n1\né\n",
    }[suffix]()
    assert [*tmp_path.iterdir()] == [path]


def test_parquet_keeps_types(make_terminal, tmp_path):
    import pyarrow.parquet

    path = tmp_path / "rows.parquet"

    write_query(make_terminal().terminal, Rows(("a",), [(1,), (2,)]), output_to(None, str(path), known=_ALL))

    assert pyarrow.parquet.read_table(path).to_pylist() == [{"a": 1}, {"a": 2}]


def test_a_failure_leaves_the_old_file(make_terminal, tmp_path):
    class Breaking(Rows):
        def batches(self, *, rows=1):
            yield [(1,)]
            raise RuntimeError("broke off")

    path = tmp_path / "rows.csv"
    path.write_text("old")

    with pytest.raises(RuntimeError, match="broke off"):
        write_query(make_terminal().terminal, Breaking(("a",), []), output_to(None, str(path), known=_ALL))

    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_place_that_cannot_be_written_says_so(make_terminal, tmp_path):
    output = output_to("csv", str(tmp_path / "none" / "rows.csv"), known=_ALL)

    with pytest.raises(StoreUnwritable, match="cannot be written"):
        write_query(make_terminal().terminal, Rows(("a",), [(1,)]), output)


def test_a_device_is_written_to_and_not_replaced(make_terminal):
    write_query(make_terminal().terminal, Rows(("a",), [(1,)]), output_to("csv", "/dev/null", known=_ALL))

    assert Path("/dev/null").is_char_device()


def test_a_terminal_is_shown_the_first_rows(make_terminal):
    fake = make_terminal(out=True, err=True, NO_COLOR="1")
    rows = Rows(("number",), [(number,) for number in range(1000)])

    write_query(fake.terminal, rows, output_to(None, known=_ALL))

    assert fake.out.splitlines()[-1].strip() == "199"
    assert fake.err == "these are the first 200 rows; --format csv or json writes all\n"
    assert rows.is_closed


def test_a_pipe_gets_all_rows(make_terminal):
    fake = make_terminal()

    write_query(fake.terminal, Rows(("number",), [(number,) for number in range(1000)]), output_to(None, known=_ALL))

    assert len(fake.out.splitlines()) == 1001
    assert fake.err == ""


def test_rows_too_wide_for_a_terminal_are_records(make_terminal):
    fake = make_terminal(out=True, NO_COLOR="1", columns=60)
    columns = tuple(f"column_{number}" for number in range(20))

    write_query(fake.terminal, Rows(columns, [tuple(range(20))]), output_to(None, known=_ALL))

    assert fake.out.startswith("row 1\ncolumn_0   0\n")


def test_no_rows_is_a_header(make_terminal):
    fake = make_terminal()

    write_query(fake.terminal, Rows(("a", "b"), []), output_to(None, known=_ALL))

    assert fake.out == "a  b\n"


def test_a_document_is_one_line_in_a_pipe_and_ascii_where_it_must_be(make_terminal):
    unicode, ascii_only, terminal = make_terminal(), make_terminal(encoding="ascii"), make_terminal(out=True)

    for each in (unicode, ascii_only, terminal):
        write_document(each.terminal, {"a": "é"})

    assert unicode.out == '{"a": "é"}\n'
    assert ascii_only.out == '{"a": "\\u00e9"}\n'
    assert terminal.out == '{\n  "a": "é"\n}\n'
