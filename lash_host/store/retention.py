"""Removing what is older than it shall be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from sqlalchemy import Table, bindparam, delete, exists, func, literal_column, or_, select

from lash_host.domain.lease import LeaseAcquired, LeaseBusy, LeaseFence, LeaseOwner, ProcessIdentity
from lash_host.domain.maintenance import Retention, RetentionReport
from lash_host.store.leases import claim, reclaim, release
from lash_host.store.liveness import current_process_identity
from lash_host.store.maintenance import IS_SETTLED
from lash_host.store.schema import queued_work, receipts, rows_of, sessions, turn_inputs
from lash_host.store.sessions import delete_rows
from lash_host.store.upkeep import upkeep
from lash_host.store.work import Engine, Work

__all__ = ["apply_retention"]

_AT_ONCE = 100
_TTL_MS = 60_000


def _old_sessions(table: Table, inputs: Table, work: Table) -> Any:
    """Select sessions of old whose latest commit is, and for which nothing waits."""
    its_input = inputs.c.session_key == table.c.session_key
    waits = ~inputs.c.state.in_([literal_column("'cancelled'"), literal_column("'completed'")])
    return select(table.c.session_id, table.c.session_key).where(
        table.c.head_revision > literal_column("0"),
        table.c.updated_at_us < bindparam("before_us"),
        ~exists().where(its_input, waits),
        ~exists().where(work.c.session_key == table.c.session_key),
    )


_CANDIDATES = _old_sessions(rows_of(sessions), rows_of(turn_inputs), rows_of(queued_work)).order_by(
    rows_of(sessions).c.session_key
)
_IS_STILL_HELD = or_(sessions.c.lease_token.is_(None), sessions.c.lease_token == bindparam("lease_token"))
_STILL_OLD = _old_sessions(sessions, turn_inputs, queued_work).where(
    sessions.c.session_id == bindparam("session_id"), _IS_STILL_HELD
)
_OLD_RECEIPTS = receipts.c.completed_at_us < bindparam("before_us")
_OLD_INPUTS = IS_SETTLED & (turn_inputs.c.settled_at_us < bindparam("before_us"))
_COUNT_RECEIPTS = select(func.count()).select_from(receipts).where(_OLD_RECEIPTS)
_DELETE_RECEIPTS = delete(receipts).where(_OLD_RECEIPTS)
_COUNT_INPUTS = select(func.count()).select_from(turn_inputs).where(_OLD_INPUTS)
_DELETE_INPUTS = delete(turn_inputs).where(_OLD_INPUTS)


def apply_retention(engine: Engine, retention: Retention) -> RetentionReport:
    """Remove what is older than it shall be; see `StoreMaintenance.apply_retention`."""
    now_us = engine.run(lambda work: work.now_us)
    removed: tuple[str, ...] = ()
    if retention.sessions_ms is not None:
        removed = _remove_sessions(engine, before_us=now_us - retention.sessions_ms * 1000)
    old_receipts = _remove(engine, retention.receipts_ms, now_us, _COUNT_RECEIPTS, _DELETE_RECEIPTS)
    old_inputs = _remove(engine, retention.turn_inputs_ms, now_us, _COUNT_INPUTS, _DELETE_INPUTS)
    return RetentionReport(sessions=removed, receipts=old_receipts, turn_inputs=old_inputs)


def _remove_sessions(engine: Engine, *, before_us: int) -> tuple[str, ...]:
    """Remove sessions, each under its lease: who takes it first has the session."""
    with engine.read() as transaction:
        candidates = [row[0] for row in transaction.rows(_CANDIDATES, {"before_us": before_us})]
    process = current_process_identity() if candidates else None
    removed: list[str] = []
    for start in range(0, len(candidates), _AT_ONCE):
        with ExitStack() as held:
            fences = []
            for session_id in candidates[start : start + _AT_ONCE]:
                fence = engine.run(partial(_claimed, session_id=session_id, process=process))
                if fence is not None:
                    held.callback(engine.run, partial(release, fence=fence))
                    fences.append(fence)
            removed += _delete(engine, fences, before_us=before_us)
    return tuple(removed)


def _claimed(work: Work, session_id: str, *, process: ProcessIdentity | None) -> LeaseFence | None:
    """Take a session's lease, also from a holder that is provably dead, such as a retention that was killed."""
    if work.head(session_id) is None:
        return None
    owner = LeaseOwner(owner_id="lash:retention", incarnation_id=work.new_token(), process=process)
    decision = claim(work, session_id, owner, ttl_ms=_TTL_MS)
    if isinstance(decision, LeaseBusy):
        decision = reclaim(work, session_id, owner, observed=decision.holder, ttl_ms=_TTL_MS)
    return decision.lease.fence if isinstance(decision, LeaseAcquired) else None


def _delete(engine: Engine, fences: Sequence[LeaseFence], *, before_us: int) -> list[str]:
    with upkeep(engine) as transaction:
        old = []
        for fence in fences:
            params = {"session_id": fence.session_id, "lease_token": fence.lease_token, "before_us": before_us}
            if transaction.row(_STILL_OLD, params) is not None:
                delete_rows(transaction, fence.session_id)
                old.append(fence.session_id)
    return old


def _remove(engine: Engine, kept_ms: int | None, now_us: int, count: Any, removal: Any) -> int:
    if kept_ms is None:
        return 0
    params = {"before_us": now_us - kept_ms * 1000}
    with upkeep(engine) as transaction:
        row = transaction.row(count, params)
        found = 0 if row is None else int(row[0])
        if found:
            transaction.rows(removal, params)
    return found
