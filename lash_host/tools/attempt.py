"""The attempts of one tool call: each an effect, seen by the hooks, tried again where its tool allows it."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field

from lash_host.contracts.tool import ToolCallContext
from lash_host.domain.directive import Owned, PluginMessage
from lash_host.domain.effect import EffectEnvelope, EffectKind
from lash_host.domain.observation import PluginRuntime
from lash_host.domain.tool import FailureClass, ToolFailure, ToolOutput, ToolRetry, next_retry_delay_s
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import PluginHookError
from lash_host.hookspecs.tool_call import AfterToolCallContext
from lash_host.tools.batch import BatchScene
from lash_host.tools.catalog import CatalogTool
from lash_host.tools.containment import checked_output, contained, runtime_failure

__all__ = ["Attempts", "emit_events"]


@dataclass(slots=True, kw_only=True)
class Attempts:
    """The attempts of one call.

    Attributes:
        scene: The batch.
        tool: The tool.
        call_id: The model's id of the call; may be blank.
        index: The call's place in the batch.
        arguments: What the tool is called with.
        made: How many attempts were begun.
        messages: What plugins want to put into the turn.
        abandoned: Set when nobody waits for the call any more; nothing is done after it.
    """

    scene: BatchScene
    tool: CatalogTool
    call_id: str
    index: int
    arguments: JsonObject
    made: int = 0
    messages: list[Owned[PluginMessage]] = field(default_factory=list)
    abandoned: bool = False
    _began_s: float = 0.0
    _ended_s: float | None = None

    @property
    def duration_ms(self) -> float:
        """How long the tool took: from the first attempt's begin to the last one's end, waits included."""
        if not self.made:
            return 0.0
        ended = self.scene.context.clock.monotonic() if self._ended_s is None else self._ended_s
        return (ended - self._began_s) * 1000

    async def run(self) -> ToolOutput:
        """Give the call's output.

        A failure is tried again only if it says that this is safe and the tool's policy allows it; the last allowed
        attempt's says that the attempts are used up. Cancelling the turn stops trying at once.
        """
        policy = self.tool.manifest.retry_policy
        self._began_s = self.scene.context.clock.monotonic()
        while True:
            output = await self._attempt()
            failure = output.outcome
            if not isinstance(failure, ToolFailure):
                return output
            delay_s = next_retry_delay_s(policy, failure, attempt=self.made, has_call_id=bool(self.call_id))
            if delay_s is None:
                is_used_up = policy.mode != "never" and failure.retry.disposition == "safe"
                return _exhausted(output, failure, attempts=self.made) if is_used_up else output
            if not await self._wait(delay_s):
                return output

    @property
    def _allowed(self) -> int:
        policy = self.tool.manifest.retry_policy
        if policy.mode == "never" or (policy.mode == "idempotent" and not self.call_id):
            return 1
        return policy.max_attempts

    @property
    def _replay_key(self) -> str:
        """The tool's idempotency key: the same over attempts and re-drives, and no other call's.

        It names the turn, for some servers number each answer's calls from zero; a call without an id is known by
        its place.
        """
        context = self.scene.context
        place = self.call_id or f"{context.iteration}:{self.index}"
        return f"lash-tool:{context.session_id}:{context.turn_id}:{place}:{self.tool.manifest.name}"

    async def _attempt(self) -> ToolOutput:
        context = self.scene.context
        self.made += 1
        self._ended_s = None
        envelope = EffectEnvelope(
            scope=context.scope,
            kind=EffectKind.TOOL_ATTEMPT,
            effect_id=f"{context.iteration}:{self.index}:{self.call_id}:attempt:{self.made}",
        )
        began_s = context.clock.monotonic()
        output = await context.effects.execute(envelope, self._execute, result_type=ToolOutput)
        self._ended_s = context.clock.monotonic()
        if self.abandoned:
            raise asyncio.CancelledError
        return await self._after(output, duration_ms=(self._ended_s - began_s) * 1000)

    async def _execute(self) -> ToolOutput:
        context = self.scene.context
        tool_context = ToolCallContext(
            session_id=context.session_id,
            frame_id=context.frame_id,
            turn_id=context.turn_id,
            call_id=self.call_id,
            state=context.state,
            attempt=self.made,
            max_attempts=self._allowed,
            replay_key=self._replay_key,
            cancelled=context.cancelled,
            completions=context.completions,
        )
        return await contained(lambda: self.tool.execute(copy.deepcopy(self.arguments), tool_context))

    async def _after(self, output: ToolOutput, *, duration_ms: float) -> ToolOutput:
        context = self.scene.context
        after = AfterToolCallContext(
            session_id=context.session_id,
            turn_id=context.turn_id,
            call_id=self.call_id,
            tool=self.tool.manifest,
            arguments=copy.deepcopy(self.arguments),
            output=output,
            duration_ms=duration_ms,
            attempt=self.made,
            state=context.state,
        )
        try:
            fold = await self.scene.hooks.after_tool_call(after)
        except PluginHookError as exc:
            return runtime_failure(str(exc), code="after_tool_call_failed", failure_class=FailureClass.INTERNAL)
        if self.abandoned:
            raise asyncio.CancelledError
        emit_events(self.scene, fold.events, call_id=self.call_id)
        self.messages.extend(fold.messages)
        if fold.abort is not None:
            abort = fold.abort.value
            return runtime_failure(abort.message, code=abort.code, failure_class=FailureClass.EXECUTION)
        return output if fold.output is None else checked_output(fold.output.value)

    async def _wait(self, delay_s: float) -> bool:
        """Wait before the next attempt; False when the turn is cancelled meanwhile."""
        cancelled = self.scene.context.cancelled
        if delay_s > 0:
            pause = asyncio.ensure_future(self.scene.context.clock.sleep(delay_s))
            stop = asyncio.ensure_future(cancelled.wait())
            try:
                await asyncio.wait((pause, stop), return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
                stop.cancel()
        return not cancelled.is_set()


def emit_events(scene: BatchScene, events: tuple[Owned[JsonValue], ...], *, call_id: str) -> None:
    """Tell whoever watches what plugins have to say of a call."""
    for owned in events:
        scene.context.emit(PluginRuntime(plugin_id=owned.plugin_id, event=owned.value, correlation_id=call_id))


def _exhausted(output: ToolOutput, failure: ToolFailure, *, attempts: int) -> ToolOutput:
    retry = ToolRetry(disposition="exhausted", attempts=attempts)
    return output.model_copy(update={"outcome": failure.model_copy(update={"retry": retry})})
