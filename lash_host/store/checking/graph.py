"""Checking the graphs of all sessions: ids, parents, leaves, counts. The database does the work, set by set."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, func, literal_column, or_, select

from lash_host.store import schema
from lash_host.store.checking.findings import MOST_OF_A_KIND, Findings
from lash_host.store.database import Transaction
from lash_host.store.schema import rows_of

__all__ = ["check_graph"]

_sessions, _nodes, _commits = rows_of(schema.sessions), rows_of(schema.nodes), rows_of(schema.commits)
_LIMIT: ColumnElement[int] = literal_column(str(MOST_OF_A_KIND + 1))
_ONE: ColumnElement[int] = literal_column("1")
_ZERO: ColumnElement[int] = literal_column("0")


def _is_live(nodes: FromClause) -> ColumnElement[bool]:
    return and_(nodes.c.tombstoned.is_(False), nodes.c.node_key >= _sessions.c.replaced_before_key)


def _live() -> Select[Any]:
    joined = _nodes.join(_sessions, _sessions.c.session_key == _nodes.c.session_key)
    return (
        select(_nodes.c.session_key, _nodes.c.node_id, _nodes.c.node_key, _nodes.c.parent_node_id)
        .select_from(joined)
        .where(_is_live(_nodes))
    )


_COUNT = select(func.count()).select_from(_nodes)


def _duplicates() -> Select[Any]:
    live = _live().subquery("live")
    many = func.count() > _ONE
    return (
        select(live.c.session_key, live.c.node_id, func.count())
        .group_by(live.c.session_key, live.c.node_id)
        .having(many)
        .order_by(live.c.session_key, live.c.node_id)
        .limit(_LIMIT)
    )


def _without_parent() -> Select[Any]:
    """Live nodes whose parent is no live node: with what there is of that parent.

    A parent may be hidden, and a hidden one may be vacuumed: then a commit of the present graph, which came no later
    than the child, was pruned.
    """
    child, live = _live().subquery("child"), _live().subquery("live")
    hidden = _nodes.alias("hidden")
    was_vacuumed = exists().where(
        _commits.c.session_key == child.c.session_key,
        _commits.c.is_pruned,
        _commits.c.last_key >= _sessions.c.replaced_before_key,
        _commits.c.first_key <= child.c.node_key,
    )
    is_hidden = exists().where(
        hidden.c.session_key == child.c.session_key,
        hidden.c.node_id == child.c.parent_node_id,
        hidden.c.node_key >= _sessions.c.replaced_before_key,
        hidden.c.tombstoned,
    )
    same = and_(live.c.session_key == child.c.session_key, live.c.node_id == child.c.parent_node_id)
    joined = child.outerjoin(live, same).join(_sessions, _sessions.c.session_key == child.c.session_key)
    return (
        select(child.c.session_key, child.c.node_id, child.c.parent_node_id)
        .select_from(joined)
        .where(child.c.parent_node_id.is_not(None), live.c.node_id.is_(None), ~is_hidden, ~was_vacuumed)
        .order_by(child.c.session_key, child.c.node_key)
        .limit(_LIMIT)
    )


def _without_leaf() -> Select[Any]:
    live = _live().subquery("live")
    same = and_(live.c.session_key == _sessions.c.session_key, live.c.node_id == _sessions.c.leaf_node_id)
    return (
        select(_sessions.c.session_key, _sessions.c.leaf_node_id)
        .select_from(_sessions.outerjoin(live, same))
        .where(_sessions.c.leaf_node_id.is_not(None), live.c.node_id.is_(None))
        .order_by(_sessions.c.session_key)
        .limit(_LIMIT)
    )


def _miscounted() -> Select[Any]:
    live = _live().subquery("live")
    counted = select(live.c.session_key, func.count().label("nodes")).group_by(live.c.session_key).subquery("counted")
    found = func.coalesce(counted.c.nodes, _ZERO)
    return (
        select(_sessions.c.session_key, _sessions.c.live_nodes, found)
        .select_from(_sessions.outerjoin(counted, counted.c.session_key == _sessions.c.session_key))
        .where(_sessions.c.live_nodes != found)
        .order_by(_sessions.c.session_key)
        .limit(_LIMIT)
    )


def _beyond_last_key() -> Select[Any]:
    """Nodes of no session, and those whose key nobody gave out."""
    return (
        select(_nodes.c.session_key, _nodes.c.node_id, _nodes.c.node_key, _sessions.c.last_key)
        .select_from(_nodes.outerjoin(_sessions, _sessions.c.session_key == _nodes.c.session_key))
        .where(or_(_sessions.c.session_key.is_(None), _nodes.c.node_key > _sessions.c.last_key))
        .order_by(_nodes.c.session_key, _nodes.c.node_key)
        .limit(_LIMIT)
    )


_DUPLICATES, _WITHOUT_PARENT, _WITHOUT_LEAF = _duplicates(), _without_parent(), _without_leaf()
_MISCOUNTED, _BEYOND_LAST_KEY = _miscounted(), _beyond_last_key()


def check_graph(transaction: Transaction, findings: Findings) -> None:
    """Check that every graph hangs together and is the one its session's head describes."""
    findings.counts["nodes"] = transaction.rows(_COUNT)[0][0]
    steps = (_check_ids, _check_parents, _check_leaves, _check_counts, _check_keys)
    for done, step in enumerate(steps):
        findings.tell("graphs", done, len(steps))
        step(transaction, findings)
    findings.tell("graphs", len(steps), len(steps))


def _check_ids(transaction: Transaction, findings: Findings) -> None:
    for session_key, node_id, count in transaction.rows(_DUPLICATES):
        findings.problem("duplicate_node_id", session_key, f"{count} live nodes have the id {node_id!r}")


def _check_parents(transaction: Transaction, findings: Findings) -> None:
    for session_key, node_id, parent in transaction.rows(_WITHOUT_PARENT):
        findings.problem("missing_parent", session_key, f"the parent {parent!r} of node {node_id!r} is not there")


def _check_leaves(transaction: Transaction, findings: Findings) -> None:
    for session_key, leaf in transaction.rows(_WITHOUT_LEAF):
        findings.problem("missing_leaf", session_key, f"the leaf {leaf!r} is no live node")


def _check_counts(transaction: Transaction, findings: Findings) -> None:
    for session_key, written, found in transaction.rows(_MISCOUNTED):
        findings.problem("live_node_count", session_key, f"its head counts {written} live nodes, and there are {found}")


def _check_keys(transaction: Transaction, findings: Findings) -> None:
    for session_key, node_id, node_key, last_key in transaction.rows(_BEYOND_LAST_KEY):
        where = "belongs to no session" if last_key is None else f"has key {node_key}, beyond the last one, {last_key}"
        findings.problem("commit_content", session_key, f"node {node_id!r} {where}")
