"""The commit: one transaction, as few statements as it can be, all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, true, update

from lash_host.domain.commit import (
    CommitAccepted,
    CommitReplayed,
    CommitResult,
    HeadConflict,
    LeaseExpired,
    RuntimeCommit,
    StampConflict,
    content_ref,
    decide_commit,
)
from lash_host.domain.graph import ReplaceGraph, check_delta
from lash_host.domain.lease import holds
from lash_host.errors import (
    HeadRevisionConflict,
    InvalidCommit,
    SessionLeaseExpired,
    TurnCommitConflict,
)
from lash_host.store.database import Transaction
from lash_host.store.dialects import TransactionConflict
from lash_host.store.heads import Head
from lash_host.store.lookups import look_up
from lash_host.store.plugins import note_plugins
from lash_host.store.rows import CheckpointParts, CommitRows, build_rows, checkpoint_parts
from lash_host.store.schema import blobs, hook_calls, model_calls, nodes, sessions, tool_calls, turns
from lash_host.store.sharing import SharedStore

__all__ = ["commit_runtime_state"]

_TOMBSTONE = (
    update(nodes)
    .where(nodes.c.session_key == bindparam("its_session_key"), nodes.c.tombstoned.is_(False))
    .values(tombstoned=true())
)
_ROOT_OF = select(sessions.c.root_session_id).where(sessions.c.session_id == bindparam("session_id"))
_BLOB = select(blobs.c.ref).where(blobs.c.ref == bindparam("ref"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One commit in its transaction."""

    store: SharedStore
    transaction: Transaction
    commit: RuntimeCommit
    checkpoint: CheckpointParts
    now_us: int


def commit_runtime_state(store: SharedStore, commit: RuntimeCommit, *, now_us: int) -> CommitResult:
    """Commit; see `CommitStore.commit`."""
    _check_shape(commit)
    checkpoint = checkpoint_parts(commit)
    try:
        with store.database.write() as transaction:
            return _decide(
                _Attempt(store=store, transaction=transaction, commit=commit, checkpoint=checkpoint, now_us=now_us)
            )
    except TransactionConflict as exc:
        if commit.expected_head_revision is None:
            raise
        raise HeadRevisionConflict(
            session_id=commit.session_id,
            expected=commit.expected_head_revision,
            actual=_stored_revision(store, commit.session_id),
        ) from exc


