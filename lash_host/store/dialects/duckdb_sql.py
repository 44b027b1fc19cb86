"""SQL that comes from outside: what DuckDB may run of it, and how it names our tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

import duckdb

from lash_host.errors import QueryFailed, QueryRefused
from lash_host.store.schema import SCHEMA

__all__ = ["localize", "vet_query"]

_READ_ONLY_TYPES = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_REFUSED_FUNCTIONS = re.compile(
    r"(force_)?checkpoint|query|json_execute_serialized_sql|write_log|truncate_duckdb_logs|setseed|nextval"
    r"|(enable|disable)_\w+|\w+_external_resource(_type)?|python_\w+"
)
_WORD = re.compile(rb'"(?:[^"]|"")*"|[\w$\x80-\xff]+|\S')


def vet_query(sql: str) -> None:
    """Accept a single SELECT, EXPLAIN or PIVOT without functions that act on the database.

    This gives the clear message; what makes writing impossible is the read-only transaction it then runs in.

    Raises:
        QueryRefused: It is not exactly one statement, or not a read-only one.
        QueryFailed: It is not SQL.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as exc:
        raise QueryFailed(str(exc)) from exc
    if len(statements) != 1:
        raise QueryRefused(f"one statement at a time, got {len(statements)}")
    words = [token.text for token in _tokens(sql.encode())]
    kind = statements[0].type
    pivots = kind == duckdb.StatementType.MULTI and "pivot" in words
    if kind not in _READ_ONLY_TYPES and not pivots:
        raise QueryRefused(f"only read-only queries, got {str(kind).rpartition('.')[2]}")
    for name, following in zip(words, [*words[1:], ""], strict=True):
        if following == "(" and _REFUSED_FUNCTIONS.fullmatch(name):
            raise QueryRefused(f"function {name} is not for queries")


def localize(sql: str) -> str:
    """Put the schema's own name where a table is called ``lash.x``."""
    raw = sql.encode()
    tokens = _tokens(raw)
    words = [token.text for token in tokens] + [""] * 4
    for n in reversed(range(len(tokens))):
        names_catalog = words[n + 2 : n + 4] == ["lash", "."]
        if words[n : n + 2] == ["lash", "."] and not names_catalog:
            raw = raw[: tokens[n].start] + SCHEMA.encode() + raw[tokens[n].end :]
    return raw.decode()


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of SQL as it is compared: in lower case, without quotes."""

    text: str
    start: int
    end: int


def _tokens(sql: bytes) -> list[_Token]:
    """Give the identifiers, keywords and operators of a statement; comments and strings are left out."""
    tokens = []
    for start, kind in duckdb.tokenize(sql.decode()):
        found = _WORD.match(sql, start)
        if found is not None and kind not in {duckdb.token_type.comment, duckdb.token_type.string_const}:
            tokens.append(_Token(found[0].decode().strip('"').casefold(), start, found.end()))
    return tokens
