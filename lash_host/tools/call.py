"""One tool call of a batch, from the first activity to the record."""

from __future__ import annotations

import copy
import difflib
import logging

from lash_host.domain.directive import DirectiveFold, Owned, PluginMessage
from lash_host.domain.message import ToolCallPart
from lash_host.domain.observation import ToolCallCompleted, ToolCallStarted
from lash_host.domain.protocol import ToolCallResult
from lash_host.domain.tool import FailureClass, ToolCallRecord, ToolCancelled, ToolOutput, ToolScheduling
from lash_host.errors import PluginHookError, RuntimeFault, StoreError, ToolStateError
from lash_host.hookspecs.tool_call import BeforeToolCallContext, ToolProjectionContext
from lash_host.tools.attempt import Attempts, emit_events
from lash_host.tools.batch import BatchScene
from lash_host.tools.catalog import CatalogTool
from lash_host.tools.containment import checked_output, runtime_failure
from lash_host.tools.model_view import model_parts

__all__ = ["ToolCallRun"]

_log = logging.getLogger(__name__)

CANCELLED = ToolOutput(outcome=ToolCancelled())


class ToolCallRun:
    """One call. It begins once and is finished once, whoever does so first.

    Args:
        part: The model's call.
        index: Its place in the batch.
        is_repeated: Whether a call before it in the batch has the same id.
        scene: The batch.
    """

    def __init__(self, part: ToolCallPart, *, index: int, is_repeated: bool, scene: BatchScene) -> None:
        self._part = part
        self._index = index
        self._is_repeated = is_repeated
        self._scene = scene
        self._tool = scene.catalog.tool(part.tool_name)
        self._arguments = part.arguments
        self._attempts: Attempts | None = None
        self._started_at_us: int | None = None
        self._finished: tuple[ToolCallResult, ToolCallRecord] | None = None
        self._is_abandoned = False

    @property
    def is_serial(self) -> bool:
        """Whether it must run alone. A call of a tool that is not there fails at once, so it need not."""
        return self._tool is not None and self._tool.manifest.scheduling is ToolScheduling.SERIAL

    @property
    def result(self) -> ToolCallResult:
        """What the model gets. Only of a finished call."""
        return self._outcome[0]

    @property
    def record(self) -> ToolCallRecord:
        """What is kept. Only of a finished call."""
        return self._outcome[1]

    @property
    def messages(self) -> tuple[Owned[PluginMessage], ...]:
        """What plugins want to put in at the next checkpoint."""
        return () if self._attempts is None else tuple(self._attempts.messages)

    async def run(self) -> None:
        """Carry the call out and finish it.

        Raises:
            StoreError, RuntimeFault: The effect host lost its ground; the turn cannot go on.
        """
        self._begin()
        try:
            output = await self._answer()
        except (StoreError, RuntimeFault):
            raise
        except Exception as exc:  # noqa: BLE001  logged, and told as this call's result
            _log.exception("tool call %s of %r", self._part.call_id, self._part.tool_name)
            output = runtime_failure(
                f"{type(exc).__name__}: {exc}", code="tool_dispatch_failed", failure_class=FailureClass.INTERNAL
            )
        self.finish(output)

    def finish(self, output: ToolOutput) -> None:
        """Settle the call with this output, unless it is settled or given up already."""
        if self._is_abandoned:
            return
        started_at_us = self._begin()
        part, context = self._part, self._scene.context
        duration_ms = 0.0 if self._attempts is None else self._attempts.duration_ms
        parts = model_parts(
            self._scene.hooks,
            ToolProjectionContext(
                session_id=context.session_id,
                call_id=part.call_id,
                tool_name=part.tool_name,
                arguments=copy.deepcopy(self._arguments),
                output=output,
                duration_ms=duration_ms,
            ),
        )
        record = self._make_record(output, started_at_us=started_at_us, duration_ms=duration_ms)
        self._finished = ToolCallResult(call=part, output=output, parts=parts), record
        self.abandon()
        context.emit(
            ToolCallCompleted(
                call_id=part.call_id,
                tool_name=part.tool_name,
                output=output,
                duration_ms=duration_ms,
                correlation_id=part.call_id,
            )
        )

    def cancel(self) -> None:
        """Settle the call as cancelled, unless it is settled or given up already."""
        self.finish(CANCELLED)

    def abandon(self) -> None:
        """Let nothing more come of the call, should its tool or a hook still run."""
        self._is_abandoned = True
        if self._attempts is not None:
            self._attempts.abandoned = True

    @property
    def _is_over(self) -> bool:
        return self._is_abandoned or self._scene.context.cancelled.is_set()

    @property
    def _outcome(self) -> tuple[ToolCallResult, ToolCallRecord]:
        if self._finished is None:
            raise AssertionError("the call is not finished")
        return self._finished

    def _begin(self) -> int:
        if self._started_at_us is None:
            part, context = self._part, self._scene.context
            self._started_at_us = context.clock.now_us()
            context.emit(
                ToolCallStarted(
                    call_id=part.call_id,
                    tool_name=part.tool_name,
                    arguments=part.arguments,
                    correlation_id=part.call_id,
                )
            )
        return self._started_at_us

    async def _answer(self) -> ToolOutput:
        if self._is_over:
            return CANCELLED
        if self._tool is None:
            return self._unavailable()
        refusal = self._refusal(self._tool)
        return await self._call(self._tool) if refusal is None else refusal

    def _unavailable(self) -> ToolOutput:
        message = f"Tool is unavailable in this session: {self._part.tool_name}"
        shown = [tool.name for tool in self._scene.catalog.manifests if tool.activation != "internal"]
        nearest = difflib.get_close_matches(self._part.tool_name, shown, n=1)
        if nearest:
            message += f". Did you mean {nearest[0]}?"
        return runtime_failure(message, code="tool_unavailable", failure_class=FailureClass.UNAVAILABLE)

    def _refusal(self, tool: CatalogTool) -> ToolOutput | None:
        part = self._part
        if self._is_repeated:
            message = f"call id {part.call_id!r} was used before in this batch; call the tool again"
            return runtime_failure(message, code="duplicate_call_id", failure_class=FailureClass.INVALID_REQUEST)
        if part.arguments_error is not None:
            return _invalid_arguments(part.arguments_error)
        try:
            tool.contract()
        except ToolStateError as exc:
            return _contract_unavailable(exc)
        return None

    async def _call(self, tool: CatalogTool) -> ToolOutput:
        try:
            fold = await self._before(tool)
        except PluginHookError as exc:
            return runtime_failure(str(exc), code="before_tool_call_failed", failure_class=FailureClass.INTERNAL)
        if self._is_over:
            return CANCELLED
        emit_events(self._scene, fold.events, call_id=self._part.call_id)
        if fold.arguments is not None:
            self._arguments = fold.arguments
        if fold.abort is not None:
            abort = fold.abort.value
            return runtime_failure(abort.message, code=abort.code, failure_class=FailureClass.EXECUTION)
        if fold.output is not None:
            return checked_output(fold.output.value)
        try:
            problem = tool.problem(self._arguments)
        except ToolStateError as exc:
            return _contract_unavailable(exc)
        if problem is not None:
            return _invalid_arguments(problem)
        self._attempts = Attempts(
            scene=self._scene,
            tool=tool,
            call_id=self._part.call_id,
            index=self._index,
            arguments=self._arguments,
        )
        return await self._attempts.run()

    async def _before(self, tool: CatalogTool) -> DirectiveFold:
        context = self._scene.context
        return await self._scene.hooks.before_tool_call(
            BeforeToolCallContext(
                session_id=context.session_id,
                turn_id=context.turn_id,
                call_id=self._part.call_id,
                tool=tool.manifest,
                arguments=copy.deepcopy(self._part.arguments),
                state=context.state,
            )
        )

    def _make_record(self, output: ToolOutput, *, started_at_us: int, duration_ms: float) -> ToolCallRecord:
        tool_id, plugin_id = self._identity()
        return ToolCallRecord(
            call_id=self._part.call_id,
            tool_id=tool_id,
            tool_name=self._part.tool_name,
            plugin_id=plugin_id,
            arguments=self._arguments,
            output=output,
            attempts=0 if self._attempts is None else self._attempts.made,
            started_at_us=started_at_us,
            duration_ms=duration_ms,
        )

    def _identity(self) -> tuple[str, str | None]:
        """Give the tool's id and plugin; blank and None for a name nobody knows."""
        if self._tool is not None:
            return self._tool.manifest.tool_id, self._tool.plugin_id
        registry = self._scene.registry
        known = registry.manifest(self._part.tool_name)
        if known is None:
            return "", None
        live = registry.source.manifests
        return known.tool_id, registry.owner(known.tool_id) if known.tool_id in live else None


def _invalid_arguments(problem: str) -> ToolOutput:
    return runtime_failure(problem, code="invalid_tool_args", failure_class=FailureClass.INVALID_REQUEST)


def _contract_unavailable(exc: ToolStateError) -> ToolOutput:
    return runtime_failure(str(exc), code="tool_contract_unavailable", failure_class=FailureClass.UNAVAILABLE)
