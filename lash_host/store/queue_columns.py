"""Rows of queued work and of receipts, as values and as they are stored."""

from __future__ import annotations

from pydantic import TypeAdapter

from lash_host.domain.claim import ClaimRow
from lash_host.domain.queue import (
    DeliveryPolicy,
    MergeKey,
    QueuedWorkBatch,
    QueuedWorkItem,
    SlotPolicy,
    WorkClass,
)
from lash_host.domain.queue_rules import QueueEntry
from lash_host.store.claim_columns import claim_row, claim_values
from lash_host.store.records import dump_json, dump_value, load_value
from lash_host.store.work import Row

__all__ = ["batch_of", "batch_row", "entry_of", "receipt_batch", "receipt_row"]

_ITEMS = TypeAdapter(tuple[QueuedWorkItem, ...])
_MERGE_KEY = TypeAdapter(MergeKey)
_BATCH = TypeAdapter(QueuedWorkBatch)


def batch_row(batch: QueuedWorkBatch, *, session_key: int, work_class: WorkClass) -> Row:
    """Make the row of a new batch, which nobody has claimed."""
    return {
        "session_key": session_key,
        "batch_id": batch.batch_id,
        "enqueue_seq": batch.enqueue_seq,
        "source_key": batch.source_key,
        "work_class": work_class.value,
        "delivery_policy": batch.delivery_policy.value,
        "slot_policy": batch.slot_policy.value,
        "merge_key": dump_value(batch.merge_key),
        "available_at_ms": batch.available_at_ms,
        "enqueued_at_ms": batch.enqueued_at_ms,
        "items": dump_json([item.model_dump(mode="json") for item in batch.items]),
        **claim_values(ClaimRow()),
    }


def batch_of(row: Row, *, session_id: str) -> QueuedWorkBatch:
    """Read a batch.

    Raises:
        StoreError: The row is not what was written.
    """
    return QueuedWorkBatch(
        batch_id=row["batch_id"],
        session_id=session_id,
        enqueue_seq=row["enqueue_seq"],
        source_key=row["source_key"],
        delivery_policy=DeliveryPolicy(row["delivery_policy"]),
        slot_policy=SlotPolicy(row["slot_policy"]),
        merge_key=load_value("merge key", _MERGE_KEY, row["merge_key"]),
        available_at_ms=row["available_at_ms"],
        enqueued_at_ms=row["enqueued_at_ms"],
        items=load_value("queued items", _ITEMS, row["items"]),
    )


def entry_of(row: Row) -> QueueEntry:
    """Read what of a batch decides who may claim it."""
    return QueueEntry(
        batch_id=row["batch_id"],
        work_class=WorkClass(row["work_class"]),
        delivery_policy=DeliveryPolicy(row["delivery_policy"]),
        slot_policy=SlotPolicy(row["slot_policy"]),
        merge_key=load_value("merge key", _MERGE_KEY, row["merge_key"]),
        available_at_ms=row["available_at_ms"],
        claim=claim_row(row),
    )


def receipt_row(batch: QueuedWorkBatch, *, session_key: int, completed_at_us: int) -> Row:
    """Make the receipt of a command that was carried out."""
    return {
        "session_key": session_key,
        "source_key": batch.source_key,
        "batch": dump_value(batch.model_copy(update={"completed_at_us": completed_at_us})),
        "completed_at_us": completed_at_us,
    }


def receipt_batch(row: Row) -> QueuedWorkBatch:
    """Read the batch that a receipt is for.

    Raises:
        StoreError: The row is not what was written.
    """
    return load_value("receipt", _BATCH, row["batch"])
