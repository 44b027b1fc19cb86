"""Running a turn: under the lease, from its input to its commit, over as many agent frames as it takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from lash_host.domain.observation import Error, TurnFinished
from lash_host.domain.turn import FrameSwitch, InputText, Stopped, StopReason, TurnInput, TurnIssue, TurnResult
from lash_host.domain.turn_machine import Finish
from lash_host.errors import CompactionError, StoreError, TurnCommitConflict
from lash_host.runtime.activities import ActivityLog
from lash_host.runtime.compacting import compact_session, wants_compaction
from lash_host.runtime.lease_keeper import HeldLease, hold_lease
from lash_host.runtime.refreshing import refresh_under_lease
from lash_host.runtime.resident import ResidentSession
from lash_host.runtime.turn_context import TurnContext
from lash_host.runtime.turn_finish import EndedTurn, finish_turn
from lash_host.runtime.turn_loop import run_turn_machine
from lash_host.runtime.turn_preparation import RefusedTurn, prepare_turn

__all__ = ["MAX_FRAME_SWITCHES", "TurnRequest", "run_turn"]

MAX_FRAME_SWITCHES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """A turn that is asked for."""

    turn_input: TurnInput
    emit: ActivityLog
    cancelled: asyncio.Event


async def run_turn(session: ResidentSession, request: TurnRequest) -> TurnResult:
    """Run a logical turn and give its last result.

    When it returns, the turn is committed, whatever its outcome. When it raises, nothing of it is.

    Raises:
        SessionBusy: Another runtime holds the session.
        SessionLeaseLost: The lease was lost.
        TurnAborted: A hook failed at a place where that fails the turn.
        TurnCommitConflict: The input names the id of a turn that was committed before.
        StoreError: The store refused the commit.
    """
    services = session.services
    started_at_us, started = services.clock.now_us(), services.clock.monotonic()
    turn_id = request.turn_input.turn_id or services.ids("turn")
    if f"{turn_id}:1" in session.state.session_graph:
        raise TurnCommitConflict(session_id=session.session_id, turn_id=turn_id)
    async with hold_lease(services, session.session_id, session.owner, on_lost=request.cancelled.set) as lease:
        await refresh_under_lease(session, lease)
        try:
            issues = await _compact_first(session, request.turn_input, lease)
            turn_input, switches = request.turn_input, 0
            while True:
                turn = TurnContext(
                    session=session,
                    turn_id=turn_id if switches == 0 else f"{turn_id}:agent-frame:{switches}",
                    turn_index=session.state.turn_index + 1,
                    turn_input=turn_input,
                    policy=session.state.effective_policy,
                    options=session.state.effective_protocol_turn_options.merged_with_override(
                        turn_input.protocol_turn_options
                    ),
                    view=session.view,
                    emit=request.emit,
                    cancelled=request.cancelled,
                    started_at_us=started_at_us if switches == 0 else services.clock.now_us(),
                    started=started if switches == 0 else services.clock.monotonic(),
                )
                turn.record.issues.extend(issues)
                result = await _run_physical_turn(turn, lease, may_switch=switches < MAX_FRAME_SWITCHES)
                if not isinstance(result.outcome, FrameSwitch):
                    return result
                switches, issues = switches + 1, []
                turn_input = TurnInput(
                    items=(InputText(text=result.outcome.task),),
                    protocol_turn_options=turn_input.protocol_turn_options,
                )
        except BaseException:
            session.needs_reload = True
            raise


async def _compact_first(session: ResidentSession, turn_input: TurnInput, lease: HeldLease) -> list[TurnIssue]:
    if not wants_compaction(session, turn_input):
        return []
    try:
        await compact_session(session, None, lease)
    except (CompactionError, StoreError) as exc:
        return [TurnIssue(kind="compaction", code=exc.code, message=str(exc), retryable=exc.retryable)]
    return []


async def _run_physical_turn(turn: TurnContext, lease: HeldLease, *, may_switch: bool) -> TurnResult:
    prepared = await prepare_turn(turn)
    if isinstance(prepared, RefusedTurn):
        turn.record.issues.append(prepared.issue)
        ended = EndedTurn(outcome=prepared.outcome, messages=prepared.messages, hooks=False)
    else:
        state = await run_turn_machine(turn, prepared)
        assert isinstance(state.waiting_for, Finish)  # noqa: S101  the loop ends with nothing else
        turn.record.issues.extend(state.issues)
        ended = EndedTurn(
            outcome=state.waiting_for.outcome,
            messages=state.new_messages,
            usage=state.usage,
            last_usage=state.last_usage,
            iterations=state.iteration,
        )
    if isinstance(ended.outcome, FrameSwitch) and not may_switch:
        message = f"more than {MAX_FRAME_SWITCHES} agent frame switches in one turn"
        turn.record.issues.append(TurnIssue(kind="runtime", code="too_many_frame_switches", message=message))
        ended = EndedTurn(
            outcome=Stopped(stop_reason=StopReason.RUNTIME_ERROR),
            messages=ended.messages,
            usage=ended.usage,
            last_usage=ended.last_usage,
            iterations=ended.iterations,
        )
    result = await finish_turn(turn, ended, lease)
    for issue in result.issues:
        turn.emit(Error(issue=issue))
    switched = isinstance(result.outcome, FrameSwitch)
    turn.emit(TurnFinished(outcome=result.outcome, result=None if switched else result))
    return result
