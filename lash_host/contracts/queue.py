"""What a store promises of work that waits for a session: turn input and queued work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from lash_host.domain.lease import LeaseFence, LeaseOwner
from lash_host.domain.queue import QueueBoundary, QueuedWorkBatch, QueuedWorkClaim, QueuedWorkDraft
from lash_host.domain.turn_input import (
    AnchorNotFound,
    CancelOutcome,
    CancelResult,
    CheckpointBoundary,
    InputTarget,
    PendingTurnInput,
    PendingTurnInputDraft,
    SuffixCancelled,
    TurnInputClaim,
)

__all__ = ["QueueStore", "TurnInputStore"]


class TurnInputStore(ABC):
    """Pending turn input. Rules: `lash_host.domain.turn_input`. Any session's, whether or not it has a head yet."""

    @abstractmethod
    def enqueue_turn_input(self, draft: PendingTurnInputDraft) -> PendingTurnInput:
        """Keep an input. Repeated with the same source key and content it gives the record back, in whatever state.

        Raises:
            TurnInputSourceKeyConflict: The source key was used for other content.
            TurnInputIdConflict: The id is given, and that of an input with another source key or other content.
        """

    @abstractmethod
    def list_pending_turn_inputs(self, session_id: str) -> Sequence[PendingTurnInput]:
        """List inputs that are neither settled, nor accepted, nor claimed, in order."""

    def cancel_turn_input(self, session_id: str, input_id: str) -> CancelOutcome:
        """Cancel one input."""
        return self.cancel_turn_inputs(session_id, [InputTarget(input_id=input_id)])[0].outcome

    @abstractmethod
    def cancel_turn_inputs(self, session_id: str, targets: Sequence[InputTarget]) -> Sequence[CancelResult]:
        """Cancel inputs, one after another, all in one transaction: as many results as targets, in their order."""

    @abstractmethod
    def cancel_turn_input_suffix(self, session_id: str, anchor: InputTarget) -> SuffixCancelled | AnchorNotFound:
        """Cancel an input and every later one of the session. Settled ones are reported too."""

    @abstractmethod
    def claim_active_turn_inputs(
        self,
        session_id: str,
        fence: LeaseFence,
        owner: LeaseOwner,
        *,
        turn_id: str,
        boundary: CheckpointBoundary,
        ttl_ms: int,
        limit: int,
    ) -> TurnInputClaim | None:
        """Accept inputs for a running turn at one of its checkpoints; None when there are none or ``limit`` is 0.

        Raises:
            SessionLeaseExpired: ``fence`` is not the live lease; also when there is nothing to claim.
        """

    @abstractmethod
    def claim_next_turn_inputs(
        self, session_id: str, fence: LeaseFence, owner: LeaseOwner, *, ttl_ms: int, limit: int
    ) -> TurnInputClaim | None:
        """Claim next-turn inputs; None when there are none or ``limit`` is 0.

        Raises:
            SessionLeaseExpired: ``fence`` is not the live lease; also when there is nothing to claim.
        """

    @abstractmethod
    def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """Give inputs back. A claim that is not held any more changes nothing."""


class QueueStore(ABC):
    """Queued work. Rules: `lash_host.domain.queue`. Any session's, whether or not it has a head yet."""

    @abstractmethod
    def enqueue_queued_work(self, draft: QueuedWorkDraft) -> QueuedWorkBatch:
        """Queue a batch. Repeated with the same source key it gives the original batch back, whatever it holds.

        Raises:
            InvalidQueuedWork: No payload, or payloads of both classes.
        """

    @abstractmethod
    def list_queued_work(self, session_id: str, *, include_claimed: bool = True) -> Sequence[QueuedWorkBatch]:
        """List a session's batches, in order."""

    @abstractmethod
    def claim_session_command(
        self, session_id: str, fence: LeaseFence, owner: LeaseOwner, *, ttl_ms: int
    ) -> QueuedWorkClaim | None:
        """Claim the session command at the head of the queue; None when the head is something else, or nothing.

        Raises:
            SessionLeaseExpired: ``fence`` is not the live lease; also when there is nothing to claim.
        """

    @abstractmethod
    def claim_queued_work(
        self,
        session_id: str,
        fence: LeaseFence,
        owner: LeaseOwner,
        *,
        boundary: QueueBoundary,
        ttl_ms: int,
        limit: int,
        batch_ids: Sequence[str] | None = None,
    ) -> QueuedWorkClaim | None:
        """Claim the turn work at the head of the queue: an exclusive batch, or a group of joinable ones.

        Args:
            session_id: Whose.
            fence: The session's live lease.
            owner: Who claims.
            boundary: Between turns, or at a checkpoint of one.
            ttl_ms: How long the claim lasts unless it is renewed.
            limit: At most so many batches; 0 gives None at once.
            batch_ids: Claim exactly these, in queue order, or nothing. Earlier work is never skipped.

        Raises:
            SessionLeaseExpired: ``fence`` is not the live lease; also when there is nothing to claim.
        """

    @abstractmethod
    def renew_queued_work_claim(self, claim: QueuedWorkClaim, *, ttl_ms: int) -> QueuedWorkClaim:
        """Extend a claim. One that expired may be renewed as long as nobody else took the work.

        Raises:
            QueuedWorkClaimExpired: Some of it is not held any more.
        """

    @abstractmethod
    def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give batches back. A claim that is not held any more changes nothing."""

    @abstractmethod
    def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Remove a batch that nobody has claimed, and give it; None when it is claimed, or not there."""

    @abstractmethod
    def sessions_with_work(self, *, limit: int) -> Sequence[str]:
        """List sessions that have unclaimed work or next-turn input available now, the longest waiting first."""

    @abstractmethod
    def wait_for_work(self, *, timeout_ms: int) -> bool:
        """Wait until somebody enqueues something, here or in another process; False when the time is up.

        It may say so too early or for nothing: look with `sessions_with_work` before and after.
        """
