"""Drafts of what waits for a session: turn input, process wakes, session commands."""

from __future__ import annotations

from typing import Any

from lash_host.domain.queue import (
    DeliveryPolicy,
    ProcessWake,
    QueuedWorkDraft,
    RefreshToolCatalog,
    SessionCommand,
    SlotPolicy,
    command_source_key,
    wake_source_key,
)
from lash_host.domain.turn import InputText, TurnInput
from lash_host.domain.turn_input import ActiveTurn, CheckpointBoundary, PendingTurnInputDraft

__all__ = ["command_draft", "during", "input_draft", "process_wake", "session_command", "text_input", "wake_draft"]


def text_input(text: str) -> TurnInput:
    """Make an input of a text."""
    return TurnInput(items=(InputText(text=text),))


def input_draft(session_id: str, text: str = "hello", **changes: Any) -> PendingTurnInputDraft:
    """Draft an input for the next turn."""
    draft = PendingTurnInputDraft(session_id=session_id, input=text_input(text))
    return draft.model_copy(update=changes)


def during(turn_id: str, *, from_boundary: CheckpointBoundary = CheckpointBoundary.AFTER_WORK) -> ActiveTurn:
    """Name a running turn as where an input goes."""
    return ActiveTurn(turn_id=turn_id, min_boundary=from_boundary)


def process_wake(number: int = 1, *, text: str = "done") -> ProcessWake:
    """Make the wake by a process's event of this number."""
    return ProcessWake(process_id="process", event_sequence=number, wake={"text": text})


def session_command(reason: str | None = None) -> SessionCommand:
    """Make a command."""
    return SessionCommand(command=RefreshToolCatalog(reason=reason))


def wake_draft(session_id: str, number: int = 1, **changes: Any) -> QueuedWorkDraft:
    """Draft a process wake as processes send it: deliverable at a checkpoint, in a turn of its own."""
    draft = QueuedWorkDraft(
        session_id=session_id,
        source_key=wake_source_key("process", number),
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.EXCLUSIVE,
        payloads=(process_wake(number),),
    )
    return draft.model_copy(update=changes)


def command_draft(session_id: str, key: str = "key", **changes: Any) -> QueuedWorkDraft:
    """Draft a session command under an idempotency key."""
    command = session_command()
    draft = QueuedWorkDraft(
        session_id=session_id,
        source_key=command_source_key(command, idempotency_key=key),
        delivery_policy=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
        slot_policy=SlotPolicy.EXCLUSIVE,
        payloads=(command,),
    )
    return draft.model_copy(update=changes)
