"""Rules of pending turn input: repeats, cancelling, who may claim which inputs, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import assert_never

from lash_host.domain.claim import ClaimRow, OwnerIsDead
from lash_host.domain.turn_input import (
    ActiveTurn,
    CheckpointBoundary,
    NextTurn,
    PendingTurnInput,
    PendingTurnInputDraft,
    TurnInputIngress,
    TurnInputState,
)

__all__ = [
    "CancelDecision",
    "EnqueueDecision",
    "EnqueueNew",
    "EnqueueRepeated",
    "IdTaken",
    "InputEntry",
    "SourceKeyTaken",
    "abandoned_state",
    "decide_cancel",
    "decide_enqueue",
    "initial_state",
    "is_deferred_by_interrupt",
    "is_pending",
    "is_stranded",
    "select_active",
    "select_next",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputEntry:
    """What of an input decides what may happen to it."""

    input_id: str
    state: TurnInputState
    ingress: TurnInputIngress
    claim: ClaimRow


@dataclass(frozen=True, slots=True)
class EnqueueNew:
    """It is kept, in this state."""

    state: TurnInputState


@dataclass(frozen=True, slots=True)
class EnqueueRepeated:
    """It is kept already, in whatever state."""

    existing: PendingTurnInput


@dataclass(frozen=True, slots=True)
class SourceKeyTaken:
    """Its source key was used for other input."""

    existing_input_id: str


@dataclass(frozen=True, slots=True)
class IdTaken:
    """Its id is that of other input."""

    input_id: str


EnqueueDecision = EnqueueNew | EnqueueRepeated | SourceKeyTaken | IdTaken


class CancelDecision(StrEnum):
    """What cancelling an input comes to."""

    CANCEL = "cancel"
    CLAIMED = "claimed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


def initial_state(ingress: TurnInputIngress) -> TurnInputState:
    """Say in which state input begins."""
    match ingress:
        case ActiveTurn():
            return TurnInputState.PENDING_ACTIVE
        case NextTurn():
            return TurnInputState.DEFERRED_NEXT_TURN
        case _:
            assert_never(ingress)


def decide_enqueue(
    draft: PendingTurnInputDraft, *, with_source_key: PendingTurnInput | None, with_id: PendingTurnInput | None
) -> EnqueueDecision:
    """Say what enqueuing an input does.

    A repeat is compared with what was submitted: the input, and where it was to go then. Where it goes now may have
    been changed by an interrupt.

    Args:
        draft: The input.
        with_source_key: What the session has under its source key.
        with_id: What the session has under the id it asks for.
    """
    if with_source_key is not None:
        if _says_the_same(draft, with_source_key):
            return EnqueueRepeated(with_source_key)
        return SourceKeyTaken(with_source_key.input_id)
    if with_id is not None:
        if with_id.source_key == draft.source_key and _says_the_same(draft, with_id):
            return EnqueueRepeated(with_id)
        return IdTaken(with_id.input_id)
    return EnqueueNew(initial_state(draft.ingress))


def _says_the_same(draft: PendingTurnInputDraft, record: PendingTurnInput) -> bool:
    return draft.ingress == record.submitted_ingress and draft.input == record.input


def is_pending(entry: InputEntry, *, now_ms: int, owner_is_dead: OwnerIsDead | None = None) -> bool:
    """Whether input waits: neither settled, nor accepted, nor claimed."""
    return decide_cancel(entry, now_ms=now_ms, owner_is_dead=owner_is_dead) is CancelDecision.CANCEL


def decide_cancel(entry: InputEntry, *, now_ms: int, owner_is_dead: OwnerIsDead | None = None) -> CancelDecision:
    """Say what cancelling an input comes to.

    What a running turn accepted is in its conversation: it stays claimed even when the claim has expired. A claim of
    next-turn input that has expired, or whose owner is dead, keeps nobody from cancelling.
    """
    match entry.state:
        case TurnInputState.COMPLETED:
            return CancelDecision.COMPLETED
        case TurnInputState.CANCELLED:
            return CancelDecision.CANCELLED
        case TurnInputState.ACCEPTED:
            return CancelDecision.CLAIMED
        case TurnInputState.PENDING_ACTIVE | TurnInputState.DEFERRED_NEXT_TURN:
            is_claimed = entry.claim.is_live(now_ms, owner_is_dead=owner_is_dead)
            return CancelDecision.CLAIMED if is_claimed else CancelDecision.CANCEL
        case _:
            assert_never(entry.state)


def select_active(
    entries: Iterable[InputEntry], *, turn_id: str, boundary: CheckpointBoundary, limit: int
) -> tuple[InputEntry, ...]:
    """Say which inputs a running turn accepts at a checkpoint, in order; others among them are skipped."""
    return tuple(islice((entry for entry in entries if _is_admitted(entry, turn_id, boundary)), limit))


def _is_admitted(entry: InputEntry, turn_id: str, boundary: CheckpointBoundary) -> bool:
    match entry.ingress:
        case ActiveTurn(turn_id=waits_for, min_boundary=min_boundary):
            return (
                entry.state is TurnInputState.PENDING_ACTIVE
                and waits_for == turn_id
                and (boundary is CheckpointBoundary.BEFORE_COMPLETION or boundary is min_boundary)
            )
        case NextTurn():
            return False
        case _:
            assert_never(entry.ingress)


def select_next(
    entries: Iterable[InputEntry], *, limit: int, now_ms: int, owner_is_dead: OwnerIsDead | None = None
) -> tuple[InputEntry, ...]:
    """Say which inputs the next turn takes, in order; those that are claimed are skipped."""
    ready: Iterator[InputEntry] = (
        entry
        for entry in entries
        if entry.state is TurnInputState.DEFERRED_NEXT_TURN
        and not entry.claim.is_live(now_ms, owner_is_dead=owner_is_dead)
    )
    return tuple(islice(ready, limit))


def abandoned_state(state: TurnInputState) -> TurnInputState:
    """Say in which state input is whose claim is given up: what was accepted waits for its turn again."""
    return TurnInputState.PENDING_ACTIVE if state is TurnInputState.ACCEPTED else state


def is_deferred_by_interrupt(entry: InputEntry, *, turn_id: str) -> bool:
    """Whether the interrupt of a turn makes next-turn input of it: it waited for that turn and was not accepted."""
    match entry.ingress:
        case ActiveTurn(turn_id=waits_for):
            return entry.state is TurnInputState.PENDING_ACTIVE and waits_for == turn_id
        case NextTurn():
            return False
        case _:
            assert_never(entry.ingress)


def is_stranded(state: TurnInputState) -> bool:
    """Whether input was accepted by a turn that cannot commit any more, given that its session has a new holder."""
    return state is TurnInputState.ACCEPTED
