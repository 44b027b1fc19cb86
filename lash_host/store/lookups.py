"""What a commit must look up before it can be decided: its turn's stamp, and node ids."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import BindParameter, CompoundSelect, bindparam, literal_column, null, select, union_all

from lash_host.domain.commit import CommitResult, RuntimeCommit, StoredStamp
from lash_host.domain.graph import GraphDelta, ReplaceGraph, UnchangedGraph
from lash_host.store.database import Transaction
from lash_host.store.heads import Head
from lash_host.store.known_ids import SessionIds
from lash_host.store.schema import nodes, turns

__all__ = ["Lookups", "look_up"]

_BATCHES = (4, 16, 64)
"""Ids are asked for in batches of these sizes, so that the statements stay few; beyond, all ids are read."""

_ALL_IDS = select(nodes.c.node_id).where(nodes.c.session_key == bindparam("session_key"), nodes.c.tombstoned.is_(False))
_STAMP, _NODE = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookups:
    """What was found.

    Attributes:
        turn_id: The commit's turn, if it was committed before.
        stamp: Its stamp, where it had one.
        node_ids: Ids that live nodes have: at least those that the commit mentions.
    """

    turn_id: str | None = None
    stamp: StoredStamp | None = None
    node_ids: AbstractSet[str]


def look_up(transaction: Transaction, head: Head, commit: RuntimeCommit, ids: SessionIds | None) -> Lookups:
    """Look up what `decide_commit` and `check_delta` need of a commit.

    Args:
        transaction: Where to look.
        head: The session's head.
        commit: What is to be committed.
        ids: All ids the session has, where they are remembered. Then the database is asked for nothing but the stamp
            of a turn that is there already.
    """
    turn_id = _turn_id(commit)
    leaf = head.row["leaf_node_id"]
    known = {leaf} if leaf is not None else set()
    asked: list[str] = []
    if ids is not None:
        known = ids.nodes
        turn_id = turn_id if turn_id in ids.turns else None
    else:
        asked = [node_id for node_id in _mentioned(commit.graph) if node_id != leaf]
    if len(asked) > _BATCHES[-1]:
        known = {row[0] for row in transaction.rows(_ALL_IDS, {"session_key": head.session_key})}
        asked = []
    if turn_id is None and not asked:
        return Lookups(node_ids=known)
    size = next(size for size in (0, *_BATCHES) if size >= len(asked))
    params = {"session_key": head.session_key, "turn_id": turn_id}
    padded = [*asked, *asked[:1] * (size - len(asked))]
    rows = transaction.rows(_query(size), params | {f"node_{n}": node_id for n, node_id in enumerate(padded)})
    stamps = [(commit_hash, result) for what, commit_hash, result in rows if what == _STAMP]
    stamp = None
    if stamps and stamps[0][0] is not None:
        stamp = StoredStamp(commit_hash=stamps[0][0], result=CommitResult.model_validate_json(stamps[0][1]))
    found = {text for what, text, _ in rows if what == _NODE}
    return Lookups(turn_id=turn_id if stamps else None, stamp=stamp, node_ids=known | found if found else known)


def _turn_id(commit: RuntimeCommit) -> str | None:
    if commit.stamp is not None:
        return commit.stamp.turn_id
    return commit.turn.turn_id if commit.turn is not None else None


def _mentioned(delta: GraphDelta) -> list[str]:
    """Give the ids whose presence decides whether a delta fits, each once."""
    if isinstance(delta, ReplaceGraph):
        return []
    wanted: dict[str, None] = {}
    if not isinstance(delta, UnchangedGraph):
        for node in delta.nodes:
            if node.parent_node_id is not None and node.parent_node_id not in wanted:
                wanted[node.parent_node_id] = None
            wanted[node.node_id] = None
    if delta.leaf_node_id is not None:
        wanted[delta.leaf_node_id] = None
    return list(wanted)


@lru_cache(maxsize=len(_BATCHES) + 1)
def _query(size: int) -> CompoundSelect[tuple[int, str | None, str | None]]:
    stamp = select(literal_column(str(_STAMP)), turns.c.commit_hash, turns.c.result).where(
        turns.c.session_key == bindparam("session_key"), turns.c.turn_id == bindparam("turn_id")
    )
    ids: list[BindParameter[str]] = [bindparam(f"node_{n}") for n in range(size)]
    known = select(literal_column(str(_NODE)), nodes.c.node_id, null()).where(
        nodes.c.session_key == bindparam("session_key"), nodes.c.tombstoned.is_(False), nodes.c.node_id.in_(ids)
    )
    return union_all(stamp, known) if size else union_all(stamp)
