"""What a tool says of itself, what a call of it returns, and what is recorded of the call."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from lash_host.domain.value import JsonObject, JsonValue, Value

__all__ = [
    "FailureClass",
    "FinishControl",
    "SwitchFrameControl",
    "ToolCallRecord",
    "ToolCancelled",
    "ToolContract",
    "ToolControl",
    "ToolDefinition",
    "ToolFailure",
    "ToolManifest",
    "ToolOutput",
    "ToolRetry",
    "ToolRetryPolicy",
    "ToolScheduling",
    "ToolSpec",
    "ToolSuccess",
    "next_retry_delay_s",
]

OPEN_OBJECT_SCHEMA: JsonObject = {"type": "object"}


class ToolScheduling(StrEnum):
    """Parallel tools of one batch run first and together; serial ones follow one at a time, in source order."""

    PARALLEL = "parallel"
    SERIAL = "serial"


class ToolRetryPolicy(Value):
    """Whether and how often a failed call is tried again.

    Only failures that say so themselves (`ToolRetry.safe`) are retried. `idempotent` also needs a call id, which it
    hands to the tool as a key that stays the same over attempts.
    """

    mode: Literal["never", "safe", "idempotent"] = "never"
    max_attempts: int = Field(default=1, ge=1)
    base_delay_ms: int = Field(default=0, ge=0)
    max_delay_ms: int = Field(default=0, ge=0)


class ToolManifest(Value):
    """The light description of a tool: what catalogs and prompts need.

    `tool_id` is the tool's identity; `name` is what the model calls it and may change between releases.
    """

    tool_id: str = Field(min_length=1)
    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = ""
    activation: Literal["always", "internal"] = "always"
    scheduling: ToolScheduling = ToolScheduling.PARALLEL
    retry_policy: ToolRetryPolicy = ToolRetryPolicy()
    bindings: JsonObject = Field(default_factory=dict)


class ToolContract(Value):
    """The heavy description of a tool, resolved only when it is called or shown to a model: JSON Schemas."""

    input_schema: JsonObject = Field(default_factory=lambda: dict(OPEN_OBJECT_SCHEMA))
    output_schema: JsonObject | None = None


class ToolDefinition(Value):
    """A manifest with its contract."""

    manifest: ToolManifest
    contract: ToolContract


class ToolSpec(Value):
    """What a model is told of one tool."""

    name: str
    description: str
    input_schema: JsonObject


class FailureClass(StrEnum):
    """What sort of failure a tool call had."""

    EXECUTION = "execution"
    INVALID_REQUEST = "invalid_request"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    TIMEOUT = "timeout"
    PERMISSION = "permission"


class ToolRetry(Value):
    """What a failure says of trying again: never, safe (after a delay), or that the attempts are used up."""

    disposition: Literal["never", "safe", "exhausted"] = "never"
    after_ms: int | None = None
    attempts: int | None = None


class ToolSuccess(Value):
    """A call that worked; `value` is any JSON value."""

    status: Literal["success"] = "success"
    value: JsonValue = None


class ToolFailure(Value):
    """A call that failed. It is feedback to the model, not the end of the turn."""

    status: Literal["failure"] = "failure"
    failure_class: FailureClass = FailureClass.EXECUTION
    code: str = "tool_error"
    message: str
    source: Literal["tool", "runtime"] = "tool"
    retry: ToolRetry = ToolRetry()


class ToolCancelled(Value):
    """A call that was cancelled while it ran."""

    status: Literal["cancelled"] = "cancelled"
    message: str = "cancelled"


class SwitchFrameControl(Value):
    """Ends the turn by switching to another agent frame with a task of its own."""

    kind: Literal["switch_frame"] = "switch_frame"
    frame_id: str = Field(min_length=1)
    task: str = Field(min_length=1)


class FinishControl(Value):
    """Ends the turn with a value, as an answer or (with `is_error`) as a submitted error."""

    kind: Literal["finish"] = "finish"
    value: JsonValue = None
    is_error: bool = False


ToolControl = Annotated[SwitchFrameControl | FinishControl, Field(discriminator="kind")]


class ToolOutput(Value):
    """The canonical result of one call. `control` may end the turn; it counts only on success."""

    outcome: Annotated[ToolSuccess | ToolFailure | ToolCancelled, Field(discriminator="status")]
    control: ToolControl | None = None

    @classmethod
    def success(cls, value: JsonValue = None) -> ToolOutput:
        """Wrap a value."""
        return cls(outcome=ToolSuccess(value=value))

    @classmethod
    def failure(
        cls,
        message: str,
        *,
        code: str = "tool_error",
        failure_class: FailureClass = FailureClass.EXECUTION,
        source: Literal["tool", "runtime"] = "tool",
    ) -> ToolOutput:
        """Wrap a failure that must not be retried."""
        return cls(outcome=ToolFailure(message=message, code=code, failure_class=failure_class, source=source))

    @property
    def is_success(self) -> bool:
        """Whether the call worked."""
        return isinstance(self.outcome, ToolSuccess)


class ToolCallRecord(Value):
    """What is kept of one tool call of a turn. Times are UTC microseconds, durations milliseconds."""

    call_id: str
    tool_id: str
    tool_name: str
    plugin_id: str | None
    arguments: JsonObject
    output: ToolOutput
    attempts: int
    started_at_us: int
    duration_ms: float


def next_retry_delay_s(
    policy: ToolRetryPolicy, failure: ToolFailure, *, attempt: int, has_call_id: bool
) -> float | None:
    """Say how long to wait before trying a failed call again, or None when it must not be.

    Args:
        policy: The tool's policy.
        failure: The failure of attempt number ``attempt``, which counts from 1.
        attempt: The attempt that failed.
        has_call_id: Whether the call has an id that can serve as an idempotency key.
    """
    if policy.mode == "never" or failure.retry.disposition != "safe" or attempt >= policy.max_attempts:
        return None
    if policy.mode == "idempotent" and not has_call_id:
        return None
    delay_ms = failure.retry.after_ms
    if delay_ms is None:
        delay_ms = policy.base_delay_ms * 2 ** (attempt - 1)
    if policy.max_delay_ms:
        delay_ms = min(delay_ms, policy.max_delay_ms)
    return delay_ms / 1000
