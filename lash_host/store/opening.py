"""Opening a store: its place, its owner, its schema."""

from __future__ import annotations

from sqlalchemy import func, select

from lash_host.errors import StoreUnwritable, UsageFault
from lash_host.store.database import Database
from lash_host.store.dialects import StoreUrl, dialect_of
from lash_host.store.heads import Heads
from lash_host.store.keys import KeySequence
from lash_host.store.known_ids import KnownIds
from lash_host.store.migrations import migrate
from lash_host.store.ownership import Ownership
from lash_host.store.schema import model_calls, nodes, sessions, tool_calls
from lash_host.store.sharing import SharedStore, share

__all__ = ["open_shared"]

_KEYS = (sessions.c.session_key, nodes.c.node_key, model_calls.c.call_key, tool_calls.c.call_key)


def open_shared(url: StoreUrl, *, create: bool, now_us: int) -> SharedStore:
    """Open a store and bring its schema up to date; one that this process has open already is shared.

    Raises:
        UsageFault: There is no file, and ``create`` is false.
        StoreLocked: Another process has it.
        ForeignStore: The file is not ours.
        SchemaTooNew: A newer program wrote it.
        StoreUnwritable: The place cannot be written.
    """
    return share(url.path, lambda: _open(url, create=create, now_us=now_us))


def _open(url: StoreUrl, *, create: bool, now_us: int) -> SharedStore:
    ownership = _own(url, create=create, now_us=now_us)
    try:
        database = Database(url, dialect_of(url), ownership=ownership)
    except BaseException:
        if ownership is not None:
            ownership.release()
        raise
    try:
        migrate(database, now_us=now_us)
        remembers = database.dialect.capabilities.single_owner
        return SharedStore(
            database=database,
            heads=Heads(remembers=remembers),
            ids=KnownIds(remembers=remembers),
            keys=KeySequence(_greatest_key(database)),
        )
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


def _greatest_key(database: Database) -> int:
    with database.read() as transaction:
        greatest = [transaction.row(select(func.max(column))) for column in _KEYS]
    return max((row[0] for row in greatest if row is not None and row[0] is not None), default=0)
