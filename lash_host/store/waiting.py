"""Which sessions have work that waits for somebody to take it."""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, Table, bindparam, func, literal_column, or_, select, union_all

from lash_host.domain.turn_input import TurnInputState
from lash_host.store import schema
from lash_host.store.database import Transaction
from lash_host.store.schema import rows_of

__all__ = ["sessions_with_work"]

_sessions, _inputs, _work = rows_of(schema.sessions), rows_of(schema.turn_inputs), rows_of(schema.queued_work)
_now = bindparam("now_ms", type_=BigInteger)


def _is_free(table: Table) -> ColumnElement[bool]:
    return or_(table.c.claim_token.is_(None), table.c.claim_expires_at_ms <= _now)


_TO_BE_TAKEN: list[ColumnElement[str]] = [
    literal_column(f"'{state.value}'") for state in (TurnInputState.DEFERRED_NEXT_TURN, TurnInputState.ACCEPTED)
]
"""Accepted input whose claim ran out was left by a holder that is gone, or is still at work: its lease tells."""

_waiting = union_all(
    select(_inputs.c.session_key, _inputs.c.enqueued_at_ms).where(_inputs.c.state.in_(_TO_BE_TAKEN), _is_free(_inputs)),
    select(_work.c.session_key, _work.c.enqueued_at_ms).where(_work.c.available_at_ms <= _now, _is_free(_work)),
).subquery()
_SESSIONS = (
    select(_sessions.c.session_id)
    .join(_waiting, _waiting.c.session_key == _sessions.c.session_key)
    .group_by(_sessions.c.session_id)
    .order_by(func.min(_waiting.c.enqueued_at_ms), _sessions.c.session_id)
    .limit(bindparam("limit"))
)


def sessions_with_work(transaction: Transaction, *, now_ms: int, limit: int) -> list[str]:
    """List the sessions, the longest waiting first; see `QueueStore.sessions_with_work`."""
    rows = transaction.rows(_SESSIONS, {"now_ms": now_ms, "limit": limit})
    return [session_id for (session_id,) in rows]
