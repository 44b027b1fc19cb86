"""Operations on queued work; see `lash_host.contracts.queue.QueueStore`."""

from __future__ import annotations

from collections.abc import Sequence

from lash_host.domain.claim import ClaimRow
from lash_host.domain.lease import LeaseFence, LeaseOwner
from lash_host.domain.queue import (
    QueueBoundary,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkDraft,
    QueuedWorkItem,
    WorkClass,
)
from lash_host.domain.queue_rules import (
    InvalidBatch,
    NotTaken,
    SelectionDecision,
    Taken,
    classify,
    select_command,
    select_turn_work,
)
from lash_host.errors import InvalidQueuedWork, QueuedWorkClaimExpired
from lash_host.store.claim_columns import claim_row, claim_values
from lash_host.store.claiming import held_rows, leased_head, take_rows
from lash_host.store.head import Head
from lash_host.store.queue_columns import batch_of, batch_row, entry_of, receipt_batch
from lash_host.store.work import QUEUED_WORK, RECEIPTS, Row, Work

__all__ = [
    "abandon_claim",
    "cancel_batch",
    "claim_command",
    "claim_work",
    "enqueue",
    "list_batches",
    "renew_claim",
]


def enqueue(work: Work, draft: QueuedWorkDraft) -> QueuedWorkBatch:
    """Queue a batch, or give back the one that has its source key, from its receipt where it is a finished command.

    Raises:
        InvalidQueuedWork: No payload, or payloads of both classes.
    """
    match classify(draft.payloads):
        case InvalidBatch(problem):
            raise InvalidQueuedWork(session_id=draft.session_id, problem=problem)
        case work_class:
            head = work.ensure_head(draft.session_id)
            return _known(work, head, draft) or _add(work, head, draft, work_class)


def _known(work: Work, head: Head, draft: QueuedWorkDraft) -> QueuedWorkBatch | None:
    if draft.source_key is None:
        return None
    if (row := work.find(QUEUED_WORK, head, "source_key", draft.source_key)) is not None:
        return batch_of(row, session_id=head.session_id)
    receipt = work.find(RECEIPTS, head, "source_key", draft.source_key)
    return None if receipt is None else receipt_batch(receipt)


def _add(work: Work, head: Head, draft: QueuedWorkDraft, work_class: WorkClass) -> QueuedWorkBatch:
    keys = head.keys
    enqueue_seq = keys.next(work.now_us)
    batch_id = f"qwb:{head.session_key:x}:{enqueue_seq:x}"
    batch = QueuedWorkBatch(
        batch_id=batch_id,
        session_id=draft.session_id,
        enqueue_seq=enqueue_seq,
        source_key=draft.source_key,
        delivery_policy=draft.delivery_policy,
        slot_policy=draft.slot_policy,
        merge_key=draft.merge_key,
        available_at_ms=draft.available_at_ms,
        enqueued_at_ms=work.now_ms,
        items=tuple(
            QueuedWorkItem(item_id=f"{batch_id}:item:{number}", payload=payload)
            for number, payload in enumerate(draft.payloads)
        ),
    )
    work.put_head(head.changed({"last_key": keys.last}))
    work.put(QUEUED_WORK, batch_row(batch, session_key=head.session_key, work_class=work_class))
    work.announce_work()
    return batch


def list_batches(work: Work, session_id: str, *, include_claimed: bool) -> list[QueuedWorkBatch]:
    """List a session's batches, in order."""
    head = work.head(session_id)
    if head is None:
        return []
    return [
        batch_of(row, session_id=session_id)
        for row in work.live(QUEUED_WORK, head)
        if include_claimed or not _is_claimed(work, row)
    ]


