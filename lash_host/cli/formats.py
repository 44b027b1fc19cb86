"""Rows as data: JSON and CSV, the same for every command."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any, Protocol

__all__ = ["TextSink", "cell_text", "jsonable", "unique_names", "write_csv", "write_json"]

Batches = Iterable[Sequence[Sequence[object]]]
_PLAIN = frozenset((int, str, bool, type(None)))
"""What JSON has as it is."""


class TextSink(Protocol):
    """Something text is written to."""

    def write(self, text: str, /) -> object:
        """Take text."""
        ...


def jsonable(value: object) -> Any:
    """Give a database's value as JSON has it.

    Times are ISO 8601 in UTC, decimals are numbers, bytes are hexadecimal, and what is no number is null.
    """
    if type(value) in _PLAIN:
        return value
    match value:
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
    if type(value) is int:
        return str(value)
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
    """Write an array of objects, one a line, batch by batch."""
    names = unique_names(columns)
    encode = json.JSONEncoder(ensure_ascii=ascii_only, allow_nan=False).encode
    before = "[\n "
    is_empty = True
    for batch in batches:
        items = [encode(dict(zip(names, map(jsonable, row), strict=True))) for row in batch]
        if items:
            out.write(before + ",\n ".join(items))
            before, is_empty = ",\n ", False
    out.write("[]\n" if is_empty else "\n]\n")


def write_csv(out: TextSink, columns: Sequence[str], batches: Batches) -> None:
    """Write a header and one line a row, batch by batch; null is an empty field."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    for batch in batches:
        writer.writerows([value if type(value) is str else cell_text(value) for value in row] for row in batch)
        out.write(lines.getvalue())
        lines.seek(0)
        lines.truncate()
    out.write(lines.getvalue())
