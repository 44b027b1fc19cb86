"""Queued work: process wakes and session commands that wait for a session, and who may take them when."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from lash_host.domain.claim import Claim
from lash_host.domain.value import JsonObject, Value

__all__ = [
    "DeliveryPolicy",
    "MergeKey",
    "ProcessWake",
    "QueueBoundary",
    "QueuedWorkBatch",
    "QueuedWorkClaim",
    "QueuedWorkDraft",
    "QueuedWorkItem",
    "QueuedWorkPayload",
    "RefreshToolCatalog",
    "ResetSession",
    "SessionCommand",
    "SlotPolicy",
    "WorkClass",
    "command_source_key",
    "wake_source_key",
]


class DeliveryPolicy(StrEnum):
    """When work may be delivered: into a running turn at a checkpoint, or only when the session is idle."""

    EARLIEST_SAFE_BOUNDARY = "earliest_safe_boundary"
    AFTER_CURRENT_TURN_COMMIT = "after_current_turn_commit"


class SlotPolicy(StrEnum):
    """Whether a batch may share a turn with its neighbours."""

    JOIN = "join"
    EXCLUSIVE = "exclusive"


class MergeKey(Value):
    """Which joinable batches belong together. Compared by equality only."""

    kind: Literal["never", "payload_default", "group"] = "never"
    group: str | None = None


class WorkClass(StrEnum):
    """What sort of work a batch is. Claims of one class never pass a ready head of the other."""

    TURN_WORK = "turn_work"
    SESSION_COMMAND = "session_command"


class QueueBoundary(StrEnum):
    """Where a claim is made: between turns, or at a checkpoint inside one."""

    IDLE = "idle"
    ACTIVE_TURN_CHECKPOINT = "active_turn_checkpoint"


class ProcessWake(Value):
    """A process woke the session.

    Attributes:
        process_id: Which process.
        event_sequence: The event that wakes; with the process it names the wake.
        wake: What the model is told, in the words of whoever made the event.
    """

    kind: Literal["process_wake"] = "process_wake"
    process_id: str
    event_sequence: int
    wake: JsonObject = Field(default_factory=dict)


class RefreshToolCatalog(Value):
    """A command: read the tool sources again."""

    command: Literal["refresh_tool_catalog"] = "refresh_tool_catalog"
    reason: str | None = None


class ResetSession(Value):
    """A command: begin anew with an empty graph."""

    command: Literal["reset_session"] = "reset_session"
    reason: str | None = None


class SessionCommand(Value):
    """A command that waits for its session."""

    kind: Literal["session_command"] = "session_command"
    command: Annotated[RefreshToolCatalog | ResetSession, Field(discriminator="command")]


QueuedWorkPayload = Annotated[ProcessWake | SessionCommand, Field(discriminator="kind")]


class QueuedWorkDraft(Value):
    """Work to be queued as one batch.

    Attributes:
        source_key: Makes a repeated enqueue recognizable: the original batch is given back, whatever the repeat holds.
            Free again when the batch was completed or cancelled, but for commands, whose receipts stay.
        available_at_ms: Not claimed before; 0 is now.
        payloads: At least one, all of one class.
    """

    session_id: str
    source_key: str | None = None
    delivery_policy: DeliveryPolicy = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
    slot_policy: SlotPolicy = SlotPolicy.JOIN
    merge_key: MergeKey = MergeKey()
    available_at_ms: int = 0
    payloads: tuple[QueuedWorkPayload, ...]


class QueuedWorkItem(Value):
    """One payload of a batch; its id is ``<batch id>:item:<n>``, from 0."""

    item_id: str
    payload: QueuedWorkPayload


class QueuedWorkBatch(Value):
    """A batch as it is queued. `enqueue_seq` orders a session's batches.

    `completed_at_us` is set only where a repeated command is answered from its receipt.
    """

    batch_id: str
    session_id: str
    enqueue_seq: int
    source_key: str | None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    enqueued_at_ms: int
    items: tuple[QueuedWorkItem, ...]
    completed_at_us: int | None = None


class QueuedWorkClaim(Value):
    """Batches that one claimant took, in queue order."""

    claim: Claim
    batches: tuple[QueuedWorkBatch, ...]

    @property
    def exclusive_session_command(self) -> tuple[QueuedWorkBatch, SessionCommand] | None:
        """The command, where the claim is exactly one exclusive batch with exactly one command."""
        if len(self.batches) != 1 or self.batches[0].slot_policy is not SlotPolicy.EXCLUSIVE:
            return None
        batch = self.batches[0]
        payload = batch.items[0].payload if len(batch.items) == 1 else None
        return (batch, payload) if isinstance(payload, SessionCommand) else None


def command_source_key(command: SessionCommand, *, idempotency_key: str) -> str:
    """Name a command's batch by its kind and the caller's key."""
    return f"command:{command.command.command}:{idempotency_key}"


def wake_source_key(process_id: str, event_sequence: int) -> str:
    """Name a wake's batch by the event that made it."""
    return f"process:{process_id}:event:{event_sequence}:wake"
