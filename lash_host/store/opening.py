"""Opening a store: its place, its owner, its schema."""

from __future__ import annotations

from functools import partial

from lash_host.errors import StoreUnwritable, UsageFault
from lash_host.store.database import Database
from lash_host.store.dialects import StoreUrl, dialect_of
from lash_host.store.locked.opening import open_locked
from lash_host.store.logged.engine import LoggedEngine, SharedLog
from lash_host.store.migrations import migrate
from lash_host.store.ownership import Ownership
from lash_host.store.sharing import release, share
from lash_host.store.surroundings import Surroundings
from lash_host.store.work import Engine

__all__ = ["open_engine"]


def open_engine(url: StoreUrl, surroundings: Surroundings, *, create: bool) -> Engine:
    """Open a store and bring its schema up to date; a file that this process has open already is shared.

    Raises:
        UsageFault: There is no store, and ``create`` is false.
        StoreLocked: Another process has the file.
        StoreUnreachable: The server does not answer, or refuses the user.
        ForeignStore: The database is not ours.
        SchemaTooNew: A newer program wrote it.
        StoreUnwritable: The place cannot be written.
    """
    if url.address is not None:
        return open_locked(url, surroundings, create=create)
    log = share(url.path, lambda: _open(url, create=create, now_us=surroundings.now_us()))
    return LoggedEngine(log, surroundings, release=partial(release, log))


def _open(url: StoreUrl, *, create: bool, now_us: int) -> SharedLog:
    ownership = _own(url, create=create, now_us=now_us)
    try:
        database = Database(url, dialect_of(url), ownership=ownership)
    except BaseException:
        if ownership is not None:
            ownership.release()
        raise
    try:
        migrate(database, now_us=now_us)
        return SharedLog(database)
    except BaseException:
        database.close(untouched=True)
        raise


def _own(url: StoreUrl, *, create: bool, now_us: int) -> Ownership | None:
    if url.path is None:
        return None
    try:
        if not create and not url.path.exists():
            raise UsageFault(f"there is no store at {url.path}")
        url.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnwritable(url.text, problem=str(exc)) from exc
    return Ownership(url.path, now_us=now_us)
