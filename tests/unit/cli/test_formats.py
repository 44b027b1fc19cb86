"""Rows as JSON and CSV."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from lash_host.cli.formats import cell_text, jsonable, unique_names, write_csv, write_json


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (170141183460469231731687303715884105727, 170141183460469231731687303715884105727),
        (1.5, 1.5),
        (float("nan"), None),
        (float("inf"), None),
        (Decimal("12.50"), 12.5),
        (Decimal("12.00"), 12),
        (Decimal("NaN"), None),
        (datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02T03:04:05.000006Z"),  # noqa: DTZ001
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:00:00.000000Z"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000000Z"),
        (date(2026, 1, 2), "2026-01-02"),
        (b"\x00\xff", "00ff"),
        ({"a": [Decimal(1)], 2: None}, {"a": [1], "2": None}),
        (timedelta(days=1), "1 day, 0:00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_value_as_json_has_it(value, expected):
    assert jsonable(value) == expected
    assert type(jsonable(value)) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ""), (False, "false"), (3, "3"), ("é", "é"), ([1, "é"], '[1, "é"]'), ({"a": None}, '{"a": null}')],
)
def test_a_value_as_text(value, expected):
    assert cell_text(value) == expected


def test_columns_of_one_name_are_told_apart():
    assert unique_names(["a", "b", "a", "a_2", "a"]) == ("a", "b", "a_2", "a_2_2", "a_3")


def test_json_is_an_array_of_objects_one_a_line():
    out = io.StringIO()

    write_json(out, ["a", "b"], [[(1, "é")], [], [(2, None)]])

    assert json.loads(out.getvalue()) == [{"a": 1, "b": "é"}, {"a": 2, "b": None}]
    assert out.getvalue().count("\n") == 4
    assert "é" in out.getvalue()


def test_json_of_no_rows_is_an_empty_array():
    out = io.StringIO()

    write_json(out, ["a"], [])

    assert json.loads(out.getvalue()) == []


def test_json_can_be_ascii():
    out = io.StringIO()

    write_json(out, ["a"], [[("é",)]], ascii_only=True)

    assert out.getvalue().isascii()
    assert json.loads(out.getvalue()) == [{"a": "é"}]


def test_csv_quotes_what_needs_it():
    out = io.StringIO()

    write_csv(out, ["a", "b"], [[("x,y", None), ('say "hi"\nthere', 2)]])

    assert out.getvalue() == 'a,b\n"x,y",\n"say ""hi""\nthere",2\n'
