"""The seam between the store and a database: which dialects there are, and what each must provide."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from lash_host.errors import MissingExtra
from lash_host.store.dialects.base import (
    Catalog,
    ConstraintViolated,
    Dialect,
    Driver,
    Rows,
    TransactionConflict,
)
from lash_host.store.dialects.url import StoreUrl, parse_store_url

__all__ = [
    "Catalog",
    "ConstraintViolated",
    "Dialect",
    "Driver",
    "Rows",
    "StoreUrl",
    "TransactionConflict",
    "dialect_of",
    "parse_store_url",
]


def dialect_of(url: StoreUrl) -> Dialect:
    """Give the dialect a parsed URL names. Its driver is imported only now."""
    return _DIALECTS[url.dialect]()


def _duckdb() -> Dialect:
    from lash_host.store.dialects.duckdb import DuckDBDialect

    return DuckDBDialect()


def _postgresql() -> Dialect:
    if find_spec("psycopg") is None or find_spec("psycopg_pool") is None:
        raise MissingExtra("a PostgreSQL store", extra="postgresql")
    from lash_host.store.dialects.postgresql import PostgresDialect

    return PostgresDialect()


_DIALECTS: dict[str, Callable[[], Dialect]] = {"duckdb": _duckdb, "postgresql": _postgresql}
