"""Operations on pending turn input; see `lash_host.contracts.queue.TurnInputStore`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from lash_host.domain.lease import LeaseFence, LeaseOwner
from lash_host.domain.turn_input import (
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    Cancelled,
    CancelOutcome,
    CancelResult,
    CheckpointBoundary,
    InputNotFound,
    InputTarget,
    PendingTurnInput,
    PendingTurnInputDraft,
    SuffixCancelled,
    TurnInputClaim,
    TurnInputState,
)
from lash_host.domain.turn_input_rules import (
    CancelDecision,
    EnqueueNew,
    EnqueueRepeated,
    IdTaken,
    InputEntry,
    SourceKeyTaken,
    abandoned_state,
    decide_cancel,
    decide_enqueue,
    is_pending,
    select_active,
    select_next,
)
from lash_host.errors import TurnInputIdConflict, TurnInputSourceKeyConflict
from lash_host.store.claim_columns import claim_of, claim_row, claim_values
from lash_host.store.claiming import leased_head, take_rows
from lash_host.store.head import Head
from lash_host.store.input_columns import entry_of, input_of, input_row, settled_row
from lash_host.store.work import TURN_INPUTS, Row, Work

__all__ = [
    "abandon_claim",
    "cancel",
    "cancel_suffix",
    "claim_active",
    "claim_next",
    "enqueue",
    "list_pending",
]


def enqueue(work: Work, draft: PendingTurnInputDraft) -> PendingTurnInput:
    """Keep an input, or give back the record of the same input.

    Raises:
        TurnInputSourceKeyConflict: The source key was used for other content.
        TurnInputIdConflict: The id is that of other input.
    """
    head, session_id = work.ensure_head(draft.session_id), draft.session_id
    decision = decide_enqueue(
        draft,
        with_source_key=_known(work, head, "source_key", draft.source_key),
        with_id=_known(work, head, "input_id", draft.input_id),
    )
    match decision:
        case EnqueueRepeated(existing):
            return existing
        case SourceKeyTaken(existing_input_id):
            raise TurnInputSourceKeyConflict(
                session_id=session_id, source_key=draft.source_key or "", existing_input_id=existing_input_id
            )
        case IdTaken(input_id):
            raise TurnInputIdConflict(session_id=session_id, input_id=input_id)
        case EnqueueNew(state):
            return _add(work, head, draft, state)
        case _:
            assert_never(decision)


def _known(work: Work, head: Head, column: str, value: str | None) -> PendingTurnInput | None:
    row = None if value is None else work.find(TURN_INPUTS, head, column, value)
    return None if row is None else input_of(row, session_id=head.session_id)


def _add(work: Work, head: Head, draft: PendingTurnInputDraft, state: TurnInputState) -> PendingTurnInput:
    keys = head.keys
    enqueue_seq = keys.next(work.now_us)
    pending = PendingTurnInput(
        input_id=draft.input_id or f"pti:{head.session_key:x}:{enqueue_seq:x}",
        session_id=draft.session_id,
        enqueue_seq=enqueue_seq,
        source_key=draft.source_key,
        ingress=draft.ingress,
        submitted_ingress=draft.ingress,
        state=state,
        enqueued_at_ms=work.now_ms,
        input=draft.input,
    )
    work.put_head(head.changed({"last_key": keys.last}))
    work.put(TURN_INPUTS, input_row(pending, session_key=head.session_key))
    work.announce_work()
    return pending


def list_pending(work: Work, session_id: str) -> list[PendingTurnInput]:
    """List inputs that are neither settled, nor accepted, nor claimed, in order."""
    head = work.head(session_id)
    if head is None:
        return []
    return [
        input_of(row, session_id=session_id)
        for row in work.live(TURN_INPUTS, head)
        if is_pending(entry_of(row), now_ms=work.now_ms, owner_is_dead=work.owner_is_dead)
    ]


def cancel(work: Work, session_id: str, targets: Sequence[InputTarget]) -> list[CancelResult]:
    """Cancel inputs, one after another; a target that names one again finds it as it is by then."""
    head = work.head(session_id)
    if head is None:
        return [CancelResult(target=target, outcome=InputNotFound()) for target in targets]
    changed: dict[str, Row] = {}
    results = []
    for target in targets:
        row = _find(work, head, target)
        if row is None:
            outcome: CancelOutcome = InputNotFound()
        else:
            outcome = _cancel(work, head, changed.get(row["input_id"], row), changed)
        results.append(CancelResult(target=target, outcome=outcome))
    return results


def cancel_suffix(work: Work, session_id: str, anchor: InputTarget) -> SuffixCancelled | AnchorNotFound:
    """Cancel an input and every later one of the session. Settled ones are reported too."""
    head = work.head(session_id)
    first = None if head is None else _find(work, head, anchor)
    if head is None or first is None:
        return AnchorNotFound(target=anchor)
    rows = work.following(TURN_INPUTS, head, order_from=first["enqueue_seq"])
    return SuffixCancelled(outcomes=tuple(_cancel(work, head, row, {}) for row in rows))


def _find(work: Work, head: Head, target: InputTarget) -> Row | None:
    if target.input_id is not None:
        return work.find(TURN_INPUTS, head, "input_id", target.input_id)
    return None if target.source_key is None else work.find(TURN_INPUTS, head, "source_key", target.source_key)


def _cancel(work: Work, head: Head, row: Row, changed: dict[str, Row]) -> CancelOutcome:
    session_id = head.session_id
    decision = decide_cancel(entry_of(row), now_ms=work.now_ms, owner_is_dead=work.owner_is_dead)
    match decision:
        case CancelDecision.CANCEL:
            settled = settled_row(row, TurnInputState.CANCELLED, now_us=work.now_us)
            changed[row["input_id"]] = settled
            work.put(TURN_INPUTS, settled)
            return Cancelled(input=input_of(settled, session_id=session_id))
        case CancelDecision.CLAIMED:
            claim = claim_of(claim_row(row), session_id=session_id)
            return AlreadyClaimed(input=input_of(row, session_id=session_id), claim=claim)
        case CancelDecision.COMPLETED:
            return AlreadyCompleted(input=input_of(row, session_id=session_id))
        case CancelDecision.CANCELLED:
            return AlreadyCancelled(input=input_of(row, session_id=session_id))
        case _:
            assert_never(decision)


def claim_active(
    work: Work,
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
        SessionLeaseExpired: ``fence`` is not the live lease.
    """
    if limit < 1:
        return None
    head = leased_head(work, session_id, fence)
    rows = work.live(TURN_INPUTS, head)
    chosen = select_active(map(entry_of, rows), turn_id=turn_id, boundary=boundary, limit=limit)
    accepted = {"state": TurnInputState.ACCEPTED.value}
    return _claim(work, head, [{**row, **accepted} for row in _chosen(rows, chosen)], owner=owner, ttl_ms=ttl_ms)


