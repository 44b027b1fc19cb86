"""The commit: decided on the session's head, all of its rows or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from lash_host.errors import HeadRevisionConflict, InvalidCommit, SessionLeaseExpired, TurnCommitConflict
from lash_host.store.chain import chain_hash, commit_content
from lash_host.store.head import Head
from lash_host.store.keys import KeySequence
from lash_host.store.ledger import ledger_with
from lash_host.store.plugins import note_plugins
from lash_host.store.rows import CheckpointParts, CommitRows, build_rows
from lash_host.store.schema import commits, hook_calls, model_calls, nodes, tool_calls, turns
from lash_host.store.settling import settle_claims
from lash_host.store.work import Work

__all__ = ["check_shape", "commit_runtime_state"]


def check_shape(commit: RuntimeCommit) -> None:
    """Refuse a commit whose parts contradict each other.

    Raises:
        InvalidCommit: They do.
    """
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


def commit_runtime_state(work: Work, commit: RuntimeCommit, *, checkpoint: CheckpointParts) -> CommitResult:
    """Commit; see `CommitStore.commit`.

    Args:
        work: The operation.
        commit: A commit that `check_shape` accepts.
        checkpoint: Its checkpoint, taken apart.
    """
    session_id = commit.session_id
    head = work.head(session_id) or Head.fresh(session_id, session_key=0, now_us=work.now_us)
    turn_id = _turn_id(commit)
    stored = work.stored_turn(head, turn_id) if turn_id is not None and head.is_session else None
    if stored is not None and (commit.stamp is None or stored.stamp is None):
        raise TurnCommitConflict(session_id=session_id, turn_id=stored.turn_id)
    stamp = None if stored is None else stored.stamp
    match decide_commit(head.commit_head, stamp, commit, now_ms=work.now_ms):
        case CommitReplayed(result):
            if commit.release_lease:
                _release(work, head, commit)
            return result
        case StampConflict(conflicting):
            raise TurnCommitConflict(session_id=session_id, turn_id=conflicting)
        case LeaseExpired():
            raise SessionLeaseExpired(session_id)
        case HeadConflict(expected, actual):
            raise HeadRevisionConflict(session_id=session_id, expected=expected, actual=actual)
        case CommitAccepted(head_revision):
            return _land(work, settle_claims(work, head, commit), commit, checkpoint.result(head_revision), checkpoint)


def _land(
    work: Work, head: Head, commit: RuntimeCommit, result: CommitResult, checkpoint: CheckpointParts
) -> CommitResult:
    problem = check_delta(commit.graph, known=work.known_nodes(head, commit.graph).__contains__)
    if problem is not None:
        raise InvalidCommit(session_id=commit.session_id, problem=problem)
    blobs = _check_blobs(work, head, commit, checkpoint)
    keys = head.keys
    first_key = keys.next(work.now_us)
    rows = build_rows(
        commit, session_key=head.session_key, keys=keys, checkpoint=checkpoint, result=result, now_us=work.now_us
    )
    added = {
        nodes.name: rows.nodes,
        turns.name: rows.turns,
        model_calls.name: rows.model_calls,
        tool_calls.name: rows.tool_calls,
        hook_calls.name: rows.hook_calls,
    }
    content = commit_content(added)
    revision = result.head_revision
    chain = chain_hash(
        head.row["chain_hash"], session_id=commit.session_id, head_revision=revision, content_hash=content
    )
    for table in (nodes, turns, model_calls, tool_calls, hook_calls):
        work.append(table, added[table.name])
    row = (head.session_key, revision, first_key, keys.last, _turn_id(commit), work.now_us, content, chain, False)
    work.append(commits, [row])
    work.add_blobs([row for row in rows.blobs if row[0] not in blobs])
    note_plugins(work, head, commit.plugins)
    values = _head_values(work, head, commit, rows, first_key=first_key, keys=keys)
    work.put_head(head.changed({**values, "head_revision": revision, "chain_hash": chain}))
    return result


def _head_values(
    work: Work, head: Head, commit: RuntimeCommit, rows: CommitRows, *, first_key: int, keys: KeySequence
) -> Mapping[str, Any]:
    row, now_us, replaces = head.row, work.now_us, isinstance(commit.graph, ReplaceGraph)
    values: dict[str, Any] = {
        **rows.session,
        "updated_at_us": now_us,
        "leaf_node_id": commit.graph.leaf_node_id,
        "live_nodes": len(rows.nodes) + (0 if replaces else row["live_nodes"]),
        "title": row["title"] if row["title"] is not None else commit.title,
        "last_key": keys.last,
    }
    if replaces:
        values["replaced_before_key"] = first_key
    spent = row["ledger"] if head.is_session else "[]"
    if spent is not None and (commit.model_calls or not head.is_session):
        values["ledger"] = ledger_with(spent, commit.model_calls)
    if commit.turn is not None:
        values |= {"turns": row["turns"] + 1, "last_turn_at_us": now_us}
    if commit.current_agent_frame_id != row["current_frame_id"]:
        is_new = commit.current_agent_frame_id not in head.frame_ids
        values["frame_start_key"] = first_key if is_new else 0
    if commit.release_lease:
        values["lease_token"] = None
    if not head.is_session:
        values |= {"created_at_us": now_us, **_family(work, head, commit)}
    return values


def _family(work: Work, head: Head, commit: RuntimeCommit) -> Mapping[str, str]:
    parent = commit.parent_session_id if commit.parent_session_id is not None else head.row["parent_session_id"]
    if parent is None:
        return {}
    root = work.head(parent)
    return {
        "parent_session_id": parent,
        "root_session_id": parent if root is None else root.row["root_session_id"],
    }


def _release(work: Work, head: Head, commit: RuntimeCommit) -> None:
    if commit.fence is not None and holds(head.lease, commit.fence, now_ms=work.now_ms):
        work.hold(head.changed({"lease_token": None}))


def _check_blobs(work: Work, head: Head, commit: RuntimeCommit, checkpoint: CheckpointParts) -> frozenset[str]:
    """Refuse a checkpoint that names a body which neither comes with the commit nor is stored; give the stored ones."""
    if not checkpoint.refs and not commit.blobs:
        return frozenset()
    stored = head.blob_refs
    missing = work.missing_blobs(checkpoint.refs - checkpoint.bodies.keys() - commit.blobs.keys() - stored)
    if missing:
        raise InvalidCommit(session_id=commit.session_id, problem=f"blob {min(missing)!r} is not stored")
    return stored


def _turn_id(commit: RuntimeCommit) -> str | None:
    if commit.stamp is not None:
        return commit.stamp.turn_id
    return commit.turn.turn_id if commit.turn is not None else None
