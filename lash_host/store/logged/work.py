"""One operation where the state is remembered: what it reads, and what it would write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import Table

from lash_host.domain.graph import GraphDelta
from lash_host.domain.lease import LeaseOwner
from lash_host.store.database import Transaction
from lash_host.store.head import Head
from lash_host.store.keys import KeySequence
from lash_host.store.logged.entries import Entry, StateChange
from lash_host.store.logged.memory import MOST_IDS, Memory, SessionIds, SessionMemory
from lash_host.store.logged.queries import ROWS, TABLES, Queries, missing_blobs
from lash_host.store.logged.sql import SESSIONS
from lash_host.store.schema import nodes, turns
from lash_host.store.state import Row, StateTable
from lash_host.store.surroundings import Surroundings
from lash_host.store.work import StoredTurn, Work

__all__ = ["Deferred", "LoggedWork"]

Key = tuple[Any, ...]


class Deferred(Exception):
    """The operation is about a session that another one of its batch has changed: it is for the next batch."""


class LoggedWork(Work):
    """Reads from memory, or from the database what is not there; collects changes for one row of the log."""

    def __init__(
        self,
        *,
        memory: Memory,
        transaction: Transaction,
        surroundings: Surroundings,
        session_keys: KeySequence,
        busy: AbstractSet[str],
        unfolded: AbstractSet[str],
    ) -> None:
        self._memory, self._transaction, self._surroundings = memory, transaction, surroundings
        self._session_keys, self._busy, self._unfolded = session_keys, busy, unfolded
        self._now_us = surroundings.now_us()
        self._sessions: dict[str, SessionMemory] = {}
        self._heads: dict[str, Head] = {}
        self._written: dict[str, Head] = {}
        self._changed: dict[str, dict[Key, Row | None]] = {}
        self._existed: set[tuple[str, Key]] = set()
        self._states: dict[str, StateTable] = {}
        self._added: dict[str, list[tuple[Any, ...]]] = {}
        self._session_key = 0
        self.blobs: dict[str, tuple[Any, ...]] = {}
        self.announces = False

    @property
    def now_us(self) -> int:
        """The time."""
        return self._now_us

    @property
    def touched(self) -> AbstractSet[str]:
        """The sessions that were looked at."""
        return self._sessions.keys()

    def new_token(self) -> str:
        """Make a token."""
        return self._surroundings.new_token()

    def owner_is_dead(self, owner: LeaseOwner) -> bool:
        """Whether an owner is provably dead."""
        return self._surroundings.owner_is_dead(owner)

    def head(self, session_id: str) -> Head | None:
        """Give a session's head."""
        if session_id in self._heads:
            return self._heads[session_id]
        return self._session(session_id).head

    def ensure_head(self, session_id: str) -> Head:
        """Give a session's head, new where there is none."""
        head = self.head(session_id)
        if head is None:
            key = self._session_keys.next(self._now_us)
            head = Head.fresh(session_id, session_key=key, now_us=self._now_us)
            self.put_head(head)
        return head

    def put_head(self, head: Head) -> None:
        """Write a head."""
        self._heads[head.session_id] = head
        self._written[head.session_id] = self._session(head.session_id).to_write(head)
        self._session_key = head.session_key

    def hold(self, head: Head) -> None:
        """Change a lease: in memory, unless the fencing tokens that are reserved on disk are used up."""
        session = self._session(head.session_id)
        if head.session_id in self._written or session.needs_writing(head):
            self.put_head(head)
        else:
            self._heads[head.session_id] = head

    def live(self, state: StateTable, head: Head) -> list[Row]:
        """Give a session's rows that are not settled."""
        changed = self._changed.get(state.table.name, {})
        known = self._loaded(state, head)
        rows = {**known, **{key: row for key, row in changed.items() if row is not None}}
        kept = (row for key, row in rows.items() if changed.get(key, row) is not None and not state.is_settled(row))
        return sorted(kept, key=lambda row: row[state.order])

    def find(self, state: StateTable, head: Head, column: str, value: str) -> Row | None:
        """Give a session's row by a column."""
        changed = self._changed.get(state.table.name, {})
        for row in changed.values():
            if row is not None and row[column] == value:
                return row
        session = self._session(head.session_id)
        loaded = session.rows.get(state.table.name)
        candidates = [row for row in (loaded or {}).values() if row[column] == value]
        if not candidates and session.written is not None and (loaded is None or state.settled is not None):
            candidates = self._queries(head.session_id).find(self._transaction, state, head.session_key, column, value)
        for row in candidates:
            key = state.key_of(row)
            if key not in changed:
                self._existed.add((state.table.name, key))
                return row
        return None

    def following(self, state: StateTable, head: Head, *, order_from: int) -> list[Row]:
        """Give a session's rows from a place on."""
        found = self._queries(head.session_id).following(self._transaction, state, head.session_key, order_from)
        rows: dict[Key, Row | None] = {state.key_of(row): row for row in found}
        self._existed.update((state.table.name, key) for key in rows)
        rows.update(self._changed.get(state.table.name, {}))
        kept = (row for row in rows.values() if row is not None and row[state.order] >= order_from)
        return sorted(kept, key=lambda row: row[state.order])

    def put(self, state: StateTable, row: Row) -> None:
        """Write a row."""
        self._change(state, row, becomes=row)

    def remove(self, state: StateTable, row: Row) -> None:
        """Remove a row."""
        self._change(state, row, becomes=None)

    def append(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows."""
        if rows:
            self._added.setdefault(str(table.name), []).extend(rows)
            self._session_key = rows[0][0]

    def stored_turn(self, head: Head, turn_id: str) -> StoredTurn | None:
        """Give a session's turn."""
        ids = self._ids(head)
        if not head.is_session or (ids is not None and turn_id not in ids.turns):
            return None
        return self._queries(head.session_id).stored_turn(self._transaction, head.session_key, turn_id)

    def known_nodes(self, head: Head, delta: GraphDelta) -> AbstractSet[str]:
        """Give the ids of live nodes."""
        ids = self._ids(head)
        return self._queries(head.session_id).known_nodes(self._transaction, head, delta) if ids is None else ids.nodes

    def missing_blobs(self, refs: AbstractSet[str]) -> AbstractSet[str]:
        """Give the blobs that are not stored."""
        return missing_blobs(self._transaction, refs - self.blobs.keys())

    def add_blobs(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Store blobs."""
        self.blobs.update((row[0], row) for row in rows)

    def announce_work(self) -> None:
        """Wake those who wait for work."""
        self.announces = True

    def entry(self) -> Entry | None:
        """Give what is to be written; None where that is nothing."""
        changes = [*self._changed_heads(), *self._changed_rows()]
        if not (changes or self._added):
            return None
        heads = {session_id: self.head(session_id) for session_id in self._sessions}
        session_id = next(name for name, head in heads.items() if head and head.session_key == self._session_key)
        return Entry(session_id=session_id, session_key=self._session_key, changes=changes, added=self._added)

    def apply(self) -> None:
        """Take what was written into memory: it has landed."""
        for session_id, head in self._heads.items():
            session = self._sessions[session_id]
            replaced = session.head is not None and (
                session.head.row["replaced_before_key"] != head.row["replaced_before_key"]
            )
            session.head = head
            session.written = self._written.get(session_id, session.written)
            if session_id in self._written and self._added:
                node_ids = (row[_NODE_ID] for row in self._added.get(nodes.name, ()))
                turn_ids = (row[_TURN_ID] for row in self._added.get(turns.name, ()))
                self._memory.took(session_id, session, replaced=replaced, node_ids=node_ids, turn_ids=turn_ids)
        for session_id, session in self._sessions.items():
            self._memory.keep(session_id, session)
            for name, changed in self._changed.items():
                self._apply_rows(session, self._states[name], changed)

    def _apply_rows(self, session: SessionMemory, state: StateTable, changed: dict[Key, Row | None]) -> None:
        known = session.rows.get(state.table.name)
        if known is None or session.head is None:
            return
        for key, row in changed.items():
            if row is None or state.is_settled(row):
                known.pop(key, None)
            elif row["session_key"] == session.head.session_key:
                known[key] = row

    def _queries(self, session_id: str) -> Queries:
        return ROWS if session_id in self._unfolded else TABLES

    def _session(self, session_id: str) -> SessionMemory:
        known = self._sessions.get(session_id)
        if known is None:
            if session_id in self._busy:
                raise Deferred
            known = self._memory.get(session_id)
            if known is None:
                written = self._queries(session_id).head(self._transaction, session_id)
                known = self._memory.remember(session_id, written, now_ms=self.now_ms)
            self._sessions[session_id] = known
        return known

    def _loaded(self, state: StateTable, head: Head) -> dict[Key, Row]:
        session = self._session(head.session_id)
        known = session.rows.get(state.table.name)
        if known is None:
            rows = (
                self._queries(head.session_id).live(self._transaction, state, head.session_key)
                if session.written is not None
                else []
            )
            known = session.rows[state.table.name] = {state.key_of(row): row for row in rows}
        return known

    def _ids(self, head: Head) -> SessionIds | None:
        session = self._session(head.session_id)
        if session.ids is None and head.row["live_nodes"] < MOST_IDS:
            if not head.is_session:
                self._memory.keep_ids(head.session_id, session, SessionIds(set(), set()))
            elif self._memory.commits_again(head.session_id):
                node_ids, turn_ids = self._queries(head.session_id).all_ids(self._transaction, head)
                self._memory.keep_ids(head.session_id, session, SessionIds(node_ids, turn_ids))
        return session.ids

    def _changed_heads(self) -> Iterator[StateChange]:
        for session_id, written in self._written.items():
            before = self._sessions[session_id].written
            yield StateChange(
                state=SESSIONS,
                session_key=written.session_key,
                key=(session_id,),
                row=dict(written.row),
                before=None if before is None else before.row,
            )

    def _changed_rows(self) -> Iterator[StateChange]:
        for name, changed in self._changed.items():
            state = self._states[name]
            for key, row in changed.items():
                before = row if self._is_written(state, key) else None
                yield StateChange(state=state, session_key=self._session_key, key=key, row=row, before=before)

    def _change(self, state: StateTable, row: Row, *, becomes: Row | None) -> None:
        self._states[state.table.name] = state
        self._changed.setdefault(state.table.name, {})[state.key_of(row)] = becomes
        self._session_key = row["session_key"]

    def _is_written(self, state: StateTable, key: Key) -> bool:
        name = state.table.name
        return (name, key) in self._existed or any(
            key in session.rows.get(name, ())
            for session in self._sessions.values()
            if session.head is not None and session.head.session_key == self._session_key
        )


_NODE_ID = list(nodes.columns.keys()).index("node_id")
_TURN_ID = list(turns.columns.keys()).index("turn_id")