def claim_next(
    work: Work, session_id: str, fence: LeaseFence, owner: LeaseOwner, *, ttl_ms: int, limit: int
) -> TurnInputClaim | None:
    """Claim next-turn inputs; None when there are none or ``limit`` is 0.

    Raises:
        SessionLeaseExpired: ``fence`` is not the live lease.
    """
    if limit < 1:
        return None
    head = leased_head(work, session_id, fence)
    rows = work.live(TURN_INPUTS, head)
    chosen = select_next(map(entry_of, rows), limit=limit, now_ms=work.now_ms, owner_is_dead=work.owner_is_dead)
    return _claim(work, head, _chosen(rows, chosen), owner=owner, ttl_ms=ttl_ms)


def _chosen(rows: Sequence[Row], entries: Iterable[InputEntry]) -> list[Row]:
    ids = {entry.input_id for entry in entries}
    return [row for row in rows if row["input_id"] in ids]


def _claim(work: Work, head: Head, rows: Sequence[Row], *, owner: LeaseOwner, ttl_ms: int) -> TurnInputClaim | None:
    if not rows:
        return None
    claim, taken = take_rows(work, TURN_INPUTS, head, rows, prefix="tic", owner=owner, ttl_ms=ttl_ms)
    for row in taken:
        work.put(TURN_INPUTS, row)
    return TurnInputClaim(claim=claim, inputs=tuple(input_of(row, session_id=head.session_id) for row in taken))


def abandon_claim(work: Work, claim: TurnInputClaim) -> None:
    """Give back what of a claim is still held: what a turn had accepted waits for that turn again."""
    head = work.head(claim.claim.session_id)
    if head is None:
        return
    for row in work.live(TURN_INPUTS, head):
        columns = claim_row(row)
        if columns.is_held_by(claim.claim):
            state = abandoned_state(TurnInputState(row["state"]))
            work.put(TURN_INPUTS, {**row, "state": state.value, **claim_values(columns.freed())})
