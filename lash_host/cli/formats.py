"""Rows as data: JSON and CSV, the same for every command."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any, Protocol

__all__ = ["TextSink", "cell_text", "jsonable", "unique_names", "write_csv", "write_json"]

Batches = Iterable[Sequence[Sequence[object]]]


class TextSink(Protocol):
    """Something text is written to."""

    def write(self, text: str, /) -> object:
        """Take text."""
        ...


def jsonable(value: object) -> Any:
    """Give a database's value as JSON has it.

    Times are ISO 8601 in UTC, decimals are numbers, bytes are hexadecimal, and what is no number is null.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else None
        case Decimal():
            if not value.is_finite():
                return None
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
            return f"{moment.isoformat(timespec='microseconds')}Z"
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case Mapping():
            return {str(jsonable(key)): jsonable(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [jsonable(item) for item in value]
        case _:
            return str(value)


def cell_text(value: object) -> str:
    """Give a value as text: nothing for null, JSON for what has parts, the plain value otherwise."""
    plain = jsonable(value)
    match plain:
        case None:
            return ""
        case str():
            return plain
        case bool() | list() | dict():
            return json.dumps(plain, ensure_ascii=False)
        case _:
            return str(plain)


def unique_names(columns: Iterable[str]) -> tuple[str, ...]:
    """Tell columns of one name apart by numbers, so that no value of a JSON object hides another's."""
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return tuple(names)


def write_json(out: TextSink, columns: Sequence[str], batches: Batches, *, ascii_only: bool = False) -> None:
    """Write an array of objects, one a line, as the rows come."""
    names = unique_names(columns)
    before = "[\n "
    is_empty = True
    for row in _rows(batches):
        item = dict(zip(names, map(jsonable, row), strict=True))
        out.write(before + json.dumps(item, ensure_ascii=ascii_only, allow_nan=False))
        before, is_empty = ",\n ", False
    out.write("[]\n" if is_empty else "\n]\n")


def write_csv(out: TextSink, columns: Sequence[str], batches: Batches) -> None:
    """Write a header and one line a row; null is an empty field."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for batch in batches:
        writer.writerows([cell_text(value) for value in row] for row in batch)


def _rows(batches: Batches) -> Iterator[Sequence[object]]:
    for batch in batches:
        yield from batch
