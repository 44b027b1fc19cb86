"""What is asked of the database when it is not remembered: through `lash_rows`, whether folded or not."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, literal_column, select, union_all

from lash_host.domain.commit import CommitResult, StoredStamp
from lash_host.domain.graph import GraphDelta, ReplaceGraph, UnchangedGraph
from lash_host.store import schema
from lash_host.store.database import Transaction
from lash_host.store.head import HEAD_COLUMNS, Head
from lash_host.store.schema import rows_of
from lash_host.store.state import Row, StateTable
from lash_host.store.work import StoredTurn

__all__ = ["all_ids", "find", "following", "head", "known_nodes", "live", "missing_blobs", "stored_turn"]

_sessions, _nodes = rows_of(schema.sessions), rows_of(schema.nodes)
_turns, _blobs = rows_of(schema.turns), rows_of(schema.blobs)

_BATCHES = (4, 16, 64)
"""Ids are asked for in batches of these sizes, so that the statements stay few; beyond, all ids are read."""

_BY_ID = select(_sessions).where(_sessions.c.session_id == bindparam("session_id"))
_LIVE_NODE = (
    _nodes.c.session_key == bindparam("session_key"),
    _nodes.c.tombstoned.is_(False),
    _nodes.c.node_key >= bindparam("live_from"),
)
_NODE_IDS = select(_nodes.c.node_id).where(*_LIVE_NODE)
_TURN_IDS = select(_turns.c.turn_id).where(_turns.c.session_key == bindparam("session_key"))
_TURN, _ID = 0, 1
_ALL_IDS = union_all(
    select(literal_column(str(_TURN)), _turns.c.turn_id).where(_turns.c.session_key == bindparam("session_key")),
    select(literal_column(str(_ID)), _nodes.c.node_id).where(*_LIVE_NODE),
)
_STORED_TURN = select(_turns.c.commit_hash, _turns.c.result).where(
    _turns.c.session_key == bindparam("session_key"), _turns.c.turn_id == bindparam("turn_id")
)
_BLOB = select(_blobs.c.ref).where(_blobs.c.ref == bindparam("ref"))


def head(transaction: Transaction, session_id: str) -> Head | None:
    """Read a session's head as it was written."""
    row = transaction.row(_BY_ID, {"session_id": session_id})
    return None if row is None else Head(dict(zip(HEAD_COLUMNS, row, strict=True)))


def live(transaction: Transaction, state: StateTable, session_key: int) -> list[Row]:
    """Read a session's rows that are not settled."""
    return _rows(transaction, state, _live(state), {"session_key": session_key})


def find(transaction: Transaction, state: StateTable, session_key: int, column: str, value: str) -> list[Row]:
    """Read a session's rows by a column."""
    return _rows(transaction, state, _find(state, column), {"session_key": session_key, "value": value})


def following(transaction: Transaction, state: StateTable, session_key: int, order_from: int) -> list[Row]:
    """Read a session's rows from a place on."""
    return _rows(transaction, state, _following(state), {"session_key": session_key, "order_from": order_from})


def stored_turn(transaction: Transaction, session_key: int, turn_id: str) -> StoredTurn | None:
    """Read a session's turn."""
    row = transaction.row(_STORED_TURN, {"session_key": session_key, "turn_id": turn_id})
    if row is None:
        return None
    if row[0] is None:
        return StoredTurn(turn_id=turn_id, stamp=None)
    stamp = StoredStamp(commit_hash=row[0], result=CommitResult.model_validate_json(row[1]))
    return StoredTurn(turn_id=turn_id, stamp=stamp)


def all_ids(transaction: Transaction, of: Head) -> tuple[set[str], set[str]]:
    """Read the ids of a session's live nodes, and of its turns."""
    rows = transaction.rows(_ALL_IDS, _span(of))
    return {found for what, found in rows if what == _ID}, {found for what, found in rows if what == _TURN}


def known_nodes(transaction: Transaction, of: Head, delta: GraphDelta) -> AbstractSet[str]:
    """Read which live nodes there are of those that a delta mentions."""
    leaf = of.row["leaf_node_id"]
    known = {leaf} if leaf is not None else set()
    asked = [node_id for node_id in mentioned(delta) if node_id != leaf]
    if not asked or not of.is_session:
        return known
    if len(asked) > _BATCHES[-1]:
        return {row[0] for row in transaction.rows(_NODE_IDS, _span(of))}
    size = next(size for size in _BATCHES if size >= len(asked))
    padded = [*asked, *asked[:1] * (size - len(asked))]
    params = {f"node_{n}": node_id for n, node_id in enumerate(padded)}
    return known | {row[0] for row in transaction.rows(_some_nodes(size), {**_span(of), **params})}


def missing_blobs(transaction: Transaction, refs: AbstractSet[str]) -> AbstractSet[str]:
    """Tell which blobs are not stored."""
    return {ref for ref in refs if transaction.row(_BLOB, {"ref": ref}) is None}


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


@cache
def _live(state: StateTable) -> Select[Any]:
    view = rows_of(state.table)
    query = _of_session(state)
    if state.settled is None:
        return query
    column, values = state.settled
    settled: list[ColumnElement[str]] = [literal_column(f"'{value}'") for value in sorted(values)]
    return query.where(view.c[column].not_in(settled))


@cache
def _find(state: StateTable, column: str) -> Select[Any]:
    wanted: ColumnElement[str] = rows_of(state.table).c[column]
    return _of_session(state).where(wanted == bindparam("value"))


@cache
def _following(state: StateTable) -> Select[Any]:
    return _of_session(state).where(rows_of(state.table).c[state.order] >= bindparam("order_from"))


def _of_session(state: StateTable) -> Select[Any]:
    view = rows_of(state.table)
    return select(view).where(view.c.session_key == bindparam("session_key"))


@lru_cache(maxsize=len(_BATCHES))
def _some_nodes(size: int) -> Select[tuple[str]]:
    ids: list[BindParameter[str]] = [bindparam(f"node_{n}") for n in range(size)]
    return _NODE_IDS.where(_nodes.c.node_id.in_(ids))