def claim_command(
    work: Work, session_id: str, fence: LeaseFence, owner: LeaseOwner, *, ttl_ms: int
) -> QueuedWorkClaim | None:
    """Claim the session command at the head of the queue; None when the head is something else, or nothing.

    Raises:
        SessionLeaseExpired: ``fence`` is not the live lease.
    """
    head = leased_head(work, session_id, fence)
    rows = work.live(QUEUED_WORK, head)
    decision = select_command(map(entry_of, rows), now_ms=work.now_ms, owner_is_dead=work.owner_is_dead)
    return _claim(work, head, rows, decision, owner=owner, ttl_ms=ttl_ms)


def claim_work(
    work: Work,
    session_id: str,
    fence: LeaseFence,
    owner: LeaseOwner,
    *,
    boundary: QueueBoundary,
    ttl_ms: int,
    limit: int,
    batch_ids: Sequence[str] | None = None,
) -> QueuedWorkClaim | None:
    """Claim the turn work at the head of the queue; asked for none, by ``limit`` or by ``batch_ids``, None at once.

    Raises:
        SessionLeaseExpired: ``fence`` is not the live lease.
    """
    if limit < 1 or (batch_ids is not None and not batch_ids):
        return None
    head = leased_head(work, session_id, fence)
    rows = work.live(QUEUED_WORK, head)
    decision = select_turn_work(
        map(entry_of, rows),
        boundary=boundary,
        limit=limit,
        now_ms=work.now_ms,
        owner_is_dead=work.owner_is_dead,
        batch_ids=batch_ids,
    )
    return _claim(work, head, rows, decision, owner=owner, ttl_ms=ttl_ms)


def _claim(
    work: Work, head: Head, rows: Sequence[Row], decision: SelectionDecision, *, owner: LeaseOwner, ttl_ms: int
) -> QueuedWorkClaim | None:
    match decision:
        case NotTaken():
            return None
        case Taken(entries):
            chosen = {entry.batch_id for entry in entries}
            claim, taken = take_rows(
                work,
                QUEUED_WORK,
                head,
                [row for row in rows if row["batch_id"] in chosen],
                prefix="qwc",
                owner=owner,
                ttl_ms=ttl_ms,
            )
            for row in taken:
                work.put(QUEUED_WORK, row)
            return QueuedWorkClaim(
                claim=claim, batches=tuple(batch_of(row, session_id=head.session_id) for row in taken)
            )


def renew_claim(work: Work, claim: QueuedWorkClaim, *, ttl_ms: int) -> QueuedWorkClaim:
    """Extend a claim, also one that expired and that nobody took since.

    Raises:
        QueuedWorkClaimExpired: Some of it is not held any more.
    """
    held = claim.claim
    head = work.head(held.session_id)
    rows = [] if head is None else work.live(QUEUED_WORK, head)
    ours = held_rows(QUEUED_WORK, rows, held, [batch.batch_id for batch in claim.batches])
    if not ours:
        raise QueuedWorkClaimExpired(session_id=held.session_id, claim_id=held.claim_id)
    renewed = held.model_copy(update={"expires_at_ms": work.now_ms + ttl_ms})
    for row in ours:
        work.put(QUEUED_WORK, {**row, **claim_values(claim_row(row).renewed(renewed))})
    return claim.model_copy(update={"claim": renewed})


def abandon_claim(work: Work, claim: QueuedWorkClaim) -> None:
    """Give back what of a claim is still held."""
    head = work.head(claim.claim.session_id)
    if head is None:
        return
    for row in work.live(QUEUED_WORK, head):
        columns: ClaimRow = claim_row(row)
        if columns.is_held_by(claim.claim):
            work.put(QUEUED_WORK, {**row, **claim_values(columns.freed())})


def cancel_batch(work: Work, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
    """Remove a batch that nobody has claimed, and give it; None when it is claimed, or not there."""
    head = work.head(session_id)
    row = None if head is None else work.find(QUEUED_WORK, head, "batch_id", batch_id)
    if row is None or _is_claimed(work, row):
        return None
    work.remove(QUEUED_WORK, row)
    return batch_of(row, session_id=session_id)


def _is_claimed(work: Work, row: Row) -> bool:
    return claim_row(row).is_live(work.now_ms, owner_is_dead=work.owner_is_dead)
