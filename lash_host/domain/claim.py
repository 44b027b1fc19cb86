"""A claim: who took queued work or turn input, and what proves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lash_host.domain.lease import LeaseOwner
from lash_host.domain.value import Value

__all__ = ["Claim", "ClaimRow", "OwnerIsDead"]

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

    def freed(self) -> ClaimRow:
        """Give the columns without a holder."""
        return ClaimRow(fencing_token=self.fencing_token)
