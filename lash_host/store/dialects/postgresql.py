"""PostgreSQL 15 and newer, through psycopg 3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool
from sqlalchemy import BigInteger, Boolean, Double, LargeBinary, Table, Text
from sqlalchemy.engine import Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from lash_host.errors import ForeignStore, StoreError, UsageFault
from lash_host.store.dialects import postgresql_errors
from lash_host.store.dialects.base import Catalog, Driver
from lash_host.store.dialects.postgresql_driver import (
    CONNECT_ARGUMENTS,
    STATEMENT_ERRORS,
    Connection,
    PostgresDriver,
    connect,
)
from lash_host.store.dialects.postgresql_sql import vet_query
from lash_host.store.dialects.url import StoreUrl
from lash_host.store.schema import ROWS_SCHEMA, SCHEMA, SESSION_NAMES, metadata, sessions

__all__ = ["PostgresDialect", "arrays"]

OLDEST = 15
_ROWS_PER_INSERT = 4096
_CONNECT_TIMEOUT_S = 10
_MOST_CONNECTIONS = 16
_ACQUIRE_TIMEOUT_S = 30.0
_RECONNECT_TIMEOUT_S = 30.0
_MAX_IDLE_S = 10 * 60.0
_MAX_LIFETIME_S = 30 * 60.0
_LIMITS = "-c lock_timeout=10s -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s"
_COLUMN_TYPES: dict[type, str] = {
    BigInteger: "bigint", Boolean: "boolean", Double: "double precision", LargeBinary: "bytea", Text: "text",
}  # fmt: skip
_STEPS = resources.files("lash_host.store.migrations") / "postgresql"

_CATALOG = """
SELECT
    to_regclass('lash_tables.meta') IS NOT NULL AND EXISTS (
        SELECT 1 FROM pg_attribute
        WHERE attrelid = to_regclass('lash_tables.meta') AND attname = 'value' AND NOT attisdropped
    ),
    EXISTS (SELECT 1 FROM pg_namespace WHERE nspname IN ('lash_tables', 'lash_rows', 'usage'))
"""
_FACTS = "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')"
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'lash_tables' AND c.relkind = 'r'
"""


