"""The claim columns of queued work and turn input, as the rules want them and as they are stored."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from lash_host.domain.claim import Claim, ClaimRow
from lash_host.domain.lease import LeaseOwner
from lash_host.store.records import dump_value, load_value
from lash_host.store.work import Row

__all__ = ["claim_of", "claim_row", "claim_values"]

_OWNER = TypeAdapter(LeaseOwner)


def claim_row(row: Row) -> ClaimRow:
    """Read the claim columns of a row."""
    if row["claim_token"] is None:
        return ClaimRow(fencing_token=row["claim_fencing_token"])
    return ClaimRow(
        fencing_token=row["claim_fencing_token"],
        claim_id=row["claim_id"],
        claim_token=row["claim_token"],
        owner=load_value("claim's owner", _OWNER, row["claim_owner"]),
        claimed_at_ms=row["claimed_at_ms"],
        expires_at_ms=row["claim_expires_at_ms"],
    )


def claim_values(claim: ClaimRow) -> dict[str, Any]:
    """Write the claim columns of a row."""
    return {
        "claim_fencing_token": claim.fencing_token,
        "claim_id": claim.claim_id,
        "claim_token": claim.claim_token,
        "claim_owner": None if claim.owner is None else dump_value(claim.owner),
        "claimed_at_ms": claim.claimed_at_ms,
        "claim_expires_at_ms": claim.expires_at_ms,
    }


def claim_of(claim: ClaimRow, *, session_id: str) -> Claim | None:
    """Give the claim that an item is under; None where nobody holds it."""
    if claim.claim_token is None or claim.claim_id is None or claim.owner is None:
        return None
    return Claim(
        session_id=session_id,
        claim_id=claim.claim_id,
        claim_token=claim.claim_token,
        fencing_token=claim.fencing_token,
        owner=claim.owner,
        claimed_at_ms=claim.claimed_at_ms,
        expires_at_ms=claim.expires_at_ms,
    )
