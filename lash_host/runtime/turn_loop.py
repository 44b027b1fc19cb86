"""Obeying the turn machine: doing what it wants next, and telling it what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, assert_never

from lash_host.contracts.protocol import BeforeModelCall, DriverInput
from lash_host.domain.directive import Owned, PluginMessage
from lash_host.domain.effect import EffectKind
from lash_host.domain.message import Message
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
from lash_host.errors import PluginHookError, ToolStateError, TurnAborted
from lash_host.hookspecs.prompt import PromptContext
from lash_host.hookspecs.stream import ResponseTransform, StreamChunk, StreamFinishedContext
from lash_host.hookspecs.turn import CheckpointContext
from lash_host.runtime.completions import image_refs, load_images
from lash_host.runtime.model_calls import ModelCall, StreamSink, call_model
from lash_host.runtime.turn_context import TurnContext
from lash_host.runtime.turn_preparation import PreparedTurn
from lash_host.tools.catalog import ToolCatalog, overlay_catalog
from lash_host.tools.dispatch import ToolBatchContext, ToolDispatcher

__all__ = ["run_turn_machine"]

FinishedReason = Literal["complete", "aborted", "cancelled", "provider_error"]


async def run_turn_machine(turn: TurnContext, start: PreparedTurn) -> TurnMachineState:
    """Drive a turn to its end.

    Raises:
        TurnAborted: The protocol built no driver.
        UnknownProvider, UnknownModel, MissingCredential: What the user must put right before a model can be asked.
    """
    return await _Loop(turn, start).run()


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

    async def run(self) -> TurnMachineState:
        turn = self.turn
        state = start_turn(turn_id=turn.turn_id, max_iterations=turn.policy.max_turns, messages=self.start.messages)
        try:
            self.environment = _Environment(catalog=self._catalog())
            self.driver = turn.session.plugins.protocol.build_driver(
                DriverInput(
                    state=turn.view,
                    model=turn.policy.model,
                    tools=self.environment.catalog.manifests,
                    options=turn.options,
                )
            )
        except Exception as exc:
            raise TurnAborted(self._protocol_issue(exc).message, code="protocol_build_driver") from exc
        while not isinstance(state.waiting_for, Finish):
            event = CancelRequested() if turn.cancelled.is_set() else await self._carry_out(state)
            try:
                state = advance(state, event, self.driver)
            except Exception as exc:  # noqa: BLE001  a protocol is a plugin: its failure is this turn's outcome
                state = advance(state, StepFailed(issue=self._protocol_issue(exc)), self.driver)
        return state

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
            self.environment.catalog = self._catalog()
            contributions = await turn.session.plugins.contribute_prompt(context)
        except (PluginHookError, ToolStateError) as exc:
            plugin_id = exc.plugin_id if isinstance(exc, PluginHookError) else None
            issue = TurnIssue(kind="plugin", code="plugin_prompt", message=str(exc), plugin_id=plugin_id)
            return StepFailed(issue=issue)
        overlay = self.start.prepared.prompt_contributions
        layers = (
            self.driver.preamble(),
            PromptLayer(contributions=(*overlay, *contributions)),
            turn.policy.prompt,
        )
        self.environment.system = render_prompt(layers, tool_names=self.environment.catalog.names)
        return EnvironmentSynced()

    async def _call_model(self, state: TurnMachineState, command: CallModel) -> TurnEvent:
        turn = self.turn
        before = BeforeModelCall(state=turn.view, iteration=command.iteration, latest_prompt_usage=state.last_usage)
        try:
            switch = await turn.session.plugins.protocol.before_model_call(before)
        except Exception as exc:  # noqa: BLE001  a protocol is a plugin
            return StepFailed(issue=self._protocol_issue(exc, code="protocol_before_model_call"))
        if switch is not None:
            return FrameSwitchRequested(frame_id=switch.frame_id, task=switch.task)
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
        outcome = await call_model(turn.session, request, call, sink=stream.sink(), cancelled=turn.cancelled)
        if outcome.response is None:
            await self._finished("cancelled" if outcome.failure is None else "provider_error")
            if outcome.failure is None:
                return CancelRequested()
            failure = outcome.failure
            return ModelFailed(
                message=failure.message, kind=failure.kind, code=failure.code, retryable=failure.retryable
            )
        event = await self._transformed(outcome.response)
        await self._finished("aborted" if stream.aborted else "complete")
        usage = outcome.response.usage
        turn.emit(UsageReported(usage=usage, turn_usage=state.usage + usage, correlation_id=correlation))
        return event

    async def _transformed(self, response: ModelResponse) -> TurnEvent:
        turn = self.turn
        transform = ResponseTransform(session_id=turn.session.session_id, turn_id=turn.turn_id, response=response)
        try:
            transform = await turn.session.plugins.transform_response(transform)
        except PluginHookError as exc:
            return ModelFailed(message=str(exc), kind="unknown", code="plugin_assistant_response", retryable=False)
        return ModelAnswered(response=transform.response)

    async def _finished(self, reason: FinishedReason) -> None:
        await self.turn.session.plugins.stream_finished(
            StreamFinishedContext(session_id=self.turn.session.session_id, turn_id=self.turn.turn_id, reason=reason)
        )

    async def _request(self, state: TurnMachineState, command: CallModel) -> ModelRequest:
        turn = self.turn
        messages: list[Message] = [*self.start.prepared.messages, *state.new_messages]
        return ModelRequest(
            model=turn.policy.model,
            system=self.environment.system,
            messages=messages,
            tools=self.environment.catalog.specs(),
            tool_choice=command.tool_choice,
            blobs=await load_images(turn.session, self._images(state)),
            output_tokens_limit=turn.policy.model.output_tokens_limit,
            scope=RequestScope(
                session_id=turn.session.session_id,
                frame_id=turn.view.frame_id,
                turn_id=turn.turn_id,
                request_id=f"{turn.turn_id}:model:{command.iteration}",
                idempotency_key=f"{turn.session.session_id}:{turn.turn_id}:model:{command.iteration}",
            ),
        )

    def _images(self, state: TurnMachineState) -> set[str]:
        view, shown = self.turn.view, self.start.prepared.messages
        before = view.graph.frame_images(view.frame_id) if shown is view.messages else image_refs(shown)
        return before | image_refs(state.new_messages)

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
            fold = await turn.session.plugins.checkpoint(context)
        except PluginHookError as exc:
            issue = TurnIssue(kind="plugin", code="plugin_checkpoint", message=str(exc), plugin_id=exc.plugin_id)
            return StepFailed(issue=issue)
        turn.emit.plugin_events(fold.events)
        if fold.abort is not None:
            abort = fold.abort.value
            issue = TurnIssue(kind="plugin", code=abort.code, message=abort.message, plugin_id=fold.abort.plugin_id)
            return StepFailed(issue=issue)
        delivered = (*self.buffered, *fold.messages)
        self.buffered.clear()
        after = len(state.new_messages) + 1  # the answer that a delivery keeps comes first
        return CheckpointDelivered(messages=turn.plugin_messages(delivered, after=after))

    def _protocol_issue(self, exc: Exception, *, code: str = "protocol_failed") -> TurnIssue:
        plugin_id = self.turn.session.plugins.protocol_plugin_id
        message = f"protocol of plugin {plugin_id!r} failed: {type(exc).__name__}: {exc}"
        return TurnIssue(kind="plugin", code=code, message=message, plugin_id=plugin_id)


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
