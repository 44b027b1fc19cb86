"""The session execution lease: who may write to a session, and how that passes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lash_host.domain.value import Value

__all__ = [
    "LeaseAcquired",
    "LeaseBusy",
    "LeaseFence",
    "LeaseOwner",
    "LeaseRow",
    "LeaseTimings",
    "ProcessIdentity",
    "SessionLease",
    "decide_claim",
    "decide_reclaim",
    "holds",
]


class ProcessIdentity(Value):
    """A process, told apart from a later one with the same pid.

    Attributes:
        host_id: The machine.
        boot_id: The machine's boot.
        pid: The process id.
        started_at_ms: When the process was created, in UTC milliseconds as the operating system tells it.
    """

    host_id: str
    boot_id: str
    pid: int
    started_at_ms: int


class LeaseOwner(Value):
    """Who holds a lease. The same owner id with another incarnation is a different owner.

    `process` makes it possible to prove the owner dead; without it only time can free the lease.
    """

    owner_id: str
    incarnation_id: str
    process: ProcessIdentity | None = None

    def same_incarnation(self, other: LeaseOwner) -> bool:
        """Whether both name the same living owner."""
        return self.owner_id == other.owner_id and self.incarnation_id == other.incarnation_id

    def describe(self) -> str:
        """Name the owner for a message to a person."""
        return f"process {self.process.pid}" if self.process else self.owner_id


class LeaseFence(Value):
    """What a holder presents with every write. `fencing_token` grows with every new holder of the session."""

    session_id: str
    owner: LeaseOwner
    lease_token: str
    fencing_token: int


class SessionLease(Value):
    """A granted lease. Expiry is exclusive: at ``expires_at_ms`` it is expired."""

    fence: LeaseFence
    claimed_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """What a store remembers of a session's lease. Without a token nobody holds it; the fencing token stays."""

    fencing_token: int = 0
    owner: LeaseOwner | None = None
    lease_token: str | None = None
    claimed_at_ms: int = 0
    expires_at_ms: int = 0

    def is_live(self, now_ms: int) -> bool:
        """Whether somebody holds it now."""
        return self.lease_token is not None and self.expires_at_ms > now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimings:
    """How long a lease lives and how often it is renewed; it must survive two missed renewals."""

    ttl_ms: int = 30_000
    renew_interval_ms: int = 10_000

    def __post_init__(self) -> None:
        """Refuse timings under which a live holder could lose its lease."""
        if self.renew_interval_ms < 1:
            raise ValueError(f"renew_interval_ms must be at least 1, got {self.renew_interval_ms}")
        if self.ttl_ms < 3 * self.renew_interval_ms:
            raise ValueError(
                f"ttl_ms must be at least three renewals ({3 * self.renew_interval_ms}), got {self.ttl_ms}"
            )

    @classmethod
    def from_ttl(cls, ttl_ms: int) -> LeaseTimings:
        """Renew three times a lifetime."""
        return cls(ttl_ms=ttl_ms, renew_interval_ms=max(ttl_ms // 3, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAcquired:
    """The lease is the claimant's. On re-entry token and fencing token are those it already had."""

    lease: SessionLease
    kind: Literal["fresh", "reentry", "reclaimed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseBusy:
    """Somebody else holds it; `holder` is what a reclaim must present."""

    holder: LeaseFence
    expires_at_ms: int


def decide_claim(
    session_id: str, row: LeaseRow, owner: LeaseOwner, *, now_ms: int, ttl_ms: int, new_token: str
) -> LeaseAcquired | LeaseBusy:
    """Decide a plain claim. It never takes over a live lease, not even a dead holder's: that is what reclaim is for."""
    if row.is_live(now_ms) and row.owner is not None and row.lease_token is not None:
        held = _fence(session_id, row.owner, row.lease_token, row.fencing_token)
        if not row.owner.same_incarnation(owner):
            return LeaseBusy(holder=held, expires_at_ms=row.expires_at_ms)
        lease = SessionLease(fence=held, claimed_at_ms=row.claimed_at_ms, expires_at_ms=now_ms + ttl_ms)
        return LeaseAcquired(lease=lease, kind="reentry")
    return _grant(session_id, row, owner, now_ms=now_ms, ttl_ms=ttl_ms, new_token=new_token, kind="fresh")


def decide_reclaim(
    session_id: str,
    row: LeaseRow,
    owner: LeaseOwner,
    *,
    observed: LeaseFence,
    holder_is_dead: bool,
    now_ms: int,
    ttl_ms: int,
    new_token: str,
) -> LeaseAcquired | LeaseBusy:
    """Decide taking over from a holder that was seen and is provably dead.

    A stale observation can never clear a newer lease: the row must still be exactly the one observed.
    """
    if not row.is_live(now_ms) or row.owner is None or row.lease_token is None:
        return _grant(session_id, row, owner, now_ms=now_ms, ttl_ms=ttl_ms, new_token=new_token, kind="fresh")
    if holds(row, observed, now_ms=now_ms) and holder_is_dead:
        return _grant(session_id, row, owner, now_ms=now_ms, ttl_ms=ttl_ms, new_token=new_token, kind="reclaimed")
    held = _fence(session_id, row.owner, row.lease_token, row.fencing_token)
    return LeaseBusy(holder=held, expires_at_ms=row.expires_at_ms)


def holds(row: LeaseRow, fence: LeaseFence, *, now_ms: int) -> bool:
    """Whether ``fence`` is that of the live lease in every part: owner, incarnation, token, fencing token."""
    return (
        row.is_live(now_ms)
        and row.owner is not None
        and row.owner.same_incarnation(fence.owner)
        and row.lease_token == fence.lease_token
        and row.fencing_token == fence.fencing_token
    )


def _fence(session_id: str, owner: LeaseOwner, token: str, fencing_token: int) -> LeaseFence:
    return LeaseFence(session_id=session_id, owner=owner, lease_token=token, fencing_token=fencing_token)


def _grant(
    session_id: str,
    row: LeaseRow,
    owner: LeaseOwner,
    *,
    now_ms: int,
    ttl_ms: int,
    new_token: str,
    kind: Literal["fresh", "reclaimed"],
) -> LeaseAcquired:
    fence = _fence(session_id, owner, new_token, row.fencing_token + 1)
    lease = SessionLease(fence=fence, claimed_at_ms=now_ms, expires_at_ms=now_ms + ttl_ms)
    return LeaseAcquired(lease=lease, kind=kind)
