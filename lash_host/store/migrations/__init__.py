"""Numbered steps from an empty database to today's schema. A step that was released never changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import chain, count
from pathlib import Path

from sqlalchemy import bindparam, literal_column, select, update

from lash_host.errors import ForeignStore, SchemaTooNew
from lash_host.store.database import Database, Transaction
from lash_host.store.dialects import Catalog
from lash_host.store.points import reached
from lash_host.store.schema import meta

__all__ = ["MIGRATIONS", "Migration", "MigrationReport", "migrate", "stored_version"]

_log = logging.getLogger(__name__)
_VERSION = select(meta.c.value).where(meta.c.key == literal_column("'schema_version'"))
_SET_VERSION = update(meta).where(meta.c.key == literal_column("'schema_version'")).values(value=bindparam("version"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step. `number` is the schema version it leads to; steps are numbered from 1 without gaps."""

    number: int
    name: str
    apply: Callable[[Transaction], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """What bringing a database up to date did.

    Attributes:
        from_version: The schema version it had; 0 for an empty one.
        to_version: The one it has now.
        backup: Where the database was copied to before; None where it was empty, up to date, or lies on a server.
    """

    from_version: int
    to_version: int
    backup: Path | None = None

    def __str__(self) -> str:
        """Say it in a sentence."""
        kept = "" if self.backup is None else f"; what it was before is in {self.backup}"
        return f"the store's schema went from version {self.from_version} to {self.to_version}{kept}"


def _sql(number: int, name: str) -> Migration:
    """Make the step that runs ``NNNN_name.sql`` of this folder."""
    file = resources.files(__name__).joinpath(f"{number:04}_{name}.sql")
    return Migration(number=number, name=name, apply=lambda transaction: transaction.script(file.read_text("utf-8")))


MIGRATIONS: tuple[Migration, ...] = (_sql(1, "tables"), _sql(2, "whole_contract"), _sql(3, "ledger"))


def stored_version(database: Database, *, known: int) -> int:
    """Tell the database's schema version; 0 for an empty one.

    Raises:
        ForeignStore: It holds something else.
        SchemaTooNew: It is beyond ``known``.
    """
    url = database.url.text
    with database.read() as transaction:
        match transaction.catalog():
            case Catalog.EMPTY:
                return 0
            case Catalog.FOREIGN:
                raise ForeignStore(url, problem="the database belongs to another program")
            case Catalog.OURS:
                row = transaction.row(_VERSION)
    if row is None or not str(row[0]).isdecimal():
        raise ForeignStore(url, problem="lash_tables.meta holds no schema version")
    found = int(row[0])
    if found > known:
        raise SchemaTooNew(url, found=found, known=known)
    return found


def migrate(database: Database, *, now_us: int, migrations: Sequence[Migration] = MIGRATIONS) -> MigrationReport:
    """Bring a database up to date, each step in a transaction of its own.

    A database file that holds anything is copied to ``<file>.v<version>-backup`` before.

    Raises:
        ForeignStore: The database is not ours.
        SchemaTooNew: It was written by a newer program. In both cases it was not touched.
        StoreUnwritable: There is no place for the copy; it was not touched.
    """
    version = stored_version(database, known=len(migrations))
    pending = migrations[version:]
    backup = _back_up(database, version) if pending and version else None
    for step in pending:
        with database.write() as transaction:
            step.apply(transaction)
            if further := database.dialect.finishing(step.number):
                transaction.script(further)
            if step.number == 1:
                facts = [("schema_version", "1"), ("created_at_us", str(now_us)), ("views", "{}")]
                transaction.insert(meta, facts)
            else:
                transaction.rows(_SET_VERSION, {"version": str(step.number)})
            if step is MIGRATIONS[-1]:
                for statement in database.dialect.rows_views():
                    transaction.script(statement)
            reached("in_migration")
    if pending:
        database.checkpoint()
    report = MigrationReport(from_version=version, to_version=len(migrations), backup=backup)
    if pending and version:
        _log.info("%s", report)
    return report


def _back_up(database: Database, version: int) -> Path | None:
    path = database.url.path
    if path is None:
        return None
    first = Path(f"{path}.v{version}-backup")
    others = (Path(f"{first}-{number}") for number in count(2))
    target = next(candidate for candidate in chain((first,), others) if not candidate.exists())
    with database.let_go():
        database.dialect.back_up(database.url, target)
    return target