def _decide(attempt: _Attempt) -> CommitResult:
    commit, session_id = attempt.commit, attempt.commit.session_id
    head = attempt.store.heads.get(attempt.transaction, session_id)
    if head is None:
        head = Head.fresh(session_id, session_key=0, now_us=attempt.now_us)
    ids = attempt.store.ids.get(attempt.transaction, head)
    found = look_up(attempt.transaction, head, commit, ids)
    if found.turn_id is not None and (commit.stamp is None or found.stamp is None):
        raise TurnCommitConflict(session_id=session_id, turn_id=found.turn_id)
    decision = decide_commit(head.commit_head, found.stamp, commit, now_ms=attempt.now_us // 1000)
    match decision:
        case CommitReplayed(result):
            if commit.release_lease:
                _release(attempt, head)
            return result
        case StampConflict(turn_id):
            raise TurnCommitConflict(session_id=session_id, turn_id=turn_id)
        case LeaseExpired():
            raise SessionLeaseExpired(session_id)
        case HeadConflict(expected, actual):
            raise HeadRevisionConflict(session_id=session_id, expected=expected, actual=actual)
        case CommitAccepted(head_revision):
            problem = check_delta(commit.graph, known=found.node_ids.__contains__)
            if problem is not None:
                raise InvalidCommit(session_id=session_id, problem=problem)
            attempt.store.ids.settle(attempt.transaction, ids, commit)
            return _land(attempt, head, head_revision)


def _land(attempt: _Attempt, head: Head, head_revision: int) -> CommitResult:
    store, transaction, commit = attempt.store, attempt.transaction, attempt.commit
    _check_blobs(attempt, head)
    result = attempt.checkpoint.result(head_revision)
    first_key = store.keys.next(attempt.now_us)
    rows = build_rows(
        commit,
        session_key=head.session_key,
        keys=store.keys,
        checkpoint=attempt.checkpoint,
        result=result,
        now_us=attempt.now_us,
    )
    if isinstance(commit.graph, ReplaceGraph) and head.row["live_nodes"]:
        transaction.rows(_TOMBSTONE, {"its_session_key": head.session_key})
    _insert(transaction, rows, stored_refs=head.blob_refs)
    new = head.changed(_head_values(attempt, head, rows, first_key) | {"head_revision": head_revision})
    new = note_plugins(transaction, new, commit.plugins, was_at_us=head.row["updated_at_us"], now_us=attempt.now_us)
    store.heads.write(transaction, head, new)
    return result


def _insert(transaction: Transaction, rows: CommitRows, *, stored_refs: frozenset[str]) -> None:
    transaction.insert(nodes, rows.nodes)
    transaction.insert(turns, rows.turns)
    transaction.insert(model_calls, rows.model_calls)
    transaction.insert(tool_calls, rows.tool_calls)
    transaction.insert(hook_calls, rows.hook_calls)
    transaction.insert(blobs, [row for row in rows.blobs if row[0] not in stored_refs], ignore_existing=True)


def _head_values(attempt: _Attempt, head: Head, rows: CommitRows, first_key: int) -> dict[str, Any]:
    commit, row, now_us = attempt.commit, head.row, attempt.now_us
    kept = 0 if isinstance(commit.graph, ReplaceGraph) else row["live_nodes"]
    values = {
        **rows.session,
        "updated_at_us": now_us,
        "leaf_node_id": commit.graph.leaf_node_id,
        "live_nodes": kept + len(rows.nodes),
        "title": row["title"] if row["title"] is not None else commit.title,
    }
    if commit.turn is not None:
        values |= {"turns": row["turns"] + 1, "last_turn_at_us": now_us}
    if commit.current_agent_frame_id != row["current_frame_id"]:
        is_new = commit.current_agent_frame_id not in head.frame_ids
        values["frame_start_key"] = first_key if is_new else 0
    if commit.release_lease:
        values["lease_token"] = None
    if row["head_revision"] == 0:
        values |= {"created_at_us": now_us, **_family(attempt.transaction, commit)}
    return values


def _family(transaction: Transaction, commit: RuntimeCommit) -> dict[str, str]:
    parent = commit.parent_session_id
    if parent is None:
        return {}
    root = transaction.row(_ROOT_OF, {"session_id": parent})
    return {"parent_session_id": parent, "root_session_id": parent if root is None else root[0]}


def _release(attempt: _Attempt, head: Head) -> None:
    fence = attempt.commit.fence
    if fence is not None and holds(head.lease, fence, now_ms=attempt.now_us // 1000):
        attempt.store.heads.write(attempt.transaction, head, head.changed({"lease_token": None}))


def _check_shape(commit: RuntimeCommit) -> None:
    """Refuse a commit whose parts contradict each other."""
    problem = None
    if commit.turn is not None and commit.stamp is not None and commit.turn.turn_id != commit.stamp.turn_id:
        problem = f"it ends turn {commit.turn.turn_id!r} and is stamped for {commit.stamp.turn_id!r}"
    elif all(frame.frame_id != commit.current_agent_frame_id for frame in commit.agent_frames):
        problem = f"the current frame {commit.current_agent_frame_id!r} is not among its frames"
    else:
        wrong = [ref for ref, body in commit.blobs.items() if content_ref(body) != ref]
        problem = f"blob {wrong[0]!r} is not named by its content" if wrong else None
    if problem is not None:
        raise InvalidCommit(session_id=commit.session_id, problem=problem)


def _check_blobs(attempt: _Attempt, head: Head) -> None:
    """Refuse a checkpoint that names a body which neither comes with the commit nor is stored."""
    commit, checkpoint = attempt.commit, attempt.checkpoint
    for ref in sorted(checkpoint.refs - checkpoint.bodies.keys() - commit.blobs.keys() - head.blob_refs):
        if attempt.transaction.row(_BLOB, {"ref": ref}) is None:
            raise InvalidCommit(session_id=commit.session_id, problem=f"blob {ref!r} is not stored")


def _stored_revision(store: SharedStore, session_id: str) -> int:
    with store.database.write() as transaction:
        head = store.heads.get(transaction, session_id)
    return 0 if head is None else head.row["head_revision"]
