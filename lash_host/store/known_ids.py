"""Which nodes and turns a session has, remembered for the sessions that are being written to."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import bindparam, literal_column, select, union_all

from lash_host.domain.commit import RuntimeCommit
from lash_host.domain.graph import ReplaceGraph, UnchangedGraph
from lash_host.store.database import Transaction
from lash_host.store.heads import Head
from lash_host.store.schema import nodes, turns

__all__ = ["KnownIds", "SessionIds"]

_MOST_IDS = 200_000
"""In all, some 25 MB. A session that has more is looked up in the database every time."""

_MOST_SESSIONS = 10_000

_NODE, _TURN = 0, 1
_IDS = union_all(
    select(literal_column(str(_NODE)), nodes.c.node_id).where(
        nodes.c.session_key == bindparam("session_key"), nodes.c.tombstoned.is_(False)
    ),
    select(literal_column(str(_TURN)), turns.c.turn_id).where(turns.c.session_key == bindparam("session_key")),
)


@dataclass(frozen=True, slots=True)
class SessionIds:
    """The ids of a session's live nodes and of its turns."""

    nodes: set[str]
    turns: set[str]

    def __len__(self) -> int:
        """How many ids these are."""
        return len(self.nodes) + len(self.turns)

    def add(self, commit: RuntimeCommit) -> None:
        """Take in what a commit made."""
        if isinstance(commit.graph, ReplaceGraph):
            self.nodes.clear()
        if not isinstance(commit.graph, UnchangedGraph):
            self.nodes.update(node.node_id for node in commit.graph.nodes)
        for turn in (commit.turn, commit.stamp):
            if turn is not None:
                self.turns.add(turn.turn_id)


class KnownIds:
    """Remembers the ids of sessions, so that a commit asks the database for none.

    A session's ids are read with its second commit: a program that makes one commit and ends would gain nothing. As
    with heads, what a transaction touches is forgotten at once, and remembered again when it has committed.
    """

    def __init__(self, *, remembers: bool) -> None:
        self._remembers = remembers
        self._known: OrderedDict[str, SessionIds] = OrderedDict()
        self._committed_once: set[str] = set()
        self._count = 0

    def get(self, transaction: Transaction, head: Head) -> SessionIds | None:
        """Give a session's ids; None where the database is to be asked for single ones."""
        session_id: str = head.row["session_id"]
        known = self._known.get(session_id)
        if known is not None:
            self._known.move_to_end(session_id)
            return known
        if not self._remembers or head.row["live_nodes"] >= _MOST_IDS:
            return None
        if head.row["head_revision"] == 0:
            return SessionIds(set(), set())
        if session_id not in self._committed_once:
            return None
        rows = transaction.rows(_IDS, {"session_key": head.session_key})
        return SessionIds(
            {node_id for what, node_id in rows if what == _NODE}, {turn_id for what, turn_id in rows if what == _TURN}
        )

    def settle(self, transaction: Transaction, ids: SessionIds | None, commit: RuntimeCommit) -> None:
        """Remember what there will be once the transaction has committed."""
        self.forget(commit.session_id)
        transaction.after_commit(lambda: self._remember(ids, commit))

    def forget(self, session_id: str) -> None:
        """Forget a session."""
        forgotten = self._known.pop(session_id, None)
        self._count -= 0 if forgotten is None else len(forgotten)

    def _remember(self, ids: SessionIds | None, commit: RuntimeCommit) -> None:
        if len(self._committed_once) >= _MOST_SESSIONS:
            self._committed_once.clear()
        self._committed_once.add(commit.session_id)
        if ids is None:
            return
        ids.add(commit)
        self._known[commit.session_id] = ids
        self._count += len(ids)
        while self._count > _MOST_IDS:
            self.forget(next(iter(self._known)))
