"""The session store over SQL. It obeys the rules of the domain and holds none of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lash_host.contracts.clock import Clock
from lash_host.contracts.store import HolderIsDead, SessionStore

__all__ = ["open_store"]


def open_store(
    url: str | Path,
    *,
    clock: Clock | None = None,
    holder_is_dead: HolderIsDead | None = None,
    create: bool = True,
    token_factory: Callable[[], str] | None = None,
) -> SessionStore:
    """Open a store. The database and its drivers are imported only now.

    Args:
        url: A path to a DuckDB file, ``duckdb:///path``, ``:memory:`` for a store that ends with its handle, or
            ``postgresql+psycopg://user@host/database`` for one that many processes and hosts share.
        clock: Where every stored time and every lease's expiry comes from. By default it is the machine's clock, and on
            PostgreSQL the database's: there a `SystemClock` is never asked, so that a host whose clock is wrong holds
            its leases as long as any other.
        holder_is_dead: Proves a lease holder dead; by default its process on this machine is looked for.
        create: Whether a store that is not there is made: a file with its folder, or the schema in a database.
        token_factory: Makes lease tokens; random by default.

    Returns:
        A handle. Handles of one process on one file share it; a file belongs to one process at a time. On PostgreSQL
        each handle has connections of its own.

    Raises:
        UsageFault: The URL is of a database that is not supported, or nothing is there and ``create`` is false.
        MissingExtra: The database's driver is not installed.
        StoreLocked: Another process has the file; names it.
        StoreUnreachable: The server does not answer, or refuses the user or the database.
        ForeignStore: The database is not a store; it was not touched.
        SchemaTooNew: A newer lash-host wrote it; it was not touched.
        StoreUnwritable: The place cannot be written.
    """
    from lash_host.store.sql_store import SqlSessionStore

    return SqlSessionStore(url, clock=clock, holder_is_dead=holder_is_dead, create=create, token_factory=token_factory)
