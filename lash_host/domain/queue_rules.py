"""Rules of queued work: what class a batch is, and which batches a claim may take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, takewhile
from typing import assert_never

from lash_host.domain.claim import ClaimRow, OwnerIsDead
from lash_host.domain.queue import (
    DeliveryPolicy,
    MergeKey,
    ProcessWake,
    QueueBoundary,
    QueuedWorkPayload,
    SessionCommand,
    SlotPolicy,
    WorkClass,
)

__all__ = [
    "ClassDecision",
    "InvalidBatch",
    "NotTaken",
    "QueueEntry",
    "SelectionDecision",
    "Taken",
    "WhyNot",
    "classify",
    "ready_entries",
    "select_command",
    "select_turn_work",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """What of a queued batch decides who may claim it."""

    batch_id: str
    work_class: WorkClass
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    claim: ClaimRow

    def may_be_claimed(self, now_ms: int, *, owner_is_dead: OwnerIsDead | None = None) -> bool:
        """Whether its time has come and nobody holds it."""
        return self.available_at_ms <= now_ms and not self.claim.is_live(now_ms, owner_is_dead=owner_is_dead)

    def may_join(self, head: QueueEntry) -> bool:
        """Whether it may be taken together with ``head``, given that nothing ready lies between them but its like."""
        return (
            self.work_class is head.work_class
            and self.slot_policy is SlotPolicy.JOIN
            and self.delivery_policy is head.delivery_policy
            and self.merge_key == head.merge_key
        )


@dataclass(frozen=True, slots=True)
class InvalidBatch:
    """The payloads make no batch."""

    problem: str


ClassDecision = WorkClass | InvalidBatch


class WhyNot(StrEnum):
    """Why a claim takes nothing.

    `NOTHING_READY`: no batch is available and free. `OTHER_CLASS_FIRST`: the first that is ready is of the other class;
    neither class passes the other. `NOT_AT_A_CHECKPOINT`: the first waits for the running turn's commit.
    `OTHER_BATCHES`: the batches that are next are not exactly those asked for.
    """

    NOTHING_READY = "nothing_ready"
    OTHER_CLASS_FIRST = "other_class_first"
    NOT_AT_A_CHECKPOINT = "not_at_a_checkpoint"
    OTHER_BATCHES = "other_batches"


@dataclass(frozen=True, slots=True)
class Taken:
    """The claim takes these, in queue order; at least one."""

    entries: tuple[QueueEntry, ...]


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The claim takes nothing."""

    why: WhyNot


SelectionDecision = Taken | NotTaken


def classify(payloads: Sequence[QueuedWorkPayload]) -> ClassDecision:
    """Say what class a batch of these payloads is; it must have some, all of one class."""
    classes = {_class_of(payload) for payload in payloads}
    match len(classes):
        case 0:
            return InvalidBatch("a batch needs at least one payload")
        case 1:
            return classes.pop()
        case _:
            return InvalidBatch("a batch holds either turn work or session commands, not both")


def _class_of(payload: QueuedWorkPayload) -> WorkClass:
    match payload:
        case ProcessWake():
            return WorkClass.TURN_WORK
        case SessionCommand():
            return WorkClass.SESSION_COMMAND
        case _:
            assert_never(payload)


def ready_entries(
    entries: Iterable[QueueEntry], *, now_ms: int, owner_is_dead: OwnerIsDead | None = None
) -> Iterator[QueueEntry]:
    """Give the batches that may be claimed now.

    Those that are claimed or not available yet are skipped: what comes after them need not wait for them.

    Args:
        entries: A session's batches in queue order. No more of them are read than are asked for.
        now_ms: The time.
        owner_is_dead: Says whose claims hold nothing any more before they expire.
    """
    return (entry for entry in entries if entry.may_be_claimed(now_ms, owner_is_dead=owner_is_dead))


def select_command(
    entries: Iterable[QueueEntry], *, now_ms: int, owner_is_dead: OwnerIsDead | None = None
) -> SelectionDecision:
    """Say which session command a claim takes: the one at the head of what is ready, or none."""
    head = next(ready_entries(entries, now_ms=now_ms, owner_is_dead=owner_is_dead), None)
    if head is None:
        return NotTaken(WhyNot.NOTHING_READY)
    if head.work_class is not WorkClass.SESSION_COMMAND:
        return NotTaken(WhyNot.OTHER_CLASS_FIRST)
    return Taken((head,))


def select_turn_work(
    entries: Iterable[QueueEntry],
    *,
    boundary: QueueBoundary,
    limit: int,
    now_ms: int,
    owner_is_dead: OwnerIsDead | None = None,
    batch_ids: Sequence[str] | None = None,
) -> SelectionDecision:
    """Say which turn work a claim takes: what is at the head of what is ready, with all that may join it.

    Args:
        entries: A session's batches in queue order.
        boundary: At a checkpoint only work that may enter a running turn is taken; nothing behind other work is.
        limit: At most so many batches; at least 1.
        now_ms: The time.
        owner_is_dead: Says whose claims hold nothing any more before they expire.
        batch_ids: Exactly these, in this order, or nothing; at least one.
    """
    ready = ready_entries(entries, now_ms=now_ms, owner_is_dead=owner_is_dead)
    head = next(ready, None)
    if head is None:
        return NotTaken(WhyNot.NOTHING_READY)
    if head.work_class is not WorkClass.TURN_WORK:
        return NotTaken(WhyNot.OTHER_CLASS_FIRST)
    if boundary is QueueBoundary.ACTIVE_TURN_CHECKPOINT and not _enters_a_running_turn(head):
        return NotTaken(WhyNot.NOT_AT_A_CHECKPOINT)
    wanted = limit if batch_ids is None else min(limit, len(batch_ids))
    group = (head, *islice(_joining(head, ready), wanted - 1))
    if batch_ids is not None and [entry.batch_id for entry in group] != list(batch_ids):
        return NotTaken(WhyNot.OTHER_BATCHES)
    return Taken(group)


def _enters_a_running_turn(entry: QueueEntry) -> bool:
    return entry.delivery_policy is DeliveryPolicy.EARLIEST_SAFE_BOUNDARY


def _joining(head: QueueEntry, following: Iterator[QueueEntry]) -> Iterator[QueueEntry]:
    if head.slot_policy is SlotPolicy.EXCLUSIVE:
        return iter(())
    return takewhile(lambda entry: entry.may_join(head), following)
