"""Calling a model: attempts, retries, timeouts, hooks on the stream, and the record that is kept of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lash_host.contracts.provider import ModelProvider
from lash_host.domain.commit import ModelCallFact
from lash_host.domain.effect import EffectEnvelope, EffectKind, EffectScope
from lash_host.domain.model import (
    ModelRequest,
    ModelResponse,
    ReasoningDelta,
    RetryStatus,
    TerminalReason,
    TextDelta,
    cost_usd,
)
from lash_host.domain.model_stream import StreamAccumulator
from lash_host.domain.retry import GiveUp, RetryProgress, decide_model_retry
from lash_host.domain.usage import TokenUsage
from lash_host.domain.value import Value
from lash_host.errors import LashError, MissingCredential, ModelCallError, ModelErrorKind, PluginHookError, UsageFault
from lash_host.runtime.interruption import give_up
from lash_host.runtime.resident import ResidentSession

__all__ = ["CHUNK_TIMEOUT_S", "ModelCall", "ModelCallOutcome", "ModelFailure", "StreamSink", "call_model"]

CHUNK_TIMEOUT_S = 120.0


class ModelFailure(Value):
    """Why a model gave no answer, retries included."""

    code: str
    message: str
    kind: ModelErrorKind
    retryable: bool


class ModelCallOutcome(Value):
    """What came of a model call: a response, or a failure, or neither when it was cancelled."""

    response: ModelResponse | None = None
    failure: ModelFailure | None = None
    attempts: int = 1
    started_at_us: int
    duration_ms: float
    time_to_first_token_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSink:
    """Where a stream goes. `on_text` gives the text as hooks rewrote it, and whether the model may go on."""

    on_text: Callable[[str], tuple[str, bool]]
    on_reasoning: Callable[[str], None]
    on_retry: Callable[[RetryStatus], None]


_SILENT = StreamSink(on_text=lambda text: (text, True), on_reasoning=lambda _: None, on_retry=lambda _: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """What a call is for, and where it is booked."""

    scope: EffectScope
    kind: EffectKind
    effect_id: str
    turn_id: str | None
    source: str
    iteration: int = 0
    plugin_id: str | None = None


async def call_model(
    session: ResidentSession,
    request: ModelRequest,
    call: ModelCall,
    *,
    sink: StreamSink = _SILENT,
    cancelled: asyncio.Event | None = None,
) -> ModelCallOutcome:
    """Ask a model, with retries, and book the call on the session.

    Whatever a provider raises is contained in the outcome, but for what the user must put right first.

    Raises:
        UnknownProvider: The model's provider is not installed.
        UnknownModel: The provider has no such model.
        MissingCredential: The provider has no key.
    """
    provider = session.services.provider(request.model.provider_id)
    envelope = EffectEnvelope(scope=call.scope, kind=call.kind, effect_id=call.effect_id)
    attempts = _Attempts(session, provider, request, sink)

    async def run() -> ModelCallOutcome:
        task = asyncio.ensure_future(attempts.run())
        waiters: set[asyncio.Future[Any]] = {task}
        stop = None if cancelled is None else asyncio.ensure_future(cancelled.wait())
        if stop is not None:
            waiters.add(stop)
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if stop is not None:
                stop.cancel()
            await give_up(task)
            attempts.is_over = True
        return attempts.outcome(None) if not task.done() or task.cancelled() else task.result()

    try:
        outcome = await session.services.effects.execute(envelope, run, result_type=ModelCallOutcome)
    except asyncio.CancelledError:
        if attempts.count:
            session.staged_calls.append(_fact(session, request, call, attempts.outcome(None)))
        raise
    _book(session, _fact(session, request, call, outcome), was_made=attempts.count > 0)
    return outcome


class _Attempts:
    """The attempts of one call."""

    def __init__(
        self, session: ResidentSession, provider: ModelProvider, request: ModelRequest, sink: StreamSink
    ) -> None:
        self._session = session
        self._provider = provider
        self._request = request
        self._sink = sink
        self._clock = session.services.clock
        self._started_us = self._clock.now_us()
        self._started = self._clock.monotonic()
        self._first_token: float | None = None
        self.count = 0
        """How often the request was sent."""
        self.is_over = False
        """Set when nobody waits for an answer any more."""

    async def run(self) -> ModelCallOutcome:
        policy, progress = self._session.services.retry_policy, RetryProgress()
        while True:
            self.count += 1
            self._first_token = None
            error = await self._attempt()
            if isinstance(error, ModelResponse):
                return self.outcome(error)
            decision = decide_model_retry(
                policy, progress, retryable=error.retryable, kind=error.kind, retry_after_s=error.retry_after_s
            )
            if isinstance(decision, GiveUp):
                failure = ModelFailure(code=error.code, message=str(error), kind=error.kind, retryable=error.retryable)
                return self.outcome(None).model_copy(update={"failure": failure})
            progress = decision.progress
            self._sink.on_retry(
                RetryStatus(
                    attempt=self.count,
                    max_attempts=policy.max_attempts,
                    wait_s=decision.delay_s,
                    reason=str(error),
                )
            )
            await self._clock.sleep(decision.delay_s)

    def outcome(self, response: ModelResponse | None) -> ModelCallOutcome:
        return ModelCallOutcome(
            response=response,
            attempts=max(self.count, 1),
            started_at_us=self._started_us,
            duration_ms=(self._clock.monotonic() - self._started) * 1000,
            time_to_first_token_ms=self._first_token,
        )

    async def _attempt(self) -> ModelResponse | ModelCallError:
        try:
            async with asyncio.timeout(self._request.timeout_s):
                return await self._stream()
        except ModelCallError as exc:
            return exc
        except TimeoutError:
            return ModelCallError("the model did not answer in time", kind="timeout", retryable=True)
        except (UsageFault, MissingCredential):
            raise
        except PluginHookError as exc:
            error = ModelCallError(str(exc), kind="unknown")
            error.code = "plugin_assistant_stream"
            return error
        except LashError as exc:
            return ModelCallError(str(exc), retryable=exc.retryable)
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._provider_failed(exc)
        except (Exception, SystemExit) as exc:  # noqa: BLE001  a provider is a plugin: what it raises ends this call only
            return self._provider_failed(exc)

    def _provider_failed(self, exc: BaseException) -> ModelCallError:
        error = ModelCallError(f"provider {self._provider.provider_id!r} failed: {type(exc).__name__}: {exc}")
        error.code = "provider_failed"
        return error

    async def _stream(self) -> ModelResponse:
        started, gathered = self._clock.monotonic(), StreamAccumulator()
        stream = aiter(self._provider.stream(self._request))
        try:
            while True:
                try:
                    async with asyncio.timeout(CHUNK_TIMEOUT_S):
                        event = await anext(stream)
                except StopAsyncIteration:
                    raise ModelCallError("the answer broke off", kind="stream", retryable=True) from None
                if self.is_over:
                    raise asyncio.CancelledError
                if self._first_token is None:
                    self._first_token = (self._clock.monotonic() - started) * 1000
                match event:
                    case TextDelta(text=text):
                        shown, may_go_on = self._sink.on_text(text)
                        gathered.add_text(shown)
                        if not may_go_on:
                            return gathered.aborted()
                    case ReasoningDelta(text=text):
                        gathered.add_reasoning(text)
                        self._sink.on_reasoning(text)
                    case ModelResponse():
                        return gathered.finish(_reclassified(event, self._request))
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                with contextlib.suppress(RuntimeError):
                    await close()


def _reclassified(response: ModelResponse, request: ModelRequest) -> ModelResponse:
    """Call a cut-off answer of no tokens at a full window what it is: an overflow."""
    full = response.usage.context_tokens >= 0.95 * request.model.context_window_tokens
    if response.terminal_reason is TerminalReason.OUTPUT_LIMIT and response.usage.output_tokens == 0 and full:
        return response.model_copy(update={"terminal_reason": TerminalReason.CONTEXT_OVERFLOW})
    return response


def _book(session: ResidentSession, fact: ModelCallFact, *, was_made: bool) -> None:
    """Stage a call for the next commit.

    One whose outcome was replayed may wait there already, parted from its turn because that failed: it is booked once,
    and belongs to the turn again.
    """
    if not was_made:
        parted = f"{fact.call_id}:failed:"
        session.staged_calls = [
            staged
            for staged in session.staged_calls
            if staged.started_at_us != fact.started_at_us
            or not (staged.call_id == fact.call_id or staged.call_id.startswith(parted))
        ]
    session.staged_calls.append(fact)


def _fact(session: ResidentSession, request: ModelRequest, call: ModelCall, outcome: ModelCallOutcome) -> ModelCallFact:
    model = request.model
    usage = TokenUsage() if outcome.response is None else outcome.response.usage
    if outcome.response is not None:
        reason = outcome.response.terminal_reason
    else:
        reason = TerminalReason.CANCELLED if outcome.failure is None else TerminalReason.PROVIDER_ERROR
    return ModelCallFact(
        call_id=f"{call.scope.scope_id}:{call.effect_id}",
        turn_id=call.turn_id,
        frame_id=request.scope.frame_id,
        iteration=call.iteration,
        source=call.source,
        plugin_id=call.plugin_id,
        provider_id=model.provider_id,
        model=model.model_id,
        started_at_us=outcome.started_at_us,
        duration_ms=outcome.duration_ms,
        time_to_first_token_ms=outcome.time_to_first_token_ms,
        attempts=outcome.attempts,
        terminal_reason=reason.value,
        error_kind=None if outcome.failure is None else outcome.failure.kind,
        usage=usage,
        cost_usd=cost_usd(usage, session.services.prices.get((model.provider_id, model.model_id))),
    )
