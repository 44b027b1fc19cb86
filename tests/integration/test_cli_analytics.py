"""``lash sql`` and ``lash usage``."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest


@pytest.fixture
def with_usage(lash):
    lash("run", "list the files", "-s", "first")
    lash("run", "hello there", "-s", "second", "-m", "offline/echo")
    return lash


def test_sql_as_json_keeps_numbers_times_and_names(with_usage):
    rows = with_usage(
        "sql",
        "select 1 a, 12.5::decimal(9,2) d, 170141183460469231731687303715884105727::hugeint h, {'k': [1]} s,"
        " timestamp '2026-01-02 03:04:05' t, timestamptz '2026-01-02 03:04:05+02' z, 'nan'::double n, null e",
        "--format",
        "json",
    ).json

    assert rows == [
        {
            "a": 1, "d": 12.5, "h": 170141183460469231731687303715884105727, "s": {"k": [1]},
            "t": "2026-01-02T03:04:05.000000Z", "z": "2026-01-02T01:04:05.000000Z", "n": None, "e": None,
        }
    ]  # fmt: skip


@pytest.mark.parametrize("format_name", ["table", "csv", "json"])
def test_sql_in_every_format(with_usage, format_name):
    outcome = with_usage("sql", "select session_id, turns from usage.sessions order by 1", "--format", format_name)

    assert outcome.status == 0
    assert outcome.err == ""
    assert {
        "table": lambda: outcome.out == "session_id  turns\nfirst           1\nsecond          1\n",
        "csv": lambda: outcome.out == "session_id,turns\nfirst,1\nsecond,1\n",
        "json": lambda: [row["session_id"] for row in outcome.json] == ["first", "second"],
    }[format_name]()


def test_sql_into_a_parquet_file(with_usage, place):
    import pyarrow.parquet

    outcome = with_usage("sql", "select session_id, created_at from usage.sessions", "-o", "s.parquet")

    table = pyarrow.parquet.read_table(place / "s.parquet")
    assert (outcome.status, outcome.out) == (0, "")
    assert sorted(table["session_id"].to_pylist()) == ["first", "second"]
    assert str(table.schema.field("created_at").type).startswith("timestamp")


def test_sql_from_standard_input(lash_fed):
    assert lash_fed("sql", "-", "--format", "csv", stdin=b"select 1 as one -- a comment\n").out == "one\n1\n"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("drop table lash_tables.meta", 2, "query_refused"),
        ("delete from lash_tables.sessions", 2, "query_refused"),
        ("select 1; select 2", 2, "query_refused"),
        ("copy (select 1) to 'x.csv'", 2, "query_refused"),
        ("attach 'x.duckdb'", 2, "query_refused"),
        ("select * from read_csv('/etc/passwd')", 1, "query_failed"),
        ("select * from '/etc/passwd'", 1, "query_failed"),
        ("select content from read_text('/etc/passwd')", 1, "query_failed"),
        ("select * from nowhere", 1, "query_failed"),
        ("selec 1", 1, "query_failed"),
        ("select error('at run time')", 1, "query_failed"),
        ("", 2, "empty_query"),
    ],
)
def test_what_is_no_read_only_query_is_one_line_and_loses_nothing(with_usage, place, query, status, code):
    outcome = with_usage("sql", query)

    assert outcome.status == status
    assert outcome.out == ""
    assert outcome.err.startswith(f"error [{code}]: ")
    assert outcome.err.count("\n") == 1
    assert "root:" not in outcome.err
    assert not (place / "x.csv").exists()
    assert with_usage("sql", "select count(*) n from usage.sessions", "--format", "json").json == [{"n": 2}]


def test_a_reader_that_goes_away_is_no_trouble(lash_process):
    process = lash_process("sql", "select i from range(1000000) t(i)", "--format", "csv")
    head = [process.stdout.readline() for _ in range(2)]

    process.stdout.close()
    err = process.stderr.read()
    process.wait(timeout=60)
    process.stdin.close()
    process.stderr.close()

    assert head == [b"i\n", b"0\n"]
    assert err.splitlines()[1:] == []
    assert process.returncode == 1


def test_a_full_disk_behind_standard_output_is_one_line(lash_fed):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        outcome = lash_fed("sql", "select i from range(10000) t(i)", "--format", "csv", stdout=full)

    assert outcome.status == 1
    assert outcome.err.splitlines()[1:] == ["error [io_error]: No space left on device"]


@pytest.mark.parametrize(
    ("by", "columns"),
    [
        ([], ["provider_id", "model"]),
        (["--by", "day,model"], ["day", "provider_id", "model"]),
        (["--by", "session", "--by", "source"], ["session_id", "source"]),
    ],
)
def test_usage_by_what_is_asked_for(with_usage, by, columns):
    rows = with_usage("usage", *by, "--format", "json").json

    assert [*rows[0]][: len(columns)] == columns
    assert sum(row["calls"] for row in rows) == 3
    assert all(row["total_tokens"] > 0 for row in rows)


def test_usage_of_tools_and_plugins(with_usage):
    tools = with_usage("usage", "--by", "tool", "--format", "json").json
    plugins = with_usage("usage", "--by", "plugin", "--format", "json").json

    assert [(row["tool_name"], row["calls"]) for row in tools] == [("list_files", 1)]
    assert {row["plugin_id"] for row in plugins} >= {None, "tools_files"}


def test_usage_for_people_is_added_up(with_usage):
    lines = with_usage("usage").out.splitlines()

    assert lines[0].split() == ["model", "calls", "sessions", "input", "output", "total", "cost"]
    assert lines[-1].split()[:2] == ["total", "3"]


def test_usage_since_a_moment(with_usage):
    assert with_usage("usage", "--since", "1h", "--format", "json").json
    assert with_usage("usage", "--since", "2999-01-01", "--format", "json").json == []
    later = with_usage("usage", "--since", "2999-01-01")
    assert (later.status, later.out, later.err) == (0, "", "no usage in this time\n")


def test_usage_of_an_empty_store_is_an_empty_array(lash):
    assert lash("usage", "--format", "json").json == []
    assert next(csv.reader(io.StringIO(lash("usage", "--format", "csv").out)))[0] == "provider_id"


def test_usage_as_a_page_a_picture_and_a_file(with_usage, place):
    pytest.importorskip("matplotlib")

    page = with_usage("usage", "--format", "html")
    pictured = with_usage("usage", "--by", "day,model", "--chart", "usage.png", "--format", "json", "-o", "usage.json")

    assert page.out.startswith("<!doctype html>")
    assert "offline" in page.out
    assert (pictured.out, pictured.err) == ("", "wrote usage.png\n")
    assert (place / "usage.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((place / "usage.json").read_text())[0]["calls"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "colour"], "no report by 'colour'; known: day, model, source, session, plugin, tool"),
        (["--by", "tool,model"], "a report by tool cannot be divided by model"),
        (["--since", "yore"], "yore"),
        (["--format", "parquet"], "Parquet is written to files: name one with -o FILE"),
        (["--format", "yaml"], "Invalid value for '--format'"),
        (["--chart", "usage.txt"], ".png"),
    ],
)
def test_wrong_words_are_one_line_and_status_2(with_usage, arguments, message):
    outcome = with_usage("usage", *arguments)

    assert outcome.status == 2
    assert outcome.err.startswith("error [usage]: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_chart_without_its_extra_says_what_to_install(lash_fed):
    program = "import sys; sys.modules['matplotlib'] = None; from lash_host.__main__ import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", program, "usage", "--chart", "a.png"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert 'pip install "lash-host[charts]"' in done.stderr
