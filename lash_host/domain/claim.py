"""A claim: who took queued work or turn input, and what proves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lash_host.domain.lease import LeaseOwner
from lash_host.domain.value import Value

__all__ = ["Claim", "ClaimRow", "OwnerIsDead", "grant_claim", "holds_exactly"]

OwnerIsDead = Callable[[LeaseOwner], bool]
"""Whether an owner is provably dead; see `lash_host.contracts.store.HolderIsDead`."""


class Claim(Value):
    """What a claimant presents to renew, abandon or complete what it claimed.

    The lease of the session is needed to take a claim, never to settle one: the two expire independently.

    Attributes:
        claim_id: Names the claim; unique within the session.
        claim_token: Proves it. Opaque.
        fencing_token: Greater than that of every earlier claim of the same first item.
        owner: Who claimed.
        claimed_at_ms: When.
        expires_at_ms: From this moment on others may claim the same items. Exclusive, as with leases.
    """

    session_id: str
    claim_id: str
    claim_token: str
    fencing_token: int
    owner: LeaseOwner
    claimed_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """The claim columns of an item. Without a token nobody holds it; the fencing token stays and only grows."""

    fencing_token: int = 0
    claim_id: str | None = None
    claim_token: str | None = None
    owner: LeaseOwner | None = None
    claimed_at_ms: int = 0
    expires_at_ms: int = 0

    def is_live(self, now_ms: int, *, owner_is_dead: OwnerIsDead | None = None) -> bool:
        """Whether somebody holds the item now. A holder that is provably dead holds nothing."""
        if self.claim_token is None or self.expires_at_ms <= now_ms:
            return False
        return owner_is_dead is None or self.owner is None or not owner_is_dead(self.owner)

    def is_held_by(self, claim: Claim) -> bool:
        """Whether the item is still that claim's. Expiry does not count: what nobody took again may be settled."""
        return self.claim_token == claim.claim_token and self.claim_id == claim.claim_id

    def taken(self, claim: Claim) -> ClaimRow:
        """Give the columns of an item that a claim takes: its own fencing token grows by one."""
        return ClaimRow(
            fencing_token=self.fencing_token + 1,
            claim_id=claim.claim_id,
            claim_token=claim.claim_token,
            owner=claim.owner,
            claimed_at_ms=claim.claimed_at_ms,
            expires_at_ms=claim.expires_at_ms,
        )

    def renewed(self, claim: Claim) -> ClaimRow:
        """Give the columns of an item whose claim was extended."""
        return replace(self, expires_at_ms=claim.expires_at_ms)

    def freed(self) -> ClaimRow:
        """Give the columns without a holder."""
        return ClaimRow(fencing_token=self.fencing_token)


def grant_claim(
    first: ClaimRow, *, session_id: str, name: str, claim_token: str, owner: LeaseOwner, now_ms: int, ttl_ms: int
) -> Claim:
    """Make the claim of some items.

    Args:
        first: The claim columns of the first item, as they are. Their fencing token, which only grows, makes the
            claim's own greater than that of every earlier claim of that item.
        session_id: Whose items they are.
        name: Names the first item; with the fencing token it names the claim.
        claim_token: Proves the claim.
        owner: Who claims.
        now_ms: The time.
        ttl_ms: How long it lasts unless it is renewed.
    """
    fencing_token = first.fencing_token + 1
    return Claim(
        session_id=session_id,
        claim_id=f"{name}:{fencing_token}",
        claim_token=claim_token,
        fencing_token=fencing_token,
        owner=owner,
        claimed_at_ms=now_ms,
        expires_at_ms=now_ms + ttl_ms,
    )


def holds_exactly(claim: Claim, item_ids: Sequence[str], *, rows: Mapping[str, ClaimRow]) -> bool:
    """Whether a claim still holds the items it took, all of them and no others.

    Args:
        claim: The claim.
        item_ids: What its holder says it took.
        rows: The claim columns of the session's items by their ids: at least of all that the claim holds.
    """
    held = {item_id for item_id, row in rows.items() if row.is_held_by(claim)}
    return len(held) == len(item_ids) and held == set(item_ids)
