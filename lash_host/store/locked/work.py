"""One operation on rows that are locked: what it reads is locked first, what it writes goes out with the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import Table

from lash_host.domain.commit import CommitResult, StoredStamp
from lash_host.domain.graph import GraphDelta
from lash_host.domain.lease import LeaseOwner
from lash_host.store.dialects import TransactionConflict
from lash_host.store.dialects.postgresql_driver import BEGIN, PostgresDriver
from lash_host.store.head import HEAD_COLUMNS, Head
from lash_host.store.keys import KeySequence
from lash_host.store.locked import statements
from lash_host.store.logged.queries import mentioned
from lash_host.store.schema import blobs
from lash_host.store.state import PLUGINS_SEEN, Row, StateTable
from lash_host.store.work import StoredTurn, Work

__all__ = ["LockedWork"]

_MOST_TRIES = 8
"""Tries to find a session key that no other host has taken."""

Key = tuple[Any, ...]
Inserts = Callable[..., Iterator[tuple[str, Sequence[Any]]]]


class LockedWork(Work):
    """One operation in one transaction, which begins when the first head is asked for."""

    def __init__(
        self,
        driver: PostgresDriver,
        *,
        inserts: Inserts,
        now_us: int | None,
        new_token: Callable[[], str],
        owner_is_dead: Callable[[LeaseOwner], bool],
    ) -> None:
        """Prepare an operation.

        Args:
            driver: A connection outside a transaction.
            inserts: The dialect's statements that insert rows.
            now_us: The time, where the database's clock is not to say it.
            new_token: Makes a token that nobody can guess.
            owner_is_dead: Whether an owner is provably dead.
        """
        self._driver, self._inserts = driver, inserts
        self._token, self._is_dead = new_token, owner_is_dead
        self._now_us = now_us
        self._has_begun = False
        self._heads: dict[str, Head | None] = {}
        self._written: dict[str, Head] = {}
        self._live: dict[tuple[str, int], list[Row]] = {}
        self._read: dict[tuple[str, Key], Row] = {}
        self._changed: dict[StateTable, dict[Key, Row | None]] = {}
        self._added: dict[Table, list[tuple[Any, ...]]] = {}
        self._blobs: dict[str, tuple[Any, ...]] = {}
        self._announces = False

    @property
    def now_us(self) -> int:
        """The time by the database's clock, unless another was given."""
        if self._now_us is None:
            self._begin_with([(statements.CLOCK, ())])
        return self._now_us or 0

    def new_token(self) -> str:
        """Make a token."""
        return self._token()

    def owner_is_dead(self, owner: LeaseOwner) -> bool:
        """Whether an owner is provably dead."""
        return self._is_dead(owner)

    def head(self, session_id: str) -> Head | None:
        """Lock a session's row and give it."""
        if session_id in self._written:
            return self._written[session_id]
        if session_id not in self._heads:
            asked: list[tuple[str, Sequence[Any]]] = [(statements.LOCK_HEAD, (session_id,))]
            if self._now_us is None:
                asked.append((statements.CLOCK, ()))
            (rows, *_) = self._begin_with(asked)
            self._heads[session_id] = _head(rows)
        return self._heads[session_id]

    def ensure_head(self, session_id: str) -> Head:
        """Lock a session's row and give it; make it where there is none."""
        for _ in range(_MOST_TRIES):
            head = self.head(session_id)
            if head is not None:
                return head
            ((number,),) = self._driver.rows(statements.NEXT_SESSION)
            session_key = KeySequence(0).next(self.now_us) + number
            fresh = Head.fresh(session_id, session_key=session_key, now_us=self.now_us)
            values = [fresh.row[name] for name in HEAD_COLUMNS]
            del self._heads[session_id]
            if self._driver.rows(statements.INSERT_HEAD, values):
                self._heads[session_id] = fresh
        head = self.head(session_id)
        if head is None:
            raise TransactionConflict(f"no key was free for session {session_id!r}")
        return head

    def put_head(self, head: Head) -> None:
        """Write a head."""
        self._written[head.session_id] = head

    def hold(self, head: Head) -> None:
        """Write a head of which the lease alone has changed."""
        self._written[head.session_id] = head

    def live(self, state: StateTable, head: Head) -> list[Row]:
        """Give a session's rows that are not settled."""
        known = self._live.get((state.table.name, head.session_key))
        if known is None:
            known = self._rows(state, statements.live_rows(state), (head.session_key,))
            self._live[state.table.name, head.session_key] = known
        return self._overlaid(state, head, known, wanted=lambda row: not state.is_settled(row))

    def find(self, state: StateTable, head: Head, column: str, value: str) -> Row | None:
        """Give a session's row by a column whose values are unique."""
        changed = self._changed.get(state, {})
        own = (row for row in changed.values() if row is not None and row["session_key"] == head.session_key)
        found = next((row for row in own if row[column] == value), None)
        if found is not None:
            return found
        rows = self._rows(state, statements.find_rows(state, column), (head.session_key, value))
        return next((row for row in rows if _full_key(state, row) not in changed), None)

    def following(self, state: StateTable, head: Head, *, order_from: int) -> list[Row]:
        """Give a session's rows from a place in their order on."""
        rows = self._rows(state, statements.following_rows(state), (head.session_key, order_from))
        return self._overlaid(state, head, rows, wanted=lambda row: bool(row[state.order] >= order_from))

    def put(self, state: StateTable, row: Row) -> None:
        """Write a row. What it does not repeat of a row that was read stays as it is."""
        key = _full_key(state, row)
        self._changed.setdefault(state, {})[key] = {**self._read.get((state.table.name, key), {}), **row}

    def remove(self, state: StateTable, row: Row) -> None:
        """Remove a row."""
        self._changed.setdefault(state, {})[_full_key(state, row)] = None

    def append(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows to a table whose rows never change."""
        if rows:
            self._added.setdefault(table, []).extend(rows)

    def stored_turn(self, head: Head, turn_id: str) -> StoredTurn | None:
        """Give a session's turn, if it was committed.

        Whoever asks is about to commit, so the session's plugins are read along.
        """
        (found, plugins) = self._begin_with(
            [
                (statements.STORED_TURN, (head.session_key, turn_id)),
                (statements.live_rows(PLUGINS_SEEN), (head.session_key,)),
            ]
        )
        self._live[PLUGINS_SEEN.table.name, head.session_key] = self._noted(PLUGINS_SEEN, plugins)
        if not found:
            return None
        commit_hash, result = found[0]
        if commit_hash is None:
            return StoredTurn(turn_id=turn_id, stamp=None)
        stamp = StoredStamp(commit_hash=commit_hash, result=CommitResult.model_validate_json(result))
        return StoredTurn(turn_id=turn_id, stamp=stamp)

    def known_nodes(self, head: Head, delta: GraphDelta) -> AbstractSet[str]:
        """Give the ids of live nodes that a delta mentions and that exist."""
        leaf = head.row["leaf_node_id"]
        known = {leaf} if leaf is not None else set()
        asked = [node_id for node_id in mentioned(delta) if node_id != leaf]
        if not asked or not head.is_session:
            return known
        params = (head.session_key, head.row["replaced_before_key"], asked)
        return known | {row[0] for row in self._driver.rows(statements.KNOWN_NODES, params)}

    def missing_blobs(self, refs: AbstractSet[str]) -> AbstractSet[str]:
        """Give those of some blobs that are not stored."""
        asked = refs - self._blobs.keys()
        if not asked:
            return set()
        return asked - {row[0] for row in self._driver.rows(statements.STORED_BLOBS, (sorted(asked),))}

    def add_blobs(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Store blobs."""
        self._blobs.update((row[0], row) for row in rows)

    def announce_work(self) -> None:
        """Wake those who wait for work."""
        self._announces = True

    def land(self) -> None:
        """Write all changes and commit, in one round trip."""
        if not self._has_begun:
            return
        self._driver.commit_with(self._changes())

    def _changes(self) -> Iterator[tuple[str, Sequence[Any]]]:
        """Give the statements that write what changed. Rows many sessions share come in order, against deadlocks."""
        for state, changed in self._changed.items():
            gone = [key for key, row in changed.items() if row is None and (state.table.name, key) in self._read]
            if gone:
                yield statements.delete_rows(state), _columns(gone)
            names = state.table.columns.keys()
            written = [[row[name] for name in names] for row in changed.values() if row is not None]
            if written:
                yield statements.upsert_rows(state), _columns(written)
        for table, rows in self._added.items():
            yield from self._inserts(table, rows)
        if self._blobs:
            yield from self._inserts(blobs, [self._blobs[ref] for ref in sorted(self._blobs)], ignore_existing=True)
        for session_id, head in self._written.items():
            before = self._heads.get(session_id)
            known = {} if before is None else before.row
            changed_columns = tuple(name for name in HEAD_COLUMNS if name not in known or known[name] != head.row[name])
            if changed_columns:
                values = [_storable(name, head.row[name]) for name in changed_columns]
                yield statements.update_head(changed_columns), [*values, head.session_key]
        if self._announces:
            yield statements.NOTIFY, ()

    def _begin_with(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[list[tuple[Any, ...]]]:
        """Run statements in one round trip, with the beginning of the transaction where it has not begun.

        The clock is read last: after locks were waited for.
        """
        beginning = [] if self._has_begun else [(BEGIN, ())]
        answers = self._driver.together([*beginning, *asked])[len(beginning) :]
        self._has_begun = True
        for (sql, _), rows in zip(asked, answers, strict=True):
            if sql == statements.CLOCK:
                self._now_us = rows[0][0]
        return answers

    def _rows(self, state: StateTable, sql: str, params: Sequence[Any]) -> list[Row]:
        return self._noted(state, self._driver.rows(sql, params))

    def _noted(self, state: StateTable, rows: Sequence[tuple[Any, ...]]) -> list[Row]:
        names = state.table.columns.keys()
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for row in found:
            self._read[state.table.name, _full_key(state, row)] = row
        return found

    def _overlaid(
        self, state: StateTable, head: Head, rows: Sequence[Row], *, wanted: Callable[[Row], bool]
    ) -> list[Row]:
        """Give rows as this operation has changed them, in order."""
        changed = self._changed.get(state)
        if not changed:
            return list(rows)
        by_key: dict[Key, Row | None] = {_full_key(state, row): row for row in rows}
        by_key.update((key, row) for key, row in changed.items() if key[0] == head.session_key)
        kept = [row for row in by_key.values() if row is not None and wanted(row)]
        return sorted(kept, key=lambda row: row[state.order])


def _head(rows: Sequence[tuple[Any, ...]]) -> Head | None:
    return Head(dict(zip(HEAD_COLUMNS, rows[0], strict=True))) if rows else None


def _storable(name: str, value: object) -> object:
    """Give a head's value as PostgreSQL can hold it: no NUL in a title, which is what somebody typed."""
    return value.replace("\0", "\ufffd") if name == "title" and isinstance(value, str) else value


def _full_key(state: StateTable, row: Row) -> Key:
    return (row["session_key"], *state.key_of(row))


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(values) for values in zip(*rows, strict=True)]
