"""Rows of pending turn input, as values and as they are stored."""

from __future__ import annotations

from pydantic import TypeAdapter

from lash_host.domain.claim import ClaimRow
from lash_host.domain.turn import TurnInput
from lash_host.domain.turn_input import NextTurn, PendingTurnInput, TurnInputIngress, TurnInputState
from lash_host.domain.turn_input_rules import InputEntry
from lash_host.store.claim_columns import claim_row, claim_values
from lash_host.store.records import dump_value, load_value
from lash_host.store.work import Row

__all__ = ["entry_of", "input_of", "input_row", "next_turn_row", "settled_row"]

_INGRESS: TypeAdapter[TurnInputIngress] = TypeAdapter(TurnInputIngress)
_INPUT = TypeAdapter(TurnInput)


def input_row(pending: PendingTurnInput, *, session_key: int) -> Row:
    """Make the row of new input, which nobody has claimed."""
    return {
        "session_key": session_key,
        "input_id": pending.input_id,
        "enqueue_seq": pending.enqueue_seq,
        "source_key": pending.source_key,
        "ingress": dump_value(pending.ingress),
        "submitted_ingress": dump_value(pending.submitted_ingress),
        "state": pending.state.value,
        "enqueued_at_ms": pending.enqueued_at_ms,
        "settled_at_us": None,
        "input": dump_value(pending.input),
        **claim_values(ClaimRow()),
    }


def input_of(row: Row, *, session_id: str) -> PendingTurnInput:
    """Read an input.

    Raises:
        StoreError: The row is not what was written.
    """
    return PendingTurnInput(
        input_id=row["input_id"],
        session_id=session_id,
        enqueue_seq=row["enqueue_seq"],
        source_key=row["source_key"],
        ingress=load_value("ingress", _INGRESS, row["ingress"]),
        submitted_ingress=load_value("ingress", _INGRESS, row["submitted_ingress"]),
        state=TurnInputState(row["state"]),
        enqueued_at_ms=row["enqueued_at_ms"],
        input=load_value("turn input", _INPUT, row["input"]),
    )


def entry_of(row: Row) -> InputEntry:
    """Read what of an input decides what may happen to it."""
    return InputEntry(
        input_id=row["input_id"],
        state=TurnInputState(row["state"]),
        ingress=load_value("ingress", _INGRESS, row["ingress"]),
        claim=claim_row(row),
    )


def settled_row(row: Row, state: TurnInputState, *, now_us: int) -> Row:
    """Give the row of input that was cancelled or completed: nobody holds it any more."""
    return {**row, "state": state.value, "settled_at_us": now_us, **claim_values(claim_row(row).freed())}


def next_turn_row(row: Row) -> Row:
    """Give the row of input that waits for the next turn now; where it was to go stays on record."""
    return {
        **row,
        "state": TurnInputState.DEFERRED_NEXT_TURN.value,
        "ingress": dump_value(NextTurn()),
        **claim_values(claim_row(row).freed()),
    }
