"""Running a turn: under the lease, from its input to its commit, over as many agent frames as it takes."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, replace

from lash_host.domain.observation import Error, TurnFinished
from lash_host.domain.turn import FrameSwitch, InputText, Stopped, StopReason, TurnInput, TurnIssue, TurnResult
from lash_host.domain.turn_machine import Finish
from lash_host.errors import CompactionError, SessionLeaseExpired, StoreError, TurnCommitConflict
from lash_host.runtime.activities import ActivityLog
from lash_host.runtime.compacting import compact_session, wants_compaction
from lash_host.runtime.interruption import TurnInterrupted
from lash_host.runtime.lease_keeper import HeldLease, hold_lease
from lash_host.runtime.refreshing import refresh_under_lease, taken_back_on_failure
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

    When it returns, the turn is committed, whatever its outcome. When it raises, nothing of it is, but for the frames
    it had gone on from, each of which was a turn of its own.

    Raises:
        SessionBusy: Another runtime holds the session.
        SessionLeaseLost: The lease was lost.
        TurnAborted: A hook failed at a place where that fails the turn.
        TurnCommitConflict: The input names the id of a turn that was committed before.
        StoreError: The store refused the commit.
    """
    services, turn_input = session.services, request.turn_input
    started = services.clock.now_us(), services.clock.monotonic()
    turn_id = turn_input.turn_id or services.ids("turn")
    async with hold_lease(services, session.session_id, session.owner, on_lost=request.cancelled.set) as lease:
        await refresh_under_lease(session, lease)
        if turn_input.turn_id is not None:
            await _refuse_repeated(session, turn_id)
        async with taken_back_on_failure(session):
            issues = await _compact_first(session, request, lease)
            turn = _begin(session, request, turn_input=turn_input, turn_id=turn_id, started=started)
            turn.record.issues.extend(issues)
            for switches in itertools.count(1):
                result = await _run_physical_turn(turn, lease, may_switch=switches <= MAX_FRAME_SWITCHES)
                if not isinstance(result.outcome, FrameSwitch):
                    break
                turn = _begin(
                    session,
                    request,
                    turn_input=turn_input.model_copy(update={"items": (InputText(text=result.outcome.task),)}),
                    turn_id=f"{turn_id}:agent-frame:{switches}",
                    started=(services.clock.now_us(), services.clock.monotonic()),
                )
    return result


def _begin(
    session: ResidentSession, request: TurnRequest, *, turn_input: TurnInput, turn_id: str, started: tuple[int, float]
) -> TurnContext:
    state = session.state
    return TurnContext(
        session=session,
        turn_id=turn_id,
        turn_index=state.turn_index + 1,
        turn_input=turn_input,
        policy=state.effective_policy,
        options=state.effective_protocol_turn_options.merged_with_override(turn_input.protocol_turn_options),
        view=session.view,
        emit=request.emit,
        cancelled=request.cancelled,
        started_at_us=started[0],
        started=started[1],
    )


async def _refuse_repeated(session: ResidentSession, turn_id: str) -> None:
    """Refuse a turn that was committed before anything is spent on it, also where its frame is not in memory.

    A turn whose input was invalid leaves no node to be known by; only the store knows it, when it is asked to commit.
    """
    first = f"{turn_id}:1"
    store = session.services.store
    is_known = first in session.state.session_graph or (
        session.state.head_revision is not None
        and await store.call(store.store.load_node, session.session_id, first) is not None
    )
    if is_known:
        raise TurnCommitConflict(session_id=session.session_id, turn_id=turn_id)


async def _compact_first(session: ResidentSession, request: TurnRequest, lease: HeldLease) -> list[TurnIssue]:
    if request.cancelled.is_set() or not wants_compaction(session, request.turn_input):
        return []
    try:
        await compact_session(session, None, lease, cancelled=request.cancelled)
    except SessionLeaseExpired:
        raise
    except (CompactionError, StoreError) as exc:
        return [TurnIssue(kind="compaction", code=exc.code, message=str(exc), retryable=exc.retryable)]
    except TurnInterrupted:
        return []
    return []


async def _run_physical_turn(turn: TurnContext, lease: HeldLease, *, may_switch: bool) -> TurnResult:
    prepared = await prepare_turn(turn)
    if isinstance(prepared, RefusedTurn):
        if prepared.issue is not None:
            turn.record.issues.append(prepared.issue)
        ended = EndedTurn(outcome=prepared.outcome, messages=prepared.messages, hooks=prepared.issue is None)
    else:
        state = await run_turn_machine(turn, prepared)
        assert isinstance(state.waiting_for, Finish)  # noqa: S101  the loop ends with nothing else
        turn.record.issues.extend(state.issues)
        ended = EndedTurn(
            outcome=state.waiting_for.outcome,
            messages=state.new_messages,
            usage=state.usage,
            last_usage=state.last_usage,
        )
    if isinstance(ended.outcome, FrameSwitch):
        issue = _switch_problem(turn, ended.outcome, may_switch=may_switch)
        if issue is not None:
            turn.record.issues.append(issue)
            ended = replace(ended, outcome=Stopped(stop_reason=StopReason.RUNTIME_ERROR))
    result = await finish_turn(turn, ended, lease)
    for issue in result.issues:
        turn.emit(Error(issue=issue))
    switched = isinstance(result.outcome, FrameSwitch)
    turn.emit(TurnFinished(outcome=result.outcome, result=None if switched else result))
    return result


def _switch_problem(turn: TurnContext, switch: FrameSwitch, *, may_switch: bool) -> TurnIssue | None:
    """Say why a turn cannot go on in the frame it asks for, or None. Its own frame is one it can go on in."""
    state = turn.session.state
    if not may_switch:
        message = f"more than {MAX_FRAME_SWITCHES} agent frame switches in one turn"
        return TurnIssue(kind="runtime", code="too_many_frame_switches", message=message)
    if not switch.frame_id.strip() or not switch.task.strip():
        message = "a switch to another agent frame needs the frame's id and a task"
        return TurnIssue(kind="runtime", code="invalid_frame_switch", message=message)
    frame_ids = {frame.frame_id for frame in state.agent_frames} - {state.current_agent_frame_id}
    if switch.frame_id.strip() in frame_ids:
        message = f"the session had an agent frame {switch.frame_id.strip()!r} before; frames open once"
        return TurnIssue(kind="runtime", code="frame_opened_before", message=message)
    return None
