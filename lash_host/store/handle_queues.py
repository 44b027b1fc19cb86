"""The part of a store's handle that is about waiting work: turn input and queued work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from lash_host.contracts.queue import QueueStore, TurnInputStore
from lash_host.domain.lease import LeaseFence, LeaseOwner
from lash_host.domain.queue import QueueBoundary, QueuedWorkBatch, QueuedWorkClaim, QueuedWorkDraft
from lash_host.domain.turn_input import (
    AnchorNotFound,
    CancelResult,
    CheckpointBoundary,
    InputTarget,
    PendingTurnInput,
    PendingTurnInputDraft,
    SuffixCancelled,
    TurnInputClaim,
)
from lash_host.store import queue, turn_inputs, waiting
from lash_host.store.work import Engine

__all__ = ["QueueHandle"]


class QueueHandle(TurnInputStore, QueueStore):
    """Turn input and queued work, through the engine."""

    @property
    @abstractmethod
    def _engine(self) -> Engine:
        """The engine; an error where the handle was closed."""

    def enqueue_turn_input(self, draft: PendingTurnInputDraft) -> PendingTurnInput:
        """Keep an input."""
        return self._engine.run(lambda work: turn_inputs.enqueue(work, draft))

    def list_pending_turn_inputs(self, session_id: str) -> Sequence[PendingTurnInput]:
        """List inputs that wait."""
        return self._engine.run(lambda work: turn_inputs.list_pending(work, session_id))

    def cancel_turn_inputs(self, session_id: str, targets: Sequence[InputTarget]) -> Sequence[CancelResult]:
        """Cancel inputs."""
        return self._engine.run(lambda work: turn_inputs.cancel(work, session_id, targets))

    def cancel_turn_input_suffix(self, session_id: str, anchor: InputTarget) -> SuffixCancelled | AnchorNotFound:
        """Cancel an input and every later one."""
        return self._engine.run(lambda work: turn_inputs.cancel_suffix(work, session_id, anchor))

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
        """Accept inputs for a running turn."""
        return self._engine.run(
            lambda work: turn_inputs.claim_active(
                work, session_id, fence, owner, turn_id=turn_id, boundary=boundary, ttl_ms=ttl_ms, limit=limit
            )
        )

    def claim_next_turn_inputs(
        self, session_id: str, fence: LeaseFence, owner: LeaseOwner, *, ttl_ms: int, limit: int
    ) -> TurnInputClaim | None:
        """Claim next-turn inputs."""
        return self._engine.run(
            lambda work: turn_inputs.claim_next(work, session_id, fence, owner, ttl_ms=ttl_ms, limit=limit)
        )

    def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """Give inputs back."""
        self._engine.run(lambda work: turn_inputs.abandon_claim(work, claim))

    def enqueue_queued_work(self, draft: QueuedWorkDraft) -> QueuedWorkBatch:
        """Queue a batch."""
        return self._engine.run(lambda work: queue.enqueue(work, draft))

    def list_queued_work(self, session_id: str, *, include_claimed: bool = True) -> Sequence[QueuedWorkBatch]:
        """List a session's batches."""
        return self._engine.run(lambda work: queue.list_batches(work, session_id, include_claimed=include_claimed))

    def claim_session_command(
        self, session_id: str, fence: LeaseFence, owner: LeaseOwner, *, ttl_ms: int
    ) -> QueuedWorkClaim | None:
        """Claim the session command at the head of the queue."""
        return self._engine.run(lambda work: queue.claim_command(work, session_id, fence, owner, ttl_ms=ttl_ms))

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
        """Claim the turn work at the head of the queue."""
        return self._engine.run(
            lambda work: queue.claim_work(
                work, session_id, fence, owner, boundary=boundary, ttl_ms=ttl_ms, limit=limit, batch_ids=batch_ids
            )
        )

    def renew_queued_work_claim(self, claim: QueuedWorkClaim, *, ttl_ms: int) -> QueuedWorkClaim:
        """Extend a claim."""
        return self._engine.run(lambda work: queue.renew_claim(work, claim, ttl_ms=ttl_ms))

    def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give batches back."""
        self._engine.run(lambda work: queue.abandon_claim(work, claim))

    def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Remove a batch that nobody has claimed."""
        return self._engine.run(lambda work: queue.cancel_batch(work, session_id, batch_id))

    def sessions_with_work(self, *, limit: int) -> Sequence[str]:
        """List sessions that have work or input available now."""
        engine = self._engine
        now_ms = engine.run(lambda work: work.now_ms)
        with engine.read() as transaction:
            return waiting.sessions_with_work(transaction, now_ms=now_ms, limit=limit)

    def wait_for_work(self, *, timeout_ms: int) -> bool:
        """Wait until somebody enqueues something."""
        return self._engine.wait_for_work(timeout_ms=timeout_ms)
