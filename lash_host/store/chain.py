"""The chain of a session's commits: a hash over each commit's rows, and a hash over all that came before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import Double

from lash_host.store.schema import hook_calls, model_calls, nodes, tool_calls, turns

__all__ = ["CONTENT_TABLES", "chain_hash", "commit_content", "encode_content"]

Row = tuple[Any, ...]

CONTENT_TABLES = (nodes, turns, model_calls, tool_calls, hook_calls)
"""The tables whose rows a commit's content is, in the order in which they are hashed."""

_NAMES = tuple(str(table.name) for table in CONTENT_TABLES)
_ORDER = {
    str(table.name): table.columns.keys().index(column)
    for table, column in ((nodes, "node_key"), (model_calls, "call_key"), (tool_calls, "call_key"))
}
_DOUBLES = {
    str(table.name): tuple(n for n, column in enumerate(table.columns) if isinstance(column.type, Double))
    for table in CONTENT_TABLES
}
_TOMBSTONED = nodes.columns.keys().index("tombstoned")
_HOOK_TURN = hook_calls.columns.keys().index("turn_id")
_KEEPS_OTHERS_OUT = 2_047
"""Bytes that are hashed without giving way to other threads: a writer hashes while many wait for it."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode_content(rows_by_table: Mapping[str, Sequence[Row]]) -> bytes:
    """Write a commit's rows as the one text that stands for them, wherever they were read.

    A JSON array of the `CONTENT_TABLES`, each an array of its rows in the order of their keys, each row an array of
    its values in the table's order of columns; in UTF-8, what that cannot hold as Python's `surrogatepass` writes it.
    A node's `tombstoned` is left out: it changes later. So are hook calls without a turn: nothing in their rows tells
    which commit they came with.

    Args:
        rows_by_table: Rows by the table's name; a table may be missing.
    """
    tables = [_canonical(table, rows_by_table.get(table, ())) for table in _NAMES]
    return b"[%b,%b" % (_encode_nodes(tables[0]), _encode_utf8(tables[1:])[1:])


def commit_content(rows_by_table: Mapping[str, Sequence[Row]]) -> str:
    """Hash a commit's rows: SHA-256, hex, over `encode_content`."""
    content, digest = memoryview(encode_content(rows_by_table)), hashlib.sha256()
    for start in range(0, len(content), _KEEPS_OTHERS_OUT):
        digest.update(content[start : start + _KEEPS_OTHERS_OUT])
    return digest.hexdigest()


def chain_hash(previous: str | None, *, session_id: str, head_revision: int, content_hash: str) -> str:
    """Hash a commit with everything before it: SHA-256, hex, over a JSON array of the four.

    Args:
        previous: The chain hash of the session's commit before it; None where none is recorded.
        session_id: The session.
        head_revision: The revision that the commit made.
        content_hash: What `commit_content` gave.
    """
    return hashlib.sha256(_encode_utf8([previous, session_id, head_revision, content_hash])).hexdigest()


def _canonical(table: str, rows: Sequence[Row]) -> Sequence[Row]:
    if not rows:
        return ()
    if table == nodes.name:
        rows = [row[:_TOMBSTONED] for row in rows]
    elif table == hook_calls.name:
        rows = [row for row in rows if row[_HOOK_TURN] is not None]
    if doubles := _DOUBLES[table]:
        rows = [_with_floats(row, doubles) for row in rows]
    order = _ORDER.get(table)
    if len(rows) > 1:
        return sorted(rows, key=_encode if order is None else lambda row: int(row[order]))
    return rows


def _with_floats(row: Row, doubles: tuple[int, ...]) -> Row:
    """Make the numbers of double columns floats: a column gives back 3.0 for the 3 that was put in."""
    if all(type(row[n]) is not int for n in doubles):
        return row
    return tuple(float(value) if n in doubles and value is not None else value for n, value in enumerate(row))


def _encode_nodes(rows: Sequence[Row]) -> bytes:
    """Write rows without floats, which every encoder writes alike; this one is fast where texts are long."""
    try:
        return to_json(rows)
    except PydanticSerializationError:
        return _encode_utf8(rows)


def _encode_utf8(value: Any) -> bytes:
    return _encode(value).encode("utf-8", "surrogatepass")
