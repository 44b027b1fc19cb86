"""What a commit does to the work it settles, and what a session's new holder does to work left stranded."""

from __future__ import annotations

from lash_host.domain.claim import Claim
from lash_host.domain.commit import RuntimeCommit
from lash_host.domain.queue import WorkClass
from lash_host.domain.turn_input import TurnInputState
from lash_host.domain.turn_input_rules import is_deferred_by_interrupt, is_stranded
from lash_host.errors import QueuedWorkClaimExpired, SessionBindingMismatch, TurnInputClaimExpired
from lash_host.store.attachments import stamp
from lash_host.store.claiming import held_rows
from lash_host.store.head import Head
from lash_host.store.input_columns import entry_of, next_turn_row, settled_row
from lash_host.store.queue_columns import batch_of, receipt_row
from lash_host.store.work import QUEUED_WORK, RECEIPTS, TURN_INPUTS, Row, Work

__all__ = ["recover_stranded", "settle_claims"]


def settle_claims(work: Work, head: Head, commit: RuntimeCommit) -> Head:
    """Do what a commit that was accepted does to claims, to input of an interrupted turn and to attachments.

    Every claim is checked before anything is changed. A claim that has expired is good as long as nobody took the work
    again. Nothing is read where the commit settles nothing.

    Args:
        work: The operation.
        head: The head of the commit's session.
        commit: The commit.

    Returns:
        The head as it is now; the caller goes on with it.

    Raises:
        SessionBindingMismatch: A claim is of another session than the commit.
        QueuedWorkClaimExpired: Queued work was claimed by somebody else, or is gone.
        TurnInputClaimExpired: So was turn input.
    """
    _check_sessions(commit)
    batches = _claimed_batches(work, head, commit)
    _settle_inputs(work, head, commit)
    for row in batches:
        _complete_batch(work, head, row)
    stamp(work, head, commit.attachment_ids)
    return head


def recover_stranded(work: Work, head: Head) -> Head:
    """Give the input that the holders before had accepted, and never settled, to the next turn, in its old order.

    For a holder that was granted the session's lease afresh: under the fence before no turn can commit any more. Not
    for re-entry, where the turn still runs.
    """
    for row in work.live(TURN_INPUTS, head):
        if is_stranded(TurnInputState(row["state"])):
            work.put(TURN_INPUTS, next_turn_row(row))
    return head


def _check_sessions(commit: RuntimeCommit) -> None:
    claims: list[Claim] = [settled.claim for settled in commit.completed_queue_claims]
    claims += [settled.claim for settled in commit.completed_turn_input_claims]
    for claim in claims:
        if claim.session_id != commit.session_id:
            raise SessionBindingMismatch(bound_session_id=commit.session_id, attempted_session_id=claim.session_id)


def _claimed_batches(work: Work, head: Head, commit: RuntimeCommit) -> list[Row]:
    if not commit.completed_queue_claims:
        return []
    rows, ours = work.live(QUEUED_WORK, head), {}
    for settled in commit.completed_queue_claims:
        held = held_rows(QUEUED_WORK, rows, settled.claim, [batch.batch_id for batch in settled.batches])
        if held is None:
            raise QueuedWorkClaimExpired(session_id=commit.session_id, claim_id=settled.claim.claim_id)
        ours.update({row["batch_id"]: row for row in held})
    return list(ours.values())


def _complete_batch(work: Work, head: Head, row: Row) -> None:
    work.remove(QUEUED_WORK, row)
    if row["work_class"] == WorkClass.SESSION_COMMAND and row["source_key"] is not None:
        batch = batch_of(row, session_id=head.session_id)
        work.put(RECEIPTS, receipt_row(batch, session_key=head.session_key, completed_at_us=work.now_us))


def _settle_inputs(work: Work, head: Head, commit: RuntimeCommit) -> None:
    if not commit.completed_turn_input_claims and commit.interrupted_turn_id is None:
        return
    rows, completed = work.live(TURN_INPUTS, head), {}
    for settled in commit.completed_turn_input_claims:
        held = held_rows(TURN_INPUTS, rows, settled.claim, [pending.input_id for pending in settled.inputs])
        if held is None:
            raise TurnInputClaimExpired(session_id=commit.session_id, claim_id=settled.claim.claim_id)
        completed.update({row["input_id"]: row for row in held})
    for row in completed.values():
        work.put(TURN_INPUTS, settled_row(row, TurnInputState.COMPLETED, now_us=work.now_us))
    if commit.interrupted_turn_id is None:
        return
    for row in rows:
        if row["input_id"] not in completed and is_deferred_by_interrupt(
            entry_of(row), turn_id=commit.interrupted_turn_id
        ):
            work.put(TURN_INPUTS, next_turn_row(row))
