"""The turn machine: a pure function from a turn's state and an event to the next state and what must be done.

A turn alternates between waiting for one thing and saying what is wanted next. The driver of the session's protocol
decides what answers mean; the machine keeps the order: environment, model, tools, checkpoint, and the limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from lash_host.domain.message import Message, Part, Role, TextPart, ToolCallPart, ToolResultPart
from lash_host.domain.model import ModelResponse, TerminalReason
from lash_host.domain.protocol import (
    CallTools,
    CheckpointKind,
    Complete,
    StopTurn,
    ToolCallResult,
    TurnDriver,
    TurnView,
)
from lash_host.domain.turn import AssistantMessage, FrameSwitch, Stopped, StopReason, TurnIssue, TurnOutcome
from lash_host.domain.usage import TokenUsage
from lash_host.errors import ModelErrorKind

__all__ = [
    "CallModel",
    "CancelRequested",
    "CheckpointDelivered",
    "EnvironmentSynced",
    "Finish",
    "FrameSwitchRequested",
    "ModelAnswered",
    "ModelFailed",
    "RunCheckpoint",
    "RunTools",
    "StepFailed",
    "SyncEnvironment",
    "ToolsFinished",
    "TurnCommand",
    "TurnEvent",
    "TurnMachineState",
    "advance",
    "start_turn",
]

# --- what the machine wants ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncEnvironment:
    """Bring system prompt and tool list up to date for the coming iteration."""

    iteration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallModel:
    """Ask the model."""

    iteration: int
    tool_choice: Literal["auto", "none", "required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTools:
    """Run the tool calls of this assistant message."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCheckpoint:
    """Ask everybody whether there is something to deliver to the turn."""

    kind: CheckpointKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The turn is over. Nothing is accepted after it."""

    outcome: TurnOutcome


TurnCommand = SyncEnvironment | CallModel | RunTools | RunCheckpoint | Finish

# --- what the machine is told -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSynced:
    """Prompt and tools are up to date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSwitchRequested:
    """The protocol wants to go on in another frame instead of asking the model."""

    frame_id: str
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswered:
    """The model answered."""

    response: ModelResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFailed:
    """The model did not answer, retries included, or its answer cannot be used; `usage` is what it consumed even so."""

    message: str
    kind: ModelErrorKind
    code: str
    retryable: bool
    usage: TokenUsage = TokenUsage()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsFinished:
    """All calls have a result, in the order of the calls."""

    results: Sequence[ToolCallResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointDelivered:
    """What the checkpoint brought; may be nothing."""

    messages: Sequence[Message] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """Something that the turn needs failed; accepted whatever the machine waits for.

    `after` is the answer that had come before it: what it cost counts, and what tools gave stays in the conversation.
    """

    issue: TurnIssue
    after: ModelAnswered | ToolsFinished | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Somebody wants the turn to end; accepted whatever the machine waits for. `after` as in `StepFailed`."""

    after: ModelAnswered | ToolsFinished | None = None


TurnEvent = (
    EnvironmentSynced
    | FrameSwitchRequested
    | ModelAnswered
    | ModelFailed
    | ToolsFinished
    | CheckpointDelivered
    | StepFailed
    | CancelRequested
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnMachineState:
    """Where a turn is. `waiting_for` is the one thing it was last told to do; other answers are ignored.

    Attributes:
        turn_id: Prefix of the ids of the messages the machine makes.
        max_iterations: The most model calls; None leaves them unbounded.
        iteration: The current model call, from 1.
        waiting_for: The command outstanding.
        new_messages: What the turn added to the conversation, its input first. Transient messages among them are
            shown to the model and never stored.
        usage: Consumption of the turn's model calls so far.
        last_usage: Consumption of the last one.
        issues: What went wrong so far.
        completion: The step that waits for the before-completion checkpoint.
    """

    turn_id: str
    max_iterations: int | None
    iteration: int
    waiting_for: TurnCommand
    new_messages: tuple[Message, ...]
    usage: TokenUsage = TokenUsage()
    last_usage: TokenUsage | None = None
    issues: tuple[TurnIssue, ...] = ()
    completion: Complete | None = None

    @property
    def outcome(self) -> TurnOutcome | None:
        """How the turn ended, once it has."""
        return self.waiting_for.outcome if isinstance(self.waiting_for, Finish) else None

    @property
    def view(self) -> TurnView:
        """What the driver may look at."""
        return TurnView(iteration=self.iteration, new_messages=self.new_messages)


def start_turn(*, turn_id: str, max_iterations: int | None, messages: Sequence[Message]) -> TurnMachineState:
    """Begin a turn with the messages that start it: the user's, and what before-turn hooks added."""
    return TurnMachineState(
        turn_id=turn_id,
        max_iterations=max_iterations,
        iteration=1,
        waiting_for=SyncEnvironment(iteration=1),
        new_messages=tuple(messages),
    )


def advance(state: TurnMachineState, event: TurnEvent, driver: TurnDriver) -> TurnMachineState:
    """Give the next state; what must be done is its `waiting_for`.

    An event that does not answer what the machine waits for is ignored, and so is everything after the end.
    """
    waiting = state.waiting_for
    match event:
        case _ if isinstance(waiting, Finish):
            return state
        case StepFailed(issue=issue, after=after):
            return _stop(_settled(state, after), StopReason.RUNTIME_ERROR, issue)
        case CancelRequested(after=after):
            return _finish(_settled(state, after), Stopped(stop_reason=StopReason.CANCELLED))
        case EnvironmentSynced() if isinstance(waiting, SyncEnvironment):
            choice = driver.tool_choice(state.view)
            return replace(state, waiting_for=CallModel(iteration=state.iteration, tool_choice=choice))
        case FrameSwitchRequested(frame_id=frame_id, task=task) if isinstance(waiting, CallModel | SyncEnvironment):
            return _finish(state, FrameSwitch(frame_id=frame_id, task=task))
        case ModelAnswered(response=response) if isinstance(waiting, CallModel):
            return _on_response(state, response, driver)
        case ModelFailed() if isinstance(waiting, CallModel):
            issue = TurnIssue(
                kind="model_call",
                code=event.code,
                message=event.message,
                retryable=event.retryable,
                model_error_kind=event.kind,
            )
            spent = state if event.usage.is_zero else _spent(state, event.usage)
            return _stop(spent, StopReason.PROVIDER_ERROR, issue)
        case ToolsFinished(results=results) if isinstance(waiting, RunTools):
            return _on_tool_results(state, results, driver)
        case CheckpointDelivered(messages=messages) if isinstance(waiting, RunCheckpoint):
            return _on_delivery(state, waiting.kind, messages)
        case _:
            return state


def _on_response(state: TurnMachineState, response: ModelResponse, driver: TurnDriver) -> TurnMachineState:
    state = _spent(state, response.usage)
    match response.terminal_reason:
        case TerminalReason.CANCELLED:
            return _finish(state, Stopped(stop_reason=StopReason.CANCELLED))
        case TerminalReason.OUTPUT_LIMIT:
            issue = TurnIssue(kind="model_call", code="output_limit", message="the model's answer was cut off")
            return _stop(state, StopReason.INCOMPLETE, issue)
        case TerminalReason.CONTEXT_OVERFLOW | TerminalReason.CONTENT_FILTER | TerminalReason.PROVIDER_ERROR as reason:
            text = {
                TerminalReason.CONTEXT_OVERFLOW: "the conversation does not fit the model's context window",
                TerminalReason.CONTENT_FILTER: "the provider's content filter stopped the answer",
                TerminalReason.PROVIDER_ERROR: "the provider stopped with an error",
            }[reason]
            return _stop(
                state, StopReason.PROVIDER_ERROR, TurnIssue(kind="model_call", code=reason.value, message=text)
            )
        case TerminalReason.STOP | TerminalReason.TOOL_USE | TerminalReason.UNKNOWN:
            pass
        case _:
            assert_never(response.terminal_reason)
    step = driver.on_response(response, state.view)
    match step:
        case CallTools(parts=parts):
            message = _message(state, Role.ASSISTANT, _with_unique_call_ids(state, parts))
            return replace(state, new_messages=(*state.new_messages, message), waiting_for=RunTools(message=message))
        case Complete():
            checkpoint = RunCheckpoint(kind=CheckpointKind.BEFORE_COMPLETION)
            return replace(state, completion=step, waiting_for=checkpoint)
        case StopTurn():
            return _driver_stop(state, step)
        case _:
            assert_never(step)


def _with_unique_call_ids(state: TurnMachineState, parts: Sequence[Part]) -> list[Part]:
    """Rename calls whose id is blank or was used in this turn: some servers number each answer's calls from zero."""
    used = {call.call_id for message in state.new_messages for call in message.tool_calls}
    unique: list[Part] = []
    for index, part in enumerate(parts):
        if isinstance(part, ToolCallPart):
            if not part.call_id or part.call_id in used:
                unique.append(part.model_copy(update={"call_id": f"{state.turn_id}:call:{state.iteration}:{index}"}))
                continue
            used.add(part.call_id)
        unique.append(part)
    return unique


def _on_tool_results(
    state: TurnMachineState, results: Sequence[ToolCallResult], driver: TurnDriver
) -> TurnMachineState:
    state = _answered(state, results)
    stop = driver.on_tool_results(results, state.view)
    if stop is not None:
        return _driver_stop(state, stop)
    if _limit_reached(state):
        return _stop_at_limit(state)
    return replace(state, waiting_for=RunCheckpoint(kind=CheckpointKind.AFTER_WORK))


def _on_delivery(state: TurnMachineState, kind: CheckpointKind, messages: Sequence[Message]) -> TurnMachineState:
    completion = state.completion
    if kind is CheckpointKind.BEFORE_COMPLETION and completion is not None:
        if not messages:
            return _finish(state, completion.outcome)
        if completion.parts:
            answer = _message(state, Role.ASSISTANT, completion.parts)
            state = replace(state, new_messages=(*state.new_messages, answer))
    state = replace(state, new_messages=(*state.new_messages, *messages), completion=None)
    if _limit_reached(state):
        return _stop_at_limit(state)
    following = state.iteration + 1
    return replace(state, iteration=following, waiting_for=SyncEnvironment(iteration=following))


def _spent(state: TurnMachineState, usage: TokenUsage) -> TurnMachineState:
    return replace(state, usage=state.usage + usage, last_usage=usage)


def _answered(state: TurnMachineState, results: Sequence[ToolCallResult]) -> TurnMachineState:
    parts = tuple(part for result in results for part in result.parts)
    return replace(state, new_messages=(*state.new_messages, _message(state, Role.USER, parts)))


def _settled(state: TurnMachineState, after: ModelAnswered | ToolsFinished | None) -> TurnMachineState:
    """Keep what is true although the step came to nothing, and leave no call without a result."""
    match after:
        case ModelAnswered(response=response) if isinstance(state.waiting_for, CallModel):
            return _spent(state, response.usage)
        case ToolsFinished(results=results) if isinstance(state.waiting_for, RunTools):
            return _answered(state, results)
        case _:
            return _well_formed(state)


def _well_formed(state: TurnMachineState) -> TurnMachineState:
    """Answer the calls that are under way: a call without a result would make every later prompt invalid."""
    if not isinstance(state.waiting_for, RunTools):
        return state
    message = state.waiting_for.message
    parts = tuple(
        ToolResultPart(call_id=call.call_id, tool_name=call.tool_name, text="[Tool execution cancelled]", is_error=True)
        for call in message.tool_calls
    )
    return replace(state, new_messages=(*state.new_messages, _message(state, Role.USER, parts)))


def _limit_reached(state: TurnMachineState) -> bool:
    return state.max_iterations is not None and state.iteration >= state.max_iterations


def _stop_at_limit(state: TurnMachineState) -> TurnMachineState:
    text = f"Turn limit reached ({state.max_iterations}) before a final assistant response."
    note = _message(state, Role.SYSTEM, (TextPart(text=text),))
    state = replace(state, new_messages=(*state.new_messages, note))
    return _stop(state, StopReason.MAX_TURNS, TurnIssue(kind="runtime", code="max_turns", message=text))


def _driver_stop(state: TurnMachineState, step: StopTurn) -> TurnMachineState:
    if step.issue is not None:
        state = replace(state, issues=(*state.issues, step.issue))
    return _finish(state, step.outcome)


def _stop(state: TurnMachineState, reason: StopReason, issue: TurnIssue) -> TurnMachineState:
    return _finish(replace(state, issues=(*state.issues, issue)), Stopped(stop_reason=reason))


def _finish(state: TurnMachineState, outcome: TurnOutcome) -> TurnMachineState:
    if isinstance(outcome, AssistantMessage):
        state = _with_final_text(state, outcome.text)
    return replace(state, waiting_for=Finish(outcome=outcome), completion=None)


def _with_final_text(state: TurnMachineState, text: str) -> TurnMachineState:
    """Add the answer to the conversation, once: not where the last message already says just that."""
    stored = [message for message in state.new_messages if not message.is_transient]
    if not text or (stored and stored[-1].role is Role.ASSISTANT and stored[-1].text == text):
        return state
    message = _message(state, Role.ASSISTANT, (TextPart(text=text),))
    return replace(state, new_messages=(*state.new_messages, message))


def _message(state: TurnMachineState, role: Role, parts: Sequence[Part]) -> Message:
    number = len(state.new_messages) + 1
    return Message.model_construct(message_id=f"{state.turn_id}:{number}", role=role, parts=tuple(parts), origin=None)
