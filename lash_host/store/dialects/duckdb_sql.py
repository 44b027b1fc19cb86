"""SQL of views and SQL that comes from outside: what DuckDB needs for the one, and may run of the other."""

from __future__ import annotations

import re

import duckdb

from lash_host.errors import QueryFailed, QueryRefused

__all__ = ["VIEW_FUNCTIONS", "vet_query"]

VIEW_FUNCTIONS = """
CREATE SCHEMA IF NOT EXISTS lash_rows;
CREATE OR REPLACE MACRO lash_rows.utc(us) AS make_timestamp(us);
CREATE OR REPLACE MACRO lash_rows.message_text(payload) AS
    array_to_string(
        list_transform(
            list_filter(
                from_json(payload, '{"parts": [{"kind": "VARCHAR", "text": "VARCHAR"}]}').parts,
                lambda part: part.kind = 'text'
            ),
            lambda part: part.text
        ),
        ''
    );
CREATE OR REPLACE MACRO lash_rows.frame_count(frames) AS
    CAST(coalesce(json_array_length(frames), 0) AS BIGINT);
CREATE OR REPLACE MACRO lash_rows.compaction_count(frames) AS
    coalesce(
        len(list_filter(json_extract_string(frames, '$[*].reason'), lambda reason: reason = 'compaction')), 0
    );
"""
"""The functions that views call, in DuckDB's words: times from microseconds, and what is in stored JSON."""

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
    words = _words(sql.encode())
    kind = statements[0].type
    pivots = kind == duckdb.StatementType.MULTI and "pivot" in words
    if kind not in _READ_ONLY_TYPES and not pivots:
        raise QueryRefused(f"only read-only queries, got {str(kind).rpartition('.')[2]}")
    for name, following in zip(words, [*words[1:], ""], strict=True):
        if following == "(" and _REFUSED_FUNCTIONS.fullmatch(name):
            raise QueryRefused(f"function {name} is not for queries")


def _words(sql: bytes) -> list[str]:
    """Give the identifiers, keywords and operators of a statement, in lower case and without quotes.

    Comments and strings are left out.
    """
    words = []
    for start, kind in duckdb.tokenize(sql.decode()):
        found = _WORD.match(sql, start)
        if found is not None and kind not in {duckdb.token_type.comment, duckdb.token_type.string_const}:
            words.append(found[0].decode().strip('"').casefold())
    return words
