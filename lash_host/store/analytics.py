"""Read-only SQL over the store, and the views it is for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from sqlalchemy import bindparam, literal_column, select, update

from lash_host.contracts.store import QueryResult, UsageView
from lash_host.domain.commit import content_ref
from lash_host.errors import MissingExtra, QueryFailed, StoreError, UsageFault
from lash_host.store.database import Database, Transaction
from lash_host.store.dialects import Driver, Rows
from lash_host.store.schema import meta

__all__ = ["DriverQueryResult", "install_views", "run_query"]

T = TypeVar("T")

_IS_VIEWS = meta.c.key == literal_column("'views'")
_INSTALLED = select(meta.c.value).where(_IS_VIEWS)
_SET_INSTALLED = update(meta).where(_IS_VIEWS).values(value=bindparam("views"))


def install_views(database: Database, views: Sequence[UsageView]) -> None:
    """Install the views; see `AnalyticsReader.install_views`.

    What is installed is remembered by name and content: nothing is done when it is these views already. Otherwise
    all are made anew, in the order given, and those that are not wanted any more are dropped.

    Raises:
        StoreError: The database refuses a view; names it. None is changed.
    """
    functions = database.dialect.view_functions()
    wanted = {view.name: content_ref(f"{functions}\n{view.sql}\n{view.description}".encode()) for view in views}
    with database.read() as transaction:
        if _installed(transaction) == wanted:
            return
    with database.write() as transaction:
        if _installed(transaction) == wanted:  # another process was first
            return
        transaction.script("CREATE SCHEMA IF NOT EXISTS usage")
        transaction.script(functions)
        for name in reversed(_installed(transaction)):
            transaction.script(f"DROP VIEW IF EXISTS usage.{_quoted(name)}")
        for view in views:
            _create(database, transaction, view)
        transaction.rows(_SET_INSTALLED, {"views": json.dumps(wanted)})
    database.checkpoint()


def _installed(transaction: Transaction) -> dict[str, str]:
    row = transaction.row(_INSTALLED)
    views: dict[str, str] = {} if row is None else json.loads(row[0])
    return views


def _create(database: Database, transaction: Transaction, view: UsageView) -> None:
    name, description = _quoted(view.name), view.description.replace("'", "''")
    try:
        body = view.sql.strip().rstrip(";")
        transaction.script(f"CREATE OR REPLACE VIEW usage.{name} AS {body}")
        transaction.script(f"COMMENT ON VIEW usage.{name} IS '{description}'")
    except database.dialect.errors as exc:
        raise StoreError(f"view usage.{view.name} was refused: {exc}") from exc


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def run_query(database: Database, sql: str, params: Sequence[Any] | Mapping[str, Any] | None) -> QueryResult:
    """Run one read-only statement; see `AnalyticsReader.query`.

    It has a connection and a read-only transaction of its own: it waits for no writer and no writer for it.
    """
    database.dialect.vet_query(sql)
    driver = database.open_reader()
    try:
        driver.begin(read_only=True)
        return DriverQueryResult(database, driver, driver.query(sql, params))
    except database.dialect.errors as exc:
        database.close_reader(driver)
        raise QueryFailed(str(exc)) from exc


class DriverQueryResult(QueryResult):
    """Rows that a connection holds. Reading them lets go of it, and so does `close`."""

    def __init__(self, database: Database, driver: Driver, rows: Rows) -> None:
        self._database, self._driver, self._rows = database, driver, rows
        self._columns = tuple(rows.columns)
        self._is_open = True

    @property
    def columns(self) -> Sequence[str]:
        """The column names."""
        return self._columns

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give all rows as tuples."""
        return self._read(self._rows.fetchall)

    def batches(self, *, rows: int = 10_000) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Give all rows as tuples, at most ``rows`` at a time."""
        if not self._is_open:
            raise _read_already()
        try:
            yield from self._driver.batches(self._rows, rows)
        except self._database.dialect.errors as exc:
            raise QueryFailed(str(exc)) from exc
        finally:
            self.close()

    def arrow(self) -> Any:
        """Give a `pyarrow.Table`."""
        if find_spec("pyarrow") is None:
            raise MissingExtra("QueryResult.arrow()", extra="arrow")
        return self._read(self._rows.to_arrow_table)

    def df(self) -> Any:
        """Give a `pandas.DataFrame`."""
        _require("pandas", what="QueryResult.df()")
        return self._read(self._rows.df)

    def pl(self) -> Any:
        """Give a `polars.DataFrame`."""
        _require("polars", what="QueryResult.pl()")
        return import_module("polars").from_arrow(self.arrow())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the rows by the Arrow PyCapsule interface. May be asked again until `close`.

        DuckDB needs no package for that, PostgreSQL pyarrow.
        """
        if not self._is_open:
            raise _read_already()
        try:
            return self._rows.__arrow_c_stream__(requested_schema)
        except self._database.dialect.errors as exc:
            raise QueryFailed(str(exc)) from exc

    def close(self) -> None:
        """Let go of the rows that were not read."""
        if self._is_open:
            self._is_open = False
            self._database.close_reader(self._driver)

    def _read(self, way: Callable[[], T]) -> T:
        if not self._is_open:
            raise _read_already()
        try:
            with self._driver.held():
                return way()
        except self._database.dialect.errors as exc:
            raise QueryFailed(str(exc)) from exc
        finally:
            self.close()


def _require(package: str, *, what: str) -> None:
    if find_spec(package) is None:
        raise UsageFault(f"{what} needs {package}: pip install {package}")


def _read_already() -> UsageFault:
    return UsageFault("the rows of this query were read or closed already; run it again")
