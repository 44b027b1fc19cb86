"""What taking and settling claims of queued work and of turn input have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lash_host.domain.claim import Claim, grant_claim, holds_exactly
from lash_host.domain.lease import LeaseFence, LeaseOwner, holds
from lash_host.errors import SessionLeaseExpired
from lash_host.store.claim_columns import claim_row, claim_values
from lash_host.store.head import Head
from lash_host.store.work import Row, StateTable, Work

__all__ = ["held_rows", "leased_head", "take_rows"]


def leased_head(work: Work, session_id: str, fence: LeaseFence) -> Head:
    """Give the head of a session whose live lease the caller proves.

    Raises:
        SessionLeaseExpired: ``fence`` is not the live lease.
    """
    head = work.head(session_id)
    if head is None or fence.session_id != session_id or not holds(head.lease, fence, now_ms=work.now_ms):
        raise SessionLeaseExpired(session_id)
    return head


def take_rows(
    work: Work, state: StateTable, head: Head, rows: Sequence[Row], *, prefix: str, owner: LeaseOwner, ttl_ms: int
) -> tuple[Claim, list[Row]]:
    """Claim rows, at least one; give the claim, and the rows as they are to be put."""
    claim = grant_claim(
        claim_row(rows[0]),
        session_id=head.session_id,
        name=f"{prefix}:{rows[0][state.order]}",
        claim_token=work.new_token(),
        owner=owner,
        now_ms=work.now_ms,
        ttl_ms=ttl_ms,
    )
    return claim, [{**row, **claim_values(claim_row(row).taken(claim))} for row in rows]


def held_rows(state: StateTable, rows: Iterable[Row], claim: Claim, item_ids: Sequence[str]) -> list[Row] | None:
    """Give the rows that a claim holds, in order; None unless they are exactly those its holder says it took."""
    of_claim = [row for row in rows if row["claim_id"] == claim.claim_id]
    name = state.key[0]
    if not holds_exactly(claim, item_ids, rows={row[name]: claim_row(row) for row in of_claim}):
        return None
    return of_claim