class PostgresDialect:
    """A PostgreSQL database."""

    name = "postgresql"
    errors: tuple[type[Exception], ...] = (*STATEMENT_ERRORS, DBAPIError)
    leisure = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
    rows_per_insert = _ROWS_PER_INSERT

    def __init__(self) -> None:
        self._conninfo = ""

    def open_engine(self, url: StoreUrl) -> Engine:
        """Check that the server is there and new enough; give the engine that knows its SQL.

        Raises:
            StoreError: The server is too old, or the URL has a part that libpq does not know.
            ForeignStore: The database does not keep text as UTF-8.
        """
        conninfo = self._conninfo = self.conninfo(url)
        connection = connect(conninfo)
        try:
            version, encoding = connection.execute(_FACTS).fetchone() or (0, "")
        finally:
            connection.close()
        if version < OLDEST:
            raise StoreError(f"{url.text} is PostgreSQL {version}; lash-host needs {OLDEST} or newer")
        if encoding != "UTF8":
            raise ForeignStore(url.text, problem=f"its text is {encoding}, not UTF8")
        return create_engine(
            "postgresql+psycopg://", creator=lambda: connect(conninfo), paramstyle="numeric_dollar", poolclass=NullPool
        )

    def connect(self, engine: Engine) -> Driver:  # noqa: ARG002
        """Give a connection of its own, to the database whose engine was opened last."""
        return PostgresDriver(self.connect_raw(), own=True)

    def connect_raw(self) -> Connection:
        """Give a connection of its own, as psycopg has it."""
        return connect(self._conninfo)

    def open_pool(self) -> ConnectionPool[Connection]:
        """Open a pool of connections to the database whose engine was opened last. It begins empty."""
        return ConnectionPool(
            self._conninfo,
            kwargs=dict(CONNECT_ARGUMENTS),
            min_size=0,
            max_size=_MOST_CONNECTIONS,
            max_idle=_MAX_IDLE_S,
            max_lifetime=_MAX_LIFETIME_S,
            timeout=_ACQUIRE_TIMEOUT_S,
            reconnect_timeout=_RECONNECT_TIMEOUT_S,
            num_workers=2,
            open=True,
        )

    def conninfo(self, url: StoreUrl) -> str:
        """Give libpq's own form of the URL, with the limits of every connection. It holds the password.

        Raises:
            StoreError: The URL has a part that libpq does not know.
        """
        parsed = make_url(str(url.address))
        given = {name: value if isinstance(value, str) else ",".join(value) for name, value in parsed.query.items()}
        own = {
            "host": parsed.host,
            "port": parsed.port,
            "user": parsed.username,
            "password": parsed.password,
            "dbname": parsed.database,
        }
        options = " ".join(filter(None, (_LIMITS, given.pop("options", None))))
        fallback = {"connect_timeout": str(_CONNECT_TIMEOUT_S), "application_name": "lash-host"}
        kept = {name: value for name, value in own.items() if value not in {None, ""}}
        try:
            return make_conninfo("", **{**fallback, **given, **kept, "options": options})
        except psycopg.ProgrammingError as exc:
            raise StoreError(f"{url.text} is not a URL that PostgreSQL understands: {exc}") from None

    def process_wide(self) -> Sequence[object]:
        """Nothing: psycopg keeps no connection of its own."""
        return ()

    def catalog(self, driver: Driver) -> Catalog:
        """Look for our schemas. What else is in the database is nobody's business."""
        ((is_ours, is_taken),) = driver.rows(_CATALOG)
        if is_ours:
            return Catalog.OURS
        return Catalog.FOREIGN if is_taken else Catalog.EMPTY

    def checkpoint(self, driver: Driver) -> None:
        """Nothing: the server does that."""

    def checkpoint_is_due(self, url: StoreUrl) -> bool:  # noqa: ARG002 - the server decides that
        """Never: the server does that."""
        return False

    def checkpoint_has_room(self, url: StoreUrl) -> bool:  # noqa: ARG002 - the server decides that
        """It does no harm."""
        return True

    def commit_into_file(self, driver: Driver) -> None:
        """Commit."""
        driver.commit()

    def rows_views(self) -> Iterator[str]:
        """Show the tables as they are: nothing waits to be folded."""
        yield f"CREATE SCHEMA IF NOT EXISTS {ROWS_SCHEMA}"
        for table in metadata.sorted_tables:
            columns = ", ".join(table.columns.keys())
            yield f"CREATE OR REPLACE VIEW {ROWS_SCHEMA}.{table.name} AS SELECT {columns} FROM {SCHEMA}.{table.name}"
        names = f"SELECT session_key, session_id FROM {SCHEMA}.{sessions.name}"
        yield f"CREATE OR REPLACE VIEW {ROWS_SCHEMA}.{SESSION_NAMES} AS {names}"

    def reclaim_space(self, driver: Driver) -> None:
        """Let the server use the space of removed rows again."""
        for table in metadata.sorted_tables:
            driver.rows(f"VACUUM (ANALYZE) {SCHEMA}.{table.name}")

    def back_up(self, url: StoreUrl, target: Path) -> None:
        """Refuse: a server's own tools do that."""
        raise UsageFault(
            f"{url.text} is not a file to copy to {target}: use pg_dump, or lash store copy to a DuckDB file"
        )

    def finishing(self, number: int) -> str:
        """Give the SQL that a migration's step needs besides the one for every database: indexes and views."""
        step = next((file for file in _STEPS.iterdir() if file.name.startswith(f"{number:04}_")), None)
        return "" if step is None else step.read_text("utf-8")

    def view_functions(self) -> str:
        """Give the SQL that makes the functions which views are written with."""
        return (_STEPS / "functions.sql").read_text("utf-8")

    def inserts(
        self, table: Table, rows: Sequence[tuple[Any, ...]], *, ignore_existing: bool = False
    ) -> Iterator[tuple[str, Sequence[Any]]]:
        """Insert columns rather than rows: one array a column, so the SQL is the same for any number of rows."""
        columns = list(table.columns)
        doubles = {n for n, column in enumerate(columns) if isinstance(column.type, Double)}
        suffix = " ON CONFLICT DO NOTHING" if ignore_existing else ""
        head = f"INSERT INTO {table.schema}.{table.name} ({', '.join(column.name for column in columns)})"
        if len(rows) == 1:
            yield f"{head} VALUES ({', '.join(f'${n}' for n in range(1, len(columns) + 1))}){suffix}", rows[0]
            return
        sql = f"{head} SELECT * FROM unnest({arrays(table)}){suffix}"
        iterator = iter(rows)
        while chunk := list(islice(iterator, _ROWS_PER_INSERT)):
            yield (
                sql,
                [
                    [None if value is None else float(value) for value in values] if n in doubles else list(values)
                    for n, values in enumerate(zip(*chunk, strict=True))
                ],
            )

    def vet_query(self, sql: str) -> None:
        """Accept one reading statement without functions that act on the server."""
        vet_query(sql)

    def is_fatal(self, error: BaseException) -> bool:
        """Whether the connection must be given up."""
        return postgresql_errors.is_connection_lost(error)

    def translate(self, error: Exception, *, url: StoreUrl) -> StoreError:
        """Turn an error of psycopg into one of ours."""
        return postgresql_errors.translate(error, url=url)

    def size_bytes(self, url: StoreUrl) -> int | None:
        """Ask the server how much disk the tables take, with their indexes."""
        connection = connect(self.conninfo(url))
        try:
            row = connection.execute(_SIZE).fetchone()
        except psycopg.Error as exc:
            raise self.translate(exc, url=url) from exc
        finally:
            connection.close()
        return None if row is None else int(row[0])


def arrays(table: Table, names: Sequence[str] | None = None) -> str:
    """Write the parameters of an ``unnest`` that gives rows of some of a table's columns, all by default."""
    columns = [column for column in table.columns if names is None or column.name in names]
    return ", ".join(f"${n}::{_COLUMN_TYPES[type(column.type)]}[]" for n, column in enumerate(columns, start=1))
