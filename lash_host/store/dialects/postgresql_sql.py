"""SQL that comes from outside: what PostgreSQL may run of it, and how its parameters are written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lash_host.errors import QueryFailed, QueryRefused

__all__ = ["bind", "is_explain", "vet_query"]

_TOKEN = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\* )
  | (?P<string> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' )
  | (?P<dollar> (?<![\w$])\$(?P<tag>[A-Za-z_\x80-\U0010ffff][\w]*)?\$ )
  | (?P<unicode> [uU]&(?=["']) )
  | (?P<name> "(?:[^"]|"")*" )
  | (?P<number> \$\d+ )
  | (?P<named> \$[A-Za-z_]\w* )
  | (?P<word> [A-Za-z_\x80-\U0010ffff][\w$]* )
  | (?P<space> \s+ )
  | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_NESTED = re.compile(r"/\*|\*/")
_COMMANDS = frozenset({
    "abort", "alter", "analyze", "begin", "call", "checkpoint", "close", "cluster", "comment", "commit", "copy",
    "create", "deallocate", "declare", "delete", "discard", "do", "drop", "end", "execute", "fetch", "grant",
    "import", "insert", "listen", "load", "lock", "merge", "move", "notify", "prepare", "reassign", "refresh",
    "reindex", "release", "reset", "revoke", "rollback", "savepoint", "security", "set", "show", "start", "truncate",
    "unlisten", "update", "vacuum",
})  # fmt: skip
"""What begins a statement that does something. Whatever else is no query, the server says so itself."""

_HARMLESS = (
    r"pg_(typeof|column_size|size_pretty|size_bytes|database_size|table_size|total_relation_size|relation_size"
    r"|indexes_size|get_\w+def|get_userbyid|get_expr|encoding_to_char|client_encoding|backend_pid|is_in_recovery"
    r"|postmaster_start_time|table_is_visible|sleep)"
)
_REFUSED_FUNCTIONS = re.compile(
    rf"(?!({_HARMLESS})$)(pg_\w+|lo_\w+|lo(read|write)|dblink\w*|set_config|setval|nextval|setseed|\w*_to_xml\w*"
    r"|ts_stat|ts_rewrite|xpath_table|crosstab\w*|connectby|postgres_fdw_\w+|binary_upgrade_\w+|brin_\w+|gin_\w+)"
)


def vet_query(sql: str) -> None:
    """Accept a single reading statement without functions that act on the server or run SQL of their own.

    This gives the clear message; what makes writing impossible is the read-only transaction it then runs in.

    Raises:
        QueryRefused: It is not exactly one statement, or not a read-only one.
        QueryFailed: It is not SQL.
    """
    statements = _statements(sql)
    if len(statements) != 1:
        raise QueryRefused(f"one statement at a time, got {len(statements)}")
    words = statements[0]
    if words[0] in _COMMANDS:
        raise QueryRefused(f"only read-only queries, got {words[0].upper()}")
    for name, following in zip(words, [*words[1:], ""], strict=True):
        if name == "u&":  # escapes would hide what is called
            raise QueryRefused("names and strings in U& notation are not for queries")
        if following == "(" and _REFUSED_FUNCTIONS.fullmatch(name):
            raise QueryRefused(f"function {name} is not for queries")


def is_explain(sql: str) -> bool:
    """Whether a statement that was vetted explains another."""
    return _statements(sql)[0][0] == "explain"


def bind(sql: str, params: Sequence[Any] | Mapping[str, Any] | None) -> tuple[str, Sequence[Any] | None]:
    """Write parameters as PostgreSQL wants them: ``$name`` and ``?`` become ``$1``, ``$2``; a closing ``;`` goes.

    A ``?`` is left alone where the query has numbered parameters or none at all: it is an operator of jsonb, too.

    Raises:
        QueryFailed: A named parameter has no value.
    """
    tokens = list(_tokens(sql))
    while tokens and (tokens[-1][0] in {"space", "comment"} or tokens[-1][1] == ";"):
        tokens.pop()
    if params is None:
        return "".join(text for _, text in tokens), None
    if isinstance(params, Mapping):
        return _bind_names(tokens, params)
    if not any(kind == "number" for kind, _ in tokens):
        numbers = iter(range(1, len(tokens) + 1))
        tokens = [(kind, f"${next(numbers)}" if (kind, text) == ("other", "?") else text) for kind, text in tokens]
    return "".join(text for _, text in tokens), list(params)


def _bind_names(tokens: list[tuple[str, str]], params: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
    order: dict[str, int] = {}
    written: list[str] = []
    for kind, text in tokens:
        if kind not in {"named", "number"}:
            written.append(text)
            continue
        name = text[1:]
        if name not in params:
            raise QueryFailed(f"parameter {text} has no value")
        written.append(f"${order.setdefault(name, len(order) + 1)}")
    return "".join(written), [params[name] for name in order]


def _statements(sql: str) -> list[list[str]]:
    """Give the words of each statement that is not empty: names and keywords in lower case, signs as they are."""
    statements: list[list[str]] = [[]]
    for kind, text in _tokens(sql):
        if kind in {"comment", "space", "string", "dollar"}:
            if kind in {"string", "dollar"}:
                statements[-1].append("''")
        elif text == ";":
            statements.append([])
        else:
            statements[-1].append(text if kind in {"other", "number", "named"} else text.strip('"').casefold())
    return [words for words in statements if words]


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        if found is None:
            raise QueryFailed(f"cannot be read from {sql[at : at + 20]!r} on")
        kind, end = str(found.lastgroup), found.end()
        if found["comment"] == "/*":
            kind, end = "comment", _end_of_comment(sql, end)
        elif found["dollar"] is not None:
            kind, closing = "dollar", sql.find(found["dollar"], end)
            if closing < 0:
                raise QueryFailed("a string that begins with a dollar sign does not end")
            end = closing + len(found["dollar"])
        yield kind, sql[at:end]
        at = end


def _end_of_comment(sql: str, at: int) -> int:
    depth = 1
    while depth:
        found = _NESTED.search(sql, at)
        if found is None:
            raise QueryFailed("a comment does not end")
        depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return at
