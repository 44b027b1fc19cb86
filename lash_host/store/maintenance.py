"""Hiding nodes, and removing for good what is hidden or settled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Subquery,
    bindparam,
    cast,
    delete,
    exists,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)

from lash_host.domain.maintenance import VacuumReport
from lash_host.store.schema import commits, nodes, sessions, turn_inputs
from lash_host.store.state import TURN_INPUTS
from lash_host.store.upkeep import upkeep
from lash_host.store.work import Engine

__all__ = ["IS_SETTLED", "tombstone_nodes", "vacuum"]

_HEAD = select(sessions.c.session_key, sessions.c.replaced_before_key).where(
    sessions.c.session_id == bindparam("session_id")
)
_HIDE = (
    update(nodes)
    .where(
        nodes.c.session_key == bindparam("its_session_key"),
        nodes.c.node_id == bindparam("its_node_id"),
        nodes.c.node_key >= bindparam("from_key"),
        nodes.c.tombstoned.is_(False),
    )
    .values(tombstoned=true())
    .returning(nodes.c.node_key)
)
_COUNT_DOWN = (
    update(sessions)
    .where(sessions.c.session_key == bindparam("its_session_key"))
    .values(live_nodes=sessions.c.live_nodes - cast(bindparam("hidden"), BigInteger))
)

_SETTLED = TURN_INPUTS.settled or ("state", frozenset())
IS_SETTLED = turn_inputs.c[_SETTLED[0]].in_([literal_column(f"'{state}'") for state in sorted(_SETTLED[1])])
"""Whether nobody decides on a turn input any more."""


def _is_dead() -> ColumnElement[bool]:
    """Whether a node is hidden, or of a graph that a later commit replaced."""
    replaced = exists().where(
        sessions.c.session_key == nodes.c.session_key, nodes.c.node_key < sessions.c.replaced_before_key
    )
    return or_(nodes.c.tombstoned, replaced)


def _commits_of_dead_nodes() -> Subquery:
    """Give the commits that dead nodes came with: of those before a node, by key, the last one."""
    marks = union_all(
        select(
            commits.c.session_key,
            commits.c.first_key.label("key"),
            commits.c.head_revision.label("revision"),
            literal_column("0").label("is_node"),
        ),
        select(nodes.c.session_key, nodes.c.node_key, cast(null(), BigInteger), literal_column("1")).where(_is_dead()),
    ).subquery("marks")
    latest = select(
        marks.c.session_key,
        marks.c.is_node,
        func.max(marks.c.revision)
        .over(partition_by=marks.c.session_key, order_by=(marks.c.key, marks.c.is_node), rows=(None, 0))
        .label("revision"),
    ).subquery("latest")
    is_node_of_one = latest.c.is_node == literal_column("1"), latest.c.revision.is_not(None)
    return select(latest.c.session_key, latest.c.revision).where(*is_node_of_one).distinct().subquery("pruned")


def _mark_pruned() -> Any:
    pruned = _commits_of_dead_nodes()
    return (
        update(commits)
        .where(
            commits.c.session_key == pruned.c.session_key,
            commits.c.head_revision == pruned.c.revision,
            commits.c.is_pruned == false(),
        )
        .values(is_pruned=true())
    )


_MARK_PRUNED = _mark_pruned()
_COUNT_DEAD = select(func.count()).select_from(nodes).where(_is_dead())
_DELETE_DEAD = delete(nodes).where(_is_dead())
_COUNT_SETTLED = select(func.count()).select_from(turn_inputs).where(IS_SETTLED)
_DELETE_SETTLED = delete(turn_inputs).where(IS_SETTLED)


def tombstone_nodes(engine: Engine, session_id: str, node_ids: Sequence[str]) -> int:
    """Hide nodes; see `StoreMaintenance.tombstone_nodes`."""
    with upkeep(engine) as transaction:
        head = transaction.row(_HEAD, {"session_id": session_id})
        if head is None:
            return 0
        session_key, from_key = head
        hidden = 0
        for node_id in dict.fromkeys(node_ids):
            params = {"its_session_key": session_key, "its_node_id": node_id, "from_key": from_key}
            hidden += len(transaction.rows(_HIDE, params))
        if hidden:
            transaction.rows(_COUNT_DOWN, {"its_session_key": session_key, "hidden": hidden})
        return hidden


def vacuum(engine: Engine) -> VacuumReport:
    """Remove dead nodes and settled turn inputs; see `StoreMaintenance.vacuum`."""
    with upkeep(engine) as transaction:
        removed_nodes = _count(transaction.row(_COUNT_DEAD))
        if removed_nodes:
            transaction.rows(_MARK_PRUNED)
            transaction.rows(_DELETE_DEAD)
        removed_inputs = _count(transaction.row(_COUNT_SETTLED))
        if removed_inputs:
            transaction.rows(_DELETE_SETTLED)
    if removed_nodes or removed_inputs:
        engine.database.reclaim_space()
    return VacuumReport(removed_nodes=removed_nodes, removed_turn_inputs=removed_inputs)


def _count(row: tuple[Any, ...] | None) -> int:
    return 0 if row is None else int(row[0])
