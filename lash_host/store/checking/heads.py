"""Checking the heads of sessions: frames, policies, checkpoints, metadata."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import bindparam, func, literal_column, select

from lash_host.domain.commit import content_ref
from lash_host.domain.usage import TokenLedgerEntry
from lash_host.errors import StoreError
from lash_host.store import schema
from lash_host.store.checking.findings import Findings
from lash_host.store.database import Transaction
from lash_host.store.ledger import added_up, calls_query
from lash_host.store.records import load_checkpoint, load_frames, load_ledger, load_policy, load_session_meta
from lash_host.store.references import checkpoint_refs
from lash_host.store.schema import rows_of

__all__ = ["check_heads"]

_PAGE = 1_000
_sessions = rows_of(schema.sessions)
_COUNT = select(func.count()).select_from(_sessions)
_HEADS = (
    select(
        _sessions.c.session_key,
        _sessions.c.head_revision,
        _sessions.c.current_frame_id,
        _sessions.c.frames,
        _sessions.c.policy,
        _sessions.c.checkpoint,
        _sessions.c.checkpoint_ref,
        _sessions.c.meta,
        _sessions.c.ledger,
    )
    .where(_sessions.c.session_key > bindparam("after"))
    .order_by(_sessions.c.session_key)
    .limit(literal_column(str(_PAGE)))
)
_SPENT = calls_query(rows_of(schema.model_calls))


def check_heads(transaction: Transaction, findings: Findings) -> None:
    """Check that every head can be read and agrees with itself; note which blobs checkpoints refer to."""
    total, done = transaction.rows(_COUNT)[0][0], 0
    after = -1
    while page := transaction.rows(_HEADS, {"after": after}):
        params = {"first_session": page[0][0], "last_session": page[-1][0]}
        spent = added_up(transaction.rows(_SPENT, params))
        for session_key, revision, current_frame, frames, policy, checkpoint, ref, meta, ledger in page:
            if meta is not None:
                _readable(findings, session_key, load_session_meta, meta)
            if revision:
                _check_frames(findings, session_key, current_frame, frames)
                _readable(findings, session_key, load_policy, policy)
                _check_checkpoint(findings, session_key, checkpoint, ref)
            if ledger is not None:
                _check_ledger(findings, session_key, ledger, spent.get(session_key, ()))
        done, after = done + len(page), page[-1][0]
        findings.tell("sessions", done, total)


def _check_frames(findings: Findings, session_key: int, current_frame: str | None, text: str | None) -> None:
    try:
        frames = load_frames(text or "")
    except StoreError as exc:
        findings.problem("unreadable_record", session_key, str(exc))
        return
    active = [frame.frame_id for frame in frames if frame.status == "active"]
    if active != [current_frame]:
        names = ", ".join(map(repr, active)) or "none"
        findings.problem("active_frames", session_key, f"the current frame is {current_frame!r}, active: {names}")


def _check_checkpoint(findings: Findings, session_key: int, text: str | None, ref: str | None) -> None:
    try:
        manifest = load_checkpoint(text or "")
    except StoreError as exc:
        findings.problem("unreadable_record", session_key, str(exc))
        return
    if (found := content_ref((text or "").encode())) != ref:
        findings.problem("checkpoint_ref", session_key, f"the checkpoint hashes to {found}, and its name is {ref}")
    for blob in checkpoint_refs(manifest):
        findings.referred_blobs.setdefault(blob, (session_key, "its checkpoint"))


def _check_ledger(findings: Findings, session_key: int, text: str, spent: tuple[TokenLedgerEntry, ...]) -> None:
    try:
        ledger = load_ledger(text)
    except StoreError as exc:
        findings.problem("unreadable_record", session_key, str(exc))
        return
    if {(one.source, one.model): one.usage for one in spent} != {(one.source, one.model): one.usage for one in ledger}:
        findings.problem("ledger", session_key, "the ledger is not what its model calls add up to")


def _readable(findings: Findings, session_key: int, read: Callable[[str], object], text: str | None) -> None:
    try:
        read(text or "")
    except StoreError as exc:
        findings.problem("unreadable_record", session_key, str(exc))
