"""What the owner of a database remembers of the sessions it has touched, so that a decision costs no query."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice
from typing import Any

from lash_host.store.head import Head
from lash_host.store.state import Row

__all__ = ["MOST_IDS", "Memory", "SessionIds", "SessionMemory"]

MOST_IDS = 200_000
"""Ids remembered in all, some 25 MB. A session that has more is looked up in the database every time."""

_MOST_SESSIONS = 1024
_MOST_COMMITTED_ONCE = 10_000
_RESERVED_TOKENS = 64
_LEASE = ("fencing_token", "lease_token", "lease_owner", "lease_claimed_at_ms", "lease_expires_at_ms")
_NO_LEASE = {"lease_token": None, "lease_owner": None, "lease_claimed_at_ms": 0, "lease_expires_at_ms": 0}


class SessionIds:
    """The ids of a session's live nodes and of its turns."""

    __slots__ = ("nodes", "turns")

    def __init__(self, nodes: set[str], turns: set[str]) -> None:
        self.nodes, self.turns = nodes, turns

    def __len__(self) -> int:
        """How many ids these are."""
        return len(self.nodes) + len(self.turns)


class SessionMemory:
    """What is remembered of one session: what the database holds of it, and its lease, which only memory holds.

    Attributes:
        head: Its head with the lease; None when it has no row.
        written: Its head as it was last written. Its fencing token is some way beyond the one that was granted: leases
            end with this process, and whoever reads the token later goes on above all that may have been granted.
        rows: Its rows that are not settled, by state table and key; a table is there once it was loaded.
        ids: All its ids; None when they were not loaded.
        counted: How many ids of it count among those that are remembered in all.
    """

    __slots__ = ("counted", "head", "ids", "rows", "written")

    def __init__(self, written: Head | None) -> None:
        self.head = self.written = written
        self.rows: dict[str, dict[tuple[Any, ...], Row]] = {}
        self.ids: SessionIds | None = None
        self.counted = 0

    def is_leased(self, now_ms: int) -> bool:
        """Whether somebody holds the session's lease."""
        if self.head is None or self.head.row["lease_token"] is None:
            return False
        return self.head.lease.is_live(now_ms)

    def to_write(self, head: Head) -> Head:
        """Give a head as it is to be written: without the lease, its fencing token beyond all granted ones."""
        token = head.row["fencing_token"]
        written = 0 if self.written is None else self.written.row["fencing_token"]
        reserved = token + _RESERVED_TOKENS if token > written else written
        return head.changed(_NO_LEASE | {"fencing_token": reserved})

    def needs_writing(self, head: Head) -> bool:
        """Whether granting a lease used up the fencing tokens that are reserved on disk."""
        return self.written is None or bool(head.row["fencing_token"] > self.written.row["fencing_token"])


class Memory:
    """The sessions that were touched last, a bounded number of them."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, SessionMemory] = OrderedDict()
        self._leases: dict[str, Head] = {}
        self._committed_once: set[str] = set()
        self._ids = 0

    def __len__(self) -> int:
        """How many sessions are remembered."""
        return len(self._sessions)

    def get(self, session_id: str) -> SessionMemory | None:
        """Give what is remembered of a session."""
        known = self._sessions.get(session_id)
        if known is not None:
            self._sessions.move_to_end(session_id)
        return known

    def remember(self, session_id: str, written: Head | None, *, now_ms: int) -> SessionMemory:
        """Take in a session's head as the database has it. A lease that is held goes on."""
        session = SessionMemory(written)
        held = self._leases.pop(session_id, None)
        if held is not None and written is not None and held.session_key == written.session_key:
            session.head = written.changed({name: held.row[name] for name in _LEASE})
        self._sessions[session_id] = session
        self._forget_oldest(now_ms, but=session_id)
        return session

    def keep(self, session_id: str, session: SessionMemory) -> None:
        """Remember a session that was changed, even if it was to be forgotten meanwhile."""
        self._sessions[session_id] = session
        self._sessions.move_to_end(session_id)
        self._count_ids(session_id, session)

    def forget(self, session_id: str, *, now_ms: int) -> None:
        """Forget a session, so that it is read again; a lease that is held stays."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._ids -= session.counted
            session.counted = 0
            if session.head is not None and session.is_leased(now_ms):
                self._leases[session_id] = session.head

    def forget_all(self, *, now_ms: int) -> None:
        """Forget every session but the leases that are held."""
        for session_id in list(self._sessions):
            self.forget(session_id, now_ms=now_ms)

    def commits_again(self, session_id: str) -> bool:
        """Whether a session was committed to before in this process.

        Its ids are read with its second commit: a program that makes one and ends would gain nothing.
        """
        return session_id in self._committed_once

    def keep_ids(self, session_id: str, session: SessionMemory, ids: SessionIds) -> None:
        """Remember a session's ids."""
        session.ids = ids
        self._count_ids(session_id, session)

    def took(
        self,
        session_id: str,
        session: SessionMemory,
        *,
        replaced: bool,
        node_ids: Iterable[str],
        turn_ids: Iterable[str],
    ) -> None:
        """Take in the ids that a commit made; ``replaced``: of the nodes there were before, none is live any more."""
        if len(self._committed_once) >= _MOST_COMMITTED_ONCE:
            self._committed_once.clear()
        self._committed_once.add(session_id)
        if session.ids is None:
            return
        if replaced:
            session.ids.nodes.clear()
        session.ids.nodes.update(node_ids)
        session.ids.turns.update(turn_ids)
        self._count_ids(session_id, session)

    def _count_ids(self, session_id: str, session: SessionMemory) -> None:
        """Count the ids of a session that is remembered; where they are too many, forget those of the oldest ones."""
        if self._sessions.get(session_id) is not session:
            return
        size = 0 if session.ids is None else len(session.ids)
        self._ids += size - session.counted
        session.counted = size
        if self._ids <= MOST_IDS:
            return
        for oldest in self._sessions.values():
            self._ids -= oldest.counted
            oldest.ids, oldest.counted = None, 0
            if self._ids <= MOST_IDS:
                return

    def _forget_oldest(self, now_ms: int, *, but: str) -> None:
        """Forget sessions that nobody holds while there are too many, one excepted."""
        too_many = len(self._sessions) - _MOST_SESSIONS
        if too_many > 0:
            free = (name for name, one in self._sessions.items() if name != but and not one.is_leased(now_ms))
            for oldest in list(islice(free, too_many)):
                self.forget(oldest, now_ms=now_ms)
