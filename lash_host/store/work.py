"""One operation on a store: the small state it decides on, and the changes that it makes.

Operations are written once, against `Work`. How the state is found and how changes become durable is the engine's
business: where one process owns the database, state is remembered and changes go into a log; elsewhere state is read
from locked rows and changes go to the tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Table, bindparam, select

from lash_host.domain.commit import StoredStamp
from lash_host.domain.graph import GraphDelta
from lash_host.domain.lease import LeaseOwner
from lash_host.store.attachment_bytes import AttachmentBytes
from lash_host.store.database import Database, Transaction
from lash_host.store.head import HEAD_COLUMNS, Head
from lash_host.store.schema import rows_of, sessions
from lash_host.store.state import (
    ATTACHMENTS,
    PLUGINS_SEEN,
    QUEUED_WORK,
    RECEIPTS,
    STATE_TABLES,
    TURN_INPUTS,
    Row,
    StateTable,
)

__all__ = [
    "ATTACHMENTS",
    "PLUGINS_SEEN",
    "QUEUED_WORK",
    "RECEIPTS",
    "STATE_TABLES",
    "TURN_INPUTS",
    "Engine",
    "Row",
    "StateTable",
    "StoredTurn",
    "Work",
]

T = TypeVar("T")

_HEAD = select(rows_of(sessions)).where(rows_of(sessions).c.session_id == bindparam("session_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTurn:
    """A turn that was committed before, with its stamp where it has one."""

    turn_id: str
    stamp: StoredStamp | None


class Work(ABC):
    """What one operation reads and changes. All of its changes land, durably, or none does.

    Reading a session's head keeps every other writer away from the whole session until the operation ends.
    """

    @property
    @abstractmethod
    def now_us(self) -> int:
        """The time, the same during the whole operation: UTC microseconds by the store's clock."""

    @property
    def now_ms(self) -> int:
        """`now_us` in milliseconds."""
        return self.now_us // 1000

    @abstractmethod
    def new_token(self) -> str:
        """Make a token that nobody can guess."""

    @abstractmethod
    def owner_is_dead(self, owner: LeaseOwner) -> bool:
        """Whether an owner is provably dead."""

    @abstractmethod
    def head(self, session_id: str) -> Head | None:
        """Give a session's head; None when it has no row."""

    @abstractmethod
    def ensure_head(self, session_id: str) -> Head:
        """Give a session's head. A session without a row gets one with this operation."""

    @abstractmethod
    def put_head(self, head: Head) -> None:
        """Write a head."""

    @abstractmethod
    def hold(self, head: Head) -> None:
        """Write a head of which the lease alone has changed."""

    @abstractmethod
    def live(self, state: StateTable, head: Head) -> list[Row]:
        """Give a session's rows that are not settled, in order. To change one, `put` another."""

    @abstractmethod
    def find(self, state: StateTable, head: Head, column: str, value: str) -> Row | None:
        """Give a session's row by a column whose values are unique in the session; settled ones too."""

    @abstractmethod
    def following(self, state: StateTable, head: Head, *, order_from: int) -> list[Row]:
        """Give a session's rows from a place in their order on; settled ones too."""

    @abstractmethod
    def put(self, state: StateTable, row: Row) -> None:
        """Write a row, new or changed."""

    @abstractmethod
    def remove(self, state: StateTable, row: Row) -> None:
        """Remove a row."""

    @abstractmethod
    def append(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows to a table whose rows never change, in its order of columns: nodes, turns, commits, calls."""

    @abstractmethod
    def stored_turn(self, head: Head, turn_id: str) -> StoredTurn | None:
        """Give a session's turn, if it was committed."""

    @abstractmethod
    def known_nodes(self, head: Head, delta: GraphDelta) -> AbstractSet[str]:
        """Give the ids of live nodes: at least those that ``delta`` mentions and that exist."""

    @abstractmethod
    def missing_blobs(self, refs: AbstractSet[str]) -> AbstractSet[str]:
        """Give those of some blobs that are not stored."""

    @abstractmethod
    def add_blobs(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Store blobs; those that are stored stay as they are."""

    @abstractmethod
    def announce_work(self) -> None:
        """Wake those who wait for work, once the operation has landed."""


class Engine(ABC):
    """How a store reads and writes."""

    @property
    @abstractmethod
    def database(self) -> Database:
        """The database, for reads of its own and for views."""

    @property
    @abstractmethod
    def attachment_bytes(self) -> AttachmentBytes:
        """Where the bytes of attachments are."""

    @abstractmethod
    def run(self, operation: Callable[[Work], T]) -> T:
        """Run an operation; when this returns, what it changed is durable.

        An operation that raises changes nothing. It may be run again after a conflict, and it runs on whatever thread
        is writing: it does nothing but decide.
        """

    def peek(self, session_id: str) -> Head | None:
        """Give a session's head as it was committed last, keeping nobody away."""
        with self.read() as transaction:
            row = transaction.row(_HEAD, {"session_id": session_id})
        return None if row is None else Head(dict(zip(HEAD_COLUMNS, row, strict=True)))

    @abstractmethod
    def read(self) -> AbstractContextManager[Transaction]:
        """Read on one snapshot: through ``lash_rows`` all that was committed; through the tables what is folded."""

    @abstractmethod
    def fold(self, session_id: str | None = None) -> bool:
        """See to it that the tables hold all that was committed before the call, of one session or of all.

        Returns:
            Whether they do. Where nothing can be written, what is not folded is still to be read through ``lash_rows``,
            which costs more.
        """

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[Transaction]:
        """Change the tables directly, all of them folded, while no operation runs. For upkeep."""

    @abstractmethod
    def wait_for_work(self, *, timeout_ms: int) -> bool:
        """Wait for `Work.announce_work`, here or in another process; False when the time is up."""

    @abstractmethod
    def close(self) -> None:
        """Fold what is left and let go of the database."""
