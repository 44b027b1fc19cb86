"""Pending turn input: what users said while a session was busy, and how it reaches a turn."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lash_host.domain.claim import Claim
from lash_host.domain.turn import TurnInput
from lash_host.domain.value import Value

__all__ = [
    "ActiveTurn",
    "AlreadyCancelled",
    "AlreadyClaimed",
    "AlreadyCompleted",
    "AnchorNotFound",
    "CancelOutcome",
    "CancelResult",
    "Cancelled",
    "CheckpointBoundary",
    "InputNotFound",
    "InputTarget",
    "NextTurn",
    "PendingTurnInput",
    "PendingTurnInputDraft",
    "SuffixCancelled",
    "TurnInputClaim",
    "TurnInputIngress",
    "TurnInputState",
]


class CheckpointBoundary(StrEnum):
    """The checkpoints of a turn: after work was done, and before the turn would end."""

    AFTER_WORK = "after_work"
    BEFORE_COMPLETION = "before_completion"


class ActiveTurn(Value):
    """Into a running turn. `min_boundary` ``after_work`` is admitted at both checkpoints, else only at the last."""

    kind: Literal["active_turn"] = "active_turn"
    turn_id: str
    min_boundary: CheckpointBoundary = CheckpointBoundary.AFTER_WORK


class NextTurn(Value):
    """Into the next turn."""

    kind: Literal["next_turn"] = "next_turn"


TurnInputIngress = Annotated[ActiveTurn | NextTurn, Field(discriminator="kind")]


class TurnInputState(StrEnum):
    """Where an input is on its way."""

    PENDING_ACTIVE = "pending_active"
    DEFERRED_NEXT_TURN = "deferred_next_turn"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    COMPLETED = "completed"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can happen to the input any more."""
        return self in {TurnInputState.CANCELLED, TurnInputState.COMPLETED}


class PendingTurnInputDraft(Value):
    """Input to be kept for a session.

    Attributes:
        source_key: Makes a repeated enqueue recognizable: the same content gives the record back, in whatever state;
            other content is a conflict. Occupied until the record is vacuumed.
        input_id: The input's id, unique within the session; made up where None.
    """

    session_id: str
    ingress: TurnInputIngress = NextTurn()
    input: TurnInput
    source_key: str | None = None
    input_id: str | None = Field(default=None, min_length=1)


class PendingTurnInput(Value):
    """Input as it is kept. `enqueue_seq` orders a session's inputs.

    Attributes:
        ingress: Where it goes now; an interrupt turns ``active_turn`` into ``next_turn``.
        submitted_ingress: Where it was to go when it was submitted; what a repeat is compared with.
    """

    input_id: str
    session_id: str
    enqueue_seq: int
    source_key: str | None
    ingress: TurnInputIngress
    submitted_ingress: TurnInputIngress
    state: TurnInputState
    enqueued_at_ms: int
    input: TurnInput


class TurnInputClaim(Value):
    """Inputs that one claimant took, in order."""

    claim: Claim
    inputs: tuple[PendingTurnInput, ...]

    def materialize(self) -> TurnInput:
        """Join the inputs into one: items in order; the first protocol options and turn id that are given win."""
        inputs = [pending.input for pending in self.inputs]
        options = (one.protocol_turn_options for one in inputs if one.protocol_turn_options is not None)
        turn_ids = (one.turn_id for one in inputs if one.turn_id is not None)
        return TurnInput(
            items=tuple(item for one in inputs for item in one.items),
            protocol_turn_options=next(options, None),
            turn_id=next(turn_ids, None),
        )


class InputTarget(Value):
    """Names an input: by its id or by its source key, exactly one of them."""

    input_id: str | None = None
    source_key: str | None = None

    @model_validator(mode="after")
    def _names_one(self) -> InputTarget:
        if (self.input_id is None) == (self.source_key is None):
            raise ValueError("a target is named either by input_id or by source_key")
        return self


class Cancelled(Value):
    """It will not be delivered."""

    kind: Literal["cancelled"] = "cancelled"
    input: PendingTurnInput


class AlreadyClaimed(Value):
    """A turn has it. `claim` is who; None where an accepted input's claim is gone."""

    kind: Literal["already_claimed"] = "already_claimed"
    input: PendingTurnInput
    claim: Claim | None


class AlreadyCompleted(Value):
    """A turn that has it was committed."""

    kind: Literal["already_completed"] = "already_completed"
    input: PendingTurnInput


class AlreadyCancelled(Value):
    """It was cancelled before."""

    kind: Literal["already_cancelled"] = "already_cancelled"
    input: PendingTurnInput


class InputNotFound(Value):
    """No such input."""

    kind: Literal["not_found"] = "not_found"


CancelOutcome = Annotated[
    Cancelled | AlreadyClaimed | AlreadyCompleted | AlreadyCancelled | InputNotFound, Field(discriminator="kind")
]


class CancelResult(Value):
    """What cancelling did to one target."""

    target: InputTarget
    outcome: CancelOutcome


class SuffixCancelled(Value):
    """What cancelling an input and all after it did, in order."""

    kind: Literal["outcomes"] = "outcomes"
    outcomes: tuple[CancelOutcome, ...]


class AnchorNotFound(Value):
    """The input to begin with does not exist; nothing was cancelled."""

    kind: Literal["anchor_not_found"] = "anchor_not_found"
    target: InputTarget
