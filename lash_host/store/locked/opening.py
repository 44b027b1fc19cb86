"""Opening a store on a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_host.errors import UsageFault
from lash_host.store.dialects import StoreUrl, dialect_of
from lash_host.store.migrations import MIGRATIONS, migrate, stored_version
from lash_host.store.surroundings import Surroundings
from lash_host.store.work import Engine

if TYPE_CHECKING:
    from lash_host.store.pooled import PooledDatabase

__all__ = ["open_locked"]


def open_locked(url: StoreUrl, surroundings: Surroundings, *, create: bool) -> Engine:
    """Open a store and bring its schema up to date. Of many who open it at once, one does that.

    Raises:
        MissingExtra: The driver is not installed.
        UsageFault: The database holds no store, and ``create`` is false.
        StoreUnreachable: The server does not answer, or refuses the user.
        ForeignStore: Its schemas are of another program.
        SchemaTooNew: A newer program wrote it.
        StoreUnwritable: The user may not make schemas, or the server only reads.
    """
    dialect_of(url)  # names the extra where it is missing
    from lash_host.store.dialects.postgresql import PostgresDialect
    from lash_host.store.locked.engine import LockedEngine
    from lash_host.store.pooled import PooledDatabase

    database = PooledDatabase(url, PostgresDialect())
    try:
        _bring_up_to_date(database, create=create, now_us=surroundings.now_us())
    except BaseException:
        database.close()
        raise
    return LockedEngine(database, surroundings)


def _bring_up_to_date(database: PooledDatabase, *, create: bool, now_us: int) -> None:
    version = stored_version(database, known=len(MIGRATIONS))
    if version == 0 and not create:
        raise UsageFault(f"there is no store at {database.url.text}")
    if version < len(MIGRATIONS):
        with database.migrating():
            migrate(database, now_us=now_us)
