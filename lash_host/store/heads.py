"""Session heads: the one row a session has, what of it is remembered, and how a change of it is written."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Update, bindparam, select, update

from lash_host.domain.commit import HeadRow
from lash_host.domain.lease import LeaseOwner, LeaseRow
from lash_host.store.database import Transaction
from lash_host.store.schema import sessions

__all__ = ["Head", "Heads"]

_COLUMNS = tuple(sessions.columns.keys())
_BY_ID = select(sessions).where(sessions.c.session_id == bindparam("session_id"))
_REMEMBERED = 1024
_RESERVED_TOKENS = 64
_LEASE = ("fencing_token", "lease_token", "lease_owner", "lease_claimed_at_ms", "lease_expires_at_ms")
_NOT_LEASED = {"lease_token": None, "lease_owner": None, "lease_claimed_at_ms": 0, "lease_expires_at_ms": 0}

Plugins = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Head:
    """A session's row, by column.

    Attributes:
        row: Every column of `lash_tables.sessions`.
        plugins: Ids and versions of the plugins recorded as in use; None when that was not looked up yet.
    """

    row: Mapping[str, Any]
    plugins: Plugins | None = None

    @classmethod
    def fresh(cls, session_id: str, *, session_key: int, now_us: int) -> Head:
        """Make the head of a session that has no row yet."""
        row = dict.fromkeys(_COLUMNS) | {
            "session_key": session_key,
            "session_id": session_id,
            "root_session_id": session_id,
            "created_at_us": now_us,
            "updated_at_us": now_us,
        }
        zeros = (
            "turns", "head_revision", "live_nodes", "frame_start_key", "fencing_token", "lease_claimed_at_ms",
            "lease_expires_at_ms",
        )  # fmt: skip
        return cls(row | dict.fromkeys(zeros, 0), plugins=frozenset())

    @property
    def session_key(self) -> int:
        """The session's 64-bit key."""
        key: int = self.row["session_key"]
        return key

    @property
    def lease(self) -> LeaseRow:
        """The lease, as the rules want it."""
        row = self.row
        if row["lease_token"] is None:
            return LeaseRow(fencing_token=row["fencing_token"])
        return LeaseRow(
            fencing_token=row["fencing_token"],
            owner=LeaseOwner.model_validate_json(row["lease_owner"]),
            lease_token=row["lease_token"],
            claimed_at_ms=row["lease_claimed_at_ms"],
            expires_at_ms=row["lease_expires_at_ms"],
        )

    @property
    def commit_head(self) -> HeadRow:
        """The head, as the rules want it."""
        return HeadRow(session_id=self.row["session_id"], head_revision=self.row["head_revision"], lease=self.lease)

    @property
    def frame_ids(self) -> frozenset[str]:
        """The frames the session has had."""
        return frozenset(frame["frame_id"] for frame in json.loads(self.row["frames"] or "[]"))

    @property
    def blob_refs(self) -> frozenset[str]:
        """The blobs its checkpoint names."""
        manifest = json.loads(self.row["checkpoint"] or "{}")
        return frozenset(value for name, value in manifest.items() if name.endswith("_ref") and value is not None)

    def changed(self, values: Mapping[str, Any], *, plugins: Plugins | None = None) -> Head:
        """Give the head with some columns changed."""
        return Head({**self.row, **values}, self.plugins if plugins is None else plugins)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A head as it stands, and as it was last written: the two differ in the lease alone."""

    stored: Head
    head: Head


class Heads:
    """Reads and writes heads inside write transactions.

    Where one process owns the database, what it wrote is what is there: heads it has touched are remembered, and a
    decision costs no query. What a transaction staged is remembered when it commits, and read again when it does not.

    There, too, only this process can hold a lease, and leases end with it: `hold` changes one in memory alone. Fencing
    tokens must grow over restarts all the same. So what is written as a head's token is some way beyond the one that
    was granted, and a process that reads it goes on above all that may have been granted since.
    """

    def __init__(self, *, remembers: bool) -> None:
        self._remembers = remembers
        self._known: OrderedDict[str, _Remembered] = OrderedDict()
        self._unsure: set[str] = set()
        self._updates: dict[tuple[str, ...], Update] = {}

    def get(self, transaction: Transaction, session_id: str) -> Head | None:
        """Give a session's head; None when it has no row."""
        known = self._known.get(session_id)
        if known is not None and session_id not in self._unsure:
            self._known.move_to_end(session_id)
            return known.head
        row = transaction.row(_BY_ID, {"session_id": session_id})
        if row is None:
            self._forget(session_id)
            return None
        stored = Head(dict(zip(_COLUMNS, row, strict=True)))
        held = {} if known is None else {name: known.head.row[name] for name in _LEASE}
        head = stored.changed(held)
        self._remember(session_id, _Remembered(stored=stored, head=head))
        return head

    def write(self, transaction: Transaction, old: Head | None, new: Head) -> None:
        """Write a head, as little of it as changed."""
        session_id = new.row["session_id"]
        stored = new
        if self._remembers:
            stored = new.changed(_NOT_LEASED | {"fencing_token": new.row["fencing_token"] + _RESERVED_TOKENS})
        if old is None:
            transaction.insert(sessions, [tuple(stored.row[name] for name in _COLUMNS)])
        else:
            known = self._known.get(session_id)
            before = old if known is None else known.stored
            columns = tuple(name for name in _COLUMNS if before.row[name] != stored.row[name])
            if columns:
                values = {name: stored.row[name] for name in columns} | {"its_session_id": session_id}
                transaction.rows(self._update(columns), values)
        self._unsure.add(session_id)
        transaction.after_commit(lambda: self._remember(session_id, _Remembered(stored=stored, head=new)))

    def hold(self, transaction: Transaction, old: Head | None, new: Head) -> None:
        """Change a head's lease: in memory where that is enough, else in the database."""
        session_id = new.row["session_id"]
        known = self._known.get(session_id)
        if known is None or new.row["fencing_token"] > known.stored.row["fencing_token"]:
            self.write(transaction, old, new)
        else:
            self._known[session_id] = _Remembered(stored=known.stored, head=new)

    def delete(self, transaction: Transaction, session_id: str) -> None:
        """Forget a session once the transaction that deletes it has committed."""
        self._unsure.add(session_id)
        transaction.after_commit(lambda: self._forget(session_id))

    def _update(self, columns: tuple[str, ...]) -> Update:
        if columns not in self._updates:
            self._updates[columns] = (
                update(sessions)
                .where(sessions.c.session_id == bindparam("its_session_id"))
                .values({name: bindparam(name) for name in columns})
            )
        return self._updates[columns]

    def _forget(self, session_id: str) -> None:
        self._known.pop(session_id, None)
        self._unsure.discard(session_id)

    def _remember(self, session_id: str, remembered: _Remembered) -> None:
        self._unsure.discard(session_id)
        if not self._remembers:
            return
        self._known[session_id] = remembered
        self._known.move_to_end(session_id)
        if len(self._known) > _REMEMBERED:
            unleased = (name for name, known in self._known.items() if known.head.row["lease_token"] is None)
            if (oldest := next(unleased, None)) is not None:
                del self._known[oldest]
