"""What is asked of the database when it is not remembered."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, Table, bindparam, literal_column, select, union_all

from lash_host.domain.commit import CommitResult, StoredStamp
from lash_host.domain.graph import GraphDelta, ReplaceGraph, UnchangedGraph
from lash_host.store import schema
from lash_host.store.database import Transaction
from lash_host.store.head import HEAD_COLUMNS, Head
from lash_host.store.schema import rows_of
from lash_host.store.state import Row, StateTable
from lash_host.store.work import StoredTurn

__all__ = ["ROWS", "TABLES", "Queries", "mentioned", "missing_blobs"]

_BATCHES = (4, 16, 64, 1024)
"""Ids are asked for in batches of these sizes, so that the statements stay few; beyond, all ids are read."""

_TURN, _ID = 0, 1
_BLOB = select(schema.blobs.c.ref).where(schema.blobs.c.ref == bindparam("ref"))


def missing_blobs(transaction: Transaction, refs: AbstractSet[str]) -> AbstractSet[str]:
    """Tell which blobs are not stored. They are written at once, not through the log."""
    return {ref for ref in refs if transaction.row(_BLOB, {"ref": ref}) is None}


class Queries:
    """The questions, asked of the tables, or of the views over every committed row."""

    def __init__(self, of: Callable[[Table], Table]) -> None:
        """Ask where ``of`` says a table's rows are."""
        self._of = of
        nodes, turns, sessions = of(schema.nodes), of(schema.turns), of(schema.sessions)
        live_node = (
            nodes.c.session_key == bindparam("session_key"),
            nodes.c.tombstoned.is_(False),
            nodes.c.node_key >= bindparam("live_from"),
        )
        its_turns = turns.c.session_key == bindparam("session_key")
        self._head = select(sessions).where(sessions.c.session_id == bindparam("session_id"))
        self._node_ids = select(nodes.c.node_id).where(*live_node)
        self._all_ids = union_all(
            select(literal_column(str(_TURN)), turns.c.turn_id).where(its_turns),
            select(literal_column(str(_ID)), nodes.c.node_id).where(*live_node),
        )
        self._stored_turn = select(turns.c.commit_hash, turns.c.result).where(
            its_turns, turns.c.turn_id == bindparam("turn_id")
        )
        self._some_nodes = cache(self._make_some_nodes)
        self._live = cache(self._make_live)
        self._find = cache(self._make_find)
        self._following = cache(self._make_following)

    def head(self, transaction: Transaction, session_id: str) -> Head | None:
        """Read a session's head as it was written."""
        row = transaction.row(self._head, {"session_id": session_id})
        return None if row is None else Head(dict(zip(HEAD_COLUMNS, row, strict=True)))

    def live(self, transaction: Transaction, state: StateTable, session_key: int) -> list[Row]:
        """Read a session's rows that are not settled."""
        return _rows(transaction, state, self._live(state), {"session_key": session_key})

    def find(self, transaction: Transaction, state: StateTable, session_key: int, column: str, value: str) -> list[Row]:
        """Read a session's rows by a column."""
        params = {"session_key": session_key, "value": value}
        return _rows(transaction, state, self._find(state, column), params)

    def following(self, transaction: Transaction, state: StateTable, session_key: int, order_from: int) -> list[Row]:
        """Read a session's rows from a place on."""
        params = {"session_key": session_key, "order_from": order_from}
        return _rows(transaction, state, self._following(state), params)

    def stored_turn(self, transaction: Transaction, session_key: int, turn_id: str) -> StoredTurn | None:
        """Read a session's turn."""
        row = transaction.row(self._stored_turn, {"session_key": session_key, "turn_id": turn_id})
        if row is None:
            return None
        if row[0] is None:
            return StoredTurn(turn_id=turn_id, stamp=None)
        stamp = StoredStamp(commit_hash=row[0], result=CommitResult.model_validate_json(row[1]))
        return StoredTurn(turn_id=turn_id, stamp=stamp)

    def all_ids(self, transaction: Transaction, of: Head) -> tuple[set[str], set[str]]:
        """Read the ids of a session's live nodes, and of its turns."""
        rows = transaction.rows(self._all_ids, _span(of))
        return {found for what, found in rows if what == _ID}, {found for what, found in rows if what == _TURN}

    def known_nodes(self, transaction: Transaction, of: Head, delta: GraphDelta) -> AbstractSet[str]:
        """Read which live nodes there are of those that a delta mentions."""
        leaf = of.row["leaf_node_id"]
        known = {leaf} if leaf is not None else set()
        asked = [node_id for node_id in mentioned(delta) if node_id != leaf]
        if not asked or not of.is_session:
            return known
        if len(asked) > _BATCHES[-1]:
            return {row[0] for row in transaction.rows(self._node_ids, _span(of))}
        size = next(size for size in _BATCHES if size >= len(asked))
        padded = [*asked, *asked[:1] * (size - len(asked))]
        params = {f"node_{n}": node_id for n, node_id in enumerate(padded)}
        return known | {row[0] for row in transaction.rows(self._some_nodes(size), {**_span(of), **params})}

    def _make_live(self, state: StateTable) -> Select[Any]:
        query = self._of_session(state)
        if state.settled is None:
            return query
        column, values = state.settled
        settled: list[ColumnElement[str]] = [literal_column(f"'{value}'") for value in sorted(values)]
        return query.where(self._of(state.table).c[column].not_in(settled))

    def _make_find(self, state: StateTable, column: str) -> Select[Any]:
        wanted: ColumnElement[str] = self._of(state.table).c[column]
        return self._of_session(state).where(wanted == bindparam("value"))

    def _make_following(self, state: StateTable) -> Select[Any]:
        return self._of_session(state).where(self._of(state.table).c[state.order] >= bindparam("order_from"))

    def _of_session(self, state: StateTable) -> Select[Any]:
        table = self._of(state.table)
        return select(table).where(table.c.session_key == bindparam("session_key"))

    def _make_some_nodes(self, size: int) -> Select[tuple[str]]:
        ids: list[BindParameter[str]] = [bindparam(f"node_{n}") for n in range(size)]
        return self._node_ids.where(self._of(schema.nodes).c.node_id.in_(ids))


TABLES = Queries(lambda table: table)
"""For sessions of which the log holds nothing: fast."""

ROWS = Queries(rows_of)
"""For the others."""


def mentioned(delta: GraphDelta) -> list[str]:
    """Give the ids whose presence decides whether a delta fits, each once."""
    if isinstance(delta, ReplaceGraph):
        return []
    wanted: dict[str, None] = {}
    if not isinstance(delta, UnchangedGraph):
        for node in delta.nodes:
            if node.parent_node_id is not None:
                wanted.setdefault(node.parent_node_id)
            wanted[node.node_id] = None
    if delta.leaf_node_id is not None:
        wanted[delta.leaf_node_id] = None
    return list(wanted)


def _span(of: Head) -> dict[str, Any]:
    return {"session_key": of.session_key, "live_from": of.row["replaced_before_key"]}


def _rows(transaction: Transaction, state: StateTable, query: Select[Any], params: dict[str, Any]) -> list[Row]:
    names = state.table.columns.keys()
    return [dict(zip(names, row, strict=True)) for row in transaction.rows(query, params)]
