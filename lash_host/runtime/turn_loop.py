"""Obeying the turn machine: doing what it wants next, and telling it what came of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

from lash_host.contracts.protocol import BeforeModelCall, DriverInput
from lash_host.domain.directive import Owned, PluginMessage
from lash_host.domain.effect import EffectKind
from lash_host.domain.message import Message, Role
from lash_host.domain.model import ModelRequest, ModelResponse, RequestScope, RetryStatus
from lash_host.domain.observation import (
    AssistantProseDelta,
    ModelRequestStarted,
    ReasoningProseDelta,
    RetryScheduled,
    UsageReported,
)
from lash_host.domain.prompt import PromptLayer, render_prompt
from lash_host.domain.protocol import CheckpointKind, TurnDriver
from lash_host.domain.turn import TurnIssue
from lash_host.domain.turn_machine import (
    CallModel,
    CancelRequested,
    CheckpointDelivered,
    EnvironmentSynced,
    Finish,
    FrameSwitchRequested,
    ModelAnswered,
    ModelFailed,
    RunCheckpoint,
    RunTools,
    StepFailed,
    SyncEnvironment,
    ToolsFinished,
    TurnEvent,
    TurnMachineState,
    advance,
    start_turn,
)
from lash_host.errors import (
    MissingCredential,
    PluginHookError,
    RuntimeFault,
    StoreError,
    ToolStateError,
    TurnAborted,
    UsageFault,
)
from lash_host.hookspecs.prompt import PromptContext
from lash_host.hookspecs.stream import ResponseTransform, StreamChunk, StreamFinishedContext
from lash_host.hookspecs.turn import CheckpointContext
from lash_host.runtime.completions import image_refs, load_images
from lash_host.runtime.interruption import TurnInterrupted
from lash_host.runtime.model_calls import ModelCall, ModelCallOutcome, StreamSink, call_model
from lash_host.runtime.turn_context import TurnContext
from lash_host.runtime.turn_preparation import PreparedTurn
from lash_host.tools.catalog import ToolCatalog, overlay_catalog
from lash_host.tools.dispatch import ToolBatchContext, ToolDispatcher

__all__ = ["run_turn_machine"]

_log = logging.getLogger("lash_host")

FinishedReason = Literal["complete", "aborted", "cancelled", "provider_error"]


async def run_turn_machine(turn: TurnContext, start: PreparedTurn) -> TurnMachineState:
    """Drive a turn to its end.

    Raises:
        TurnAborted: There is no tool catalog (``plugin_tool_catalog``), or the protocol built no driver
            (``protocol_build_driver``).
        UnknownProvider, UnknownModel, MissingCredential: What the user must put right before a model can be asked.
    """
    return await _Loop(turn, start).run()


@dataclass(frozen=True, slots=True)
class _History:
    """What the model sees of the session in all calls of the turn. Events are nothing a model is told as they are."""

    messages: Sequence[Message]
    images: set[str]

    @classmethod
    def of(cls, turn: TurnContext, shown: Sequence[Message]) -> _History:
        view, graph = turn.view, turn.view.graph
        is_session = shown is view.messages
        images = graph.frame_images(view.frame_id) if is_session else image_refs(shown)
        if is_session and not graph.frame_has_role(view.frame_id, Role.EVENT):
            return cls(shown, images)
        return cls([message for message in shown if message.role is not Role.EVENT], images)


@dataclass(slots=True)
class _Environment:
    """Prompt and tools of the current iteration."""

    catalog: ToolCatalog
    system: str = ""


@dataclass(slots=True)
class _Loop:
    turn: TurnContext
    start: PreparedTurn
    buffered: list[Owned[PluginMessage]] = field(default_factory=list)
    environment: _Environment = field(init=False)
    driver: TurnDriver = field(init=False)
    history: _History = field(init=False)

    async def run(self) -> TurnMachineState:
        turn = self.turn
        state = start_turn(turn_id=turn.turn_id, max_iterations=turn.policy.max_turns, messages=self.start.messages)
        self.history = _History.of(turn, self.start.prepared.messages)
        self.environment = _Environment(catalog=self._first_catalog())
        self.driver = self._build_driver()
        while not isinstance(state.waiting_for, Finish):
            event = await self._next_event(state)
            try:
                state = advance(state, event, self.driver)
            except Exception as exc:  # noqa: BLE001  a protocol is a plugin: its failure is this turn's outcome
                after = event if isinstance(event, ModelAnswered | ToolsFinished) else None
                state = advance(state, StepFailed(issue=self._protocol_issue(exc), after=after), self.driver)
        return state

    def _first_catalog(self) -> ToolCatalog:
        try:
            return self._catalog()
        except (PluginHookError, ToolStateError) as exc:
            raise TurnAborted(str(exc), code="plugin_tool_catalog") from exc

    def _build_driver(self) -> TurnDriver:
        turn = self.turn
        driver_input = DriverInput(
            state=turn.view,
            model=turn.policy.model,
            tools=self.environment.catalog.manifests,
            options=turn.options,
        )
        try:
            return turn.session.plugins.protocol.build_driver(driver_input)
        except Exception as exc:
            raise TurnAborted(self._protocol_issue(exc).message, code="protocol_build_driver") from exc

    async def _next_event(self, state: TurnMachineState) -> TurnEvent:
        """Do what the machine waits for. What nobody could foresee ends the turn, not the program."""
        if self.turn.cancelled.is_set():
            return CancelRequested()
        try:
            return await self._carry_out(state)
        except TurnInterrupted:
            return CancelRequested()
        except (StoreError, RuntimeFault, UsageFault, MissingCredential):
            raise
        except Exception as exc:  # noqa: BLE001
            _log.exception("turn %s", self.turn.turn_id)
            message = f"{type(exc).__name__}: {exc}"
            return StepFailed(issue=TurnIssue(kind="runtime", code="unexpected_failure", message=message))

    async def _carry_out(self, state: TurnMachineState) -> TurnEvent:
        command = state.waiting_for
        match command:
            case SyncEnvironment():
                return await self._sync(command.iteration)
            case CallModel():
                return await self._call_model(state, command)
            case RunTools():
                return await self._run_tools(state, command)
            case RunCheckpoint():
                return await self._checkpoint(state, command.kind)
            case Finish():
                raise AssertionError("a finished turn wants nothing")
            case _:
                assert_never(command)

    def _catalog(self) -> ToolCatalog:
        prepared = self.start.prepared
        base = self.turn.session.catalog()
        if not prepared.tool_providers and prepared.include_base_tools:
            return base
        return overlay_catalog(base, prepared.tool_providers, include_base=prepared.include_base_tools)

    async def _sync(self, iteration: int) -> TurnEvent:
        turn = self.turn
        context = PromptContext(
            session_id=turn.session.session_id,
            turn_id=turn.turn_id,
            iteration=iteration,
            state=turn.view,
            protocol_turn_options=turn.options,
        )
        try:
            if iteration > 1:
                self.environment.catalog = self._catalog()
        except (PluginHookError, ToolStateError) as exc:
            return StepFailed(issue=_plugin_issue(exc, code="plugin_tool_catalog"))
        try:
            contributions = await turn.unless_cancelled(
                turn.session.plugins.contribute_prompt(context), hook="lash_contribute_prompt"
            )
        except PluginHookError as exc:
            return StepFailed(issue=_plugin_issue(exc, code="plugin_prompt"))
        try:
            preamble = self.driver.preamble()
        except Exception as exc:  # noqa: BLE001  a protocol is a plugin
            return StepFailed(issue=self._protocol_issue(exc))
        overlay = self.start.prepared.prompt_contributions
        layers = (preamble, PromptLayer(contributions=(*overlay, *contributions)), turn.policy.prompt)
        self.environment.system = render_prompt(layers, tool_names=self.environment.catalog.names)
        return EnvironmentSynced()

    async def _before_model_call(self, state: TurnMachineState, command: CallModel) -> TurnEvent | None:
        turn = self.turn
        before = BeforeModelCall(state=turn.view, iteration=command.iteration, latest_prompt_usage=state.last_usage)
        try:
            switch = await turn.unless_cancelled(turn.session.plugins.protocol.before_model_call(before))
            return None if switch is None else FrameSwitchRequested(frame_id=switch.frame_id, task=switch.task)
        except TurnInterrupted:
            raise
        except Exception as exc:  # noqa: BLE001  a protocol is a plugin
            return StepFailed(issue=self._protocol_issue(exc, code="protocol_before_model_call"))

    async def _call_model(self, state: TurnMachineState, command: CallModel) -> TurnEvent:
        turn = self.turn
        instead = await self._before_model_call(state, command)
        if instead is not None:
            return instead
        request = await self._request(state, command)
        correlation = request.scope.request_id
        turn.emit(
            ModelRequestStarted(iteration=command.iteration, model=str(turn.policy.model), correlation_id=correlation)
        )
        call = ModelCall(
            scope=turn.scope,
            kind=EffectKind.MODEL_CALL,
            effect_id=str(command.iteration),
            turn_id=turn.turn_id,
            source=turn.view.state.current_frame.assignment.usage_source or "turn",
            iteration=command.iteration,
        )
        stream = _Stream(turn, correlation)
        turn.record.model_calls += 1
        outcome = await call_model(turn.session, request, call, sink=stream.sink(), cancelled=turn.cancelled)
        if outcome.response is None:
            await self._finished("cancelled" if outcome.failure is None else "provider_error")
            return _unanswered(outcome)
        event = await self._transformed(outcome.response)
        await self._finished("aborted" if stream.aborted else "complete")
        usage = outcome.response.usage
        turn.emit(UsageReported(usage=usage, turn_usage=state.usage + usage, correlation_id=correlation))
        return event

    async def _transformed(self, response: ModelResponse) -> TurnEvent:
        turn = self.turn
        transform = ResponseTransform(session_id=turn.session.session_id, turn_id=turn.turn_id, response=response)
        try:
            transform = await turn.unless_cancelled(
                turn.session.plugins.transform_response(transform), hook="lash_transform_response"
            )
        except TurnInterrupted:
            return CancelRequested(after=ModelAnswered(response=response))
        except PluginHookError as exc:
            return ModelFailed(
                message=str(exc),
                kind="unknown",
                code="plugin_assistant_response",
                retryable=False,
                usage=response.usage,
            )
        return ModelAnswered(response=transform.response.model_copy(update={"usage": response.usage}))

    async def _finished(self, reason: FinishedReason) -> None:
        await self.turn.session.plugins.stream_finished(
            StreamFinishedContext(session_id=self.turn.session.session_id, turn_id=self.turn.turn_id, reason=reason)
        )

    async def _request(self, state: TurnMachineState, command: CallModel) -> ModelRequest:
        turn = self.turn
        added = [message for message in state.new_messages if message.role is not Role.EVENT]
        return ModelRequest(
            model=turn.policy.model,
            system=self.environment.system,
            messages=[*self.history.messages, *added],
            tools=self.environment.catalog.specs(),
            tool_choice=command.tool_choice,
            blobs=await load_images(turn.session, self.history.images | image_refs(added)),
            output_tokens_limit=turn.policy.model.output_tokens_limit,
            scope=RequestScope(
                session_id=turn.session.session_id,
                frame_id=turn.view.frame_id,
                turn_id=turn.turn_id,
                request_id=f"{turn.turn_id}:model:{command.iteration}",
                idempotency_key=f"{turn.session.session_id}:{turn.turn_id}:model:{command.iteration}",
            ),
        )

    async def _run_tools(self, state: TurnMachineState, command: RunTools) -> TurnEvent:
        turn = self.turn
        context = ToolBatchContext(
            session_id=turn.session.session_id,
            frame_id=turn.view.frame_id,
            turn_id=turn.turn_id,
            iteration=state.iteration,
            state=turn.view,
            cancelled=turn.cancelled,
            completions=turn.completions(),
            effects=turn.session.services.effects,
            scope=turn.scope,
            clock=turn.session.services.clock,
            emit=turn.emit,
        )
        dispatcher = ToolDispatcher(turn.session.plugins, turn.session.registry)
        batch = await dispatcher.run_batch(
            command.message.tool_calls, catalog=self.environment.catalog, context=context
        )
        turn.record.tool_calls.extend(batch.records)
        self.buffered.extend(batch.messages)
        return ToolsFinished(results=batch.results)

    async def _checkpoint(self, state: TurnMachineState, kind: CheckpointKind) -> TurnEvent:
        turn = self.turn
        context = CheckpointContext(
            session_id=turn.session.session_id,
            turn_id=turn.turn_id,
            kind=kind,
            iteration=state.iteration,
            state=turn.view,
            new_messages=state.new_messages,
        )
        try:
            fold = await turn.unless_cancelled(turn.session.plugins.checkpoint(context), hook="lash_checkpoint")
        except PluginHookError as exc:
            return StepFailed(issue=_plugin_issue(exc, code="plugin_checkpoint"))
        turn.emit.plugin_events(fold.events)
        if fold.abort is not None:
            abort = fold.abort.value
            issue = TurnIssue(kind="plugin", code=abort.code, message=abort.message, plugin_id=fold.abort.plugin_id)
            return StepFailed(issue=issue)
        delivered = (*self.buffered, *fold.messages)
        self.buffered.clear()
        keeps_answer = state.completion is not None and bool(state.completion.parts)
        after = len(state.new_messages) + keeps_answer  # the answer that a delivery keeps comes first
        return CheckpointDelivered(messages=turn.plugin_messages(delivered, after=after))

    def _protocol_issue(self, exc: Exception, *, code: str = "protocol_failed") -> TurnIssue:
        plugin_id = self.turn.session.plugins.protocol_plugin_id
        message = f"protocol of plugin {plugin_id!r} failed: {type(exc).__name__}: {exc}"
        return TurnIssue(kind="plugin", code=code, message=message, plugin_id=plugin_id)


def _plugin_issue(exc: PluginHookError | ToolStateError, *, code: str) -> TurnIssue:
    plugin_id = exc.plugin_id if isinstance(exc, PluginHookError) else None
    return TurnIssue(kind="plugin", code=code, message=str(exc), plugin_id=plugin_id)


def _unanswered(outcome: ModelCallOutcome) -> TurnEvent:
    failure = outcome.failure
    if failure is None:
        return CancelRequested()
    return ModelFailed(message=failure.message, kind=failure.kind, code=failure.code, retryable=failure.retryable)


class _Stream:
    """One model call's stream, on its way through the hooks to whoever watches."""

    def __init__(self, turn: TurnContext, correlation: str) -> None:
        self.aborted = False
        self._turn = turn
        self._correlation = correlation

    def sink(self) -> StreamSink:
        return StreamSink(on_text=self._on_text, on_reasoning=self._on_reasoning, on_retry=self._on_retry)

    def _on_text(self, text: str) -> tuple[str, bool]:
        turn, plugins = self._turn, self._turn.session.plugins
        if plugins.has_stream_transform:
            chunk = plugins.transform_stream(
                StreamChunk(session_id=turn.session.session_id, turn_id=turn.turn_id, text=text)
            )
            self.aborted, text = chunk.abort_stream, chunk.text
        if text:
            turn.emit(AssistantProseDelta(text=text, correlation_id=self._correlation))
        return text, not self.aborted

    def _on_reasoning(self, text: str) -> None:
        self._turn.emit(ReasoningProseDelta(text=text, correlation_id=self._correlation))

    def _on_retry(self, status: RetryStatus) -> None:
        self._turn.emit(
            RetryScheduled(
                attempt=status.attempt,
                max_attempts=status.max_attempts,
                wait_s=status.wait_s,
                reason=status.reason,
                correlation_id=self._correlation,
            )
        )
