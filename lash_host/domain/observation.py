"""What an application is told of a turn while it runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lash_host.domain.tool import ToolOutput
from lash_host.domain.turn import TurnIssue, TurnOutcome, TurnResult
from lash_host.domain.usage import TokenUsage
from lash_host.domain.value import JsonObject, JsonValue, Value

__all__ = [
    "AssistantProseDelta",
    "Error",
    "ModelRequestStarted",
    "PluginRuntime",
    "ReasoningProseDelta",
    "RetryScheduled",
    "ToolCallCompleted",
    "ToolCallStarted",
    "TurnActivity",
    "TurnFinished",
    "UsageReported",
]


class _Activity(Value):
    """One thing that happened. `correlation_id` groups what belongs together: a model call's or a tool call's id."""

    activity_id: int = 0
    correlation_id: str = ""


class ModelRequestStarted(_Activity):
    """A model is asked; `iteration` counts the turn's model calls from 1."""

    kind: Literal["model_request_started"] = "model_request_started"
    iteration: int
    model: str


class AssistantProseDelta(_Activity):
    """More visible text. A preview: the settled text is the turn's result."""

    kind: Literal["assistant_prose_delta"] = "assistant_prose_delta"
    text: str


class ReasoningProseDelta(_Activity):
    """More reasoning."""

    kind: Literal["reasoning_delta"] = "reasoning_delta"
    text: str


class ToolCallStarted(_Activity):
    """A tool call begins."""

    kind: Literal["tool_call_started"] = "tool_call_started"
    call_id: str
    tool_name: str
    arguments: JsonObject


class ToolCallCompleted(_Activity):
    """A tool call ended; `output` is the whole result, however little of it the model is shown."""

    kind: Literal["tool_call_completed"] = "tool_call_completed"
    call_id: str
    tool_name: str
    output: ToolOutput
    duration_ms: float


class UsageReported(_Activity):
    """A model call's consumption, and the turn's so far."""

    kind: Literal["usage"] = "usage"
    usage: TokenUsage
    turn_usage: TokenUsage


class RetryScheduled(_Activity):
    """A model call failed and will be tried again."""

    kind: Literal["retry_status"] = "retry_status"
    attempt: int
    max_attempts: int
    wait_s: float
    reason: str


class PluginRuntime(_Activity):
    """An event of a plugin's."""

    kind: Literal["plugin_runtime"] = "plugin_runtime"
    plugin_id: str
    event: JsonValue


class Error(_Activity):
    """Something went wrong."""

    kind: Literal["error"] = "error"
    issue: TurnIssue


class TurnFinished(_Activity):
    """The last activity of a turn. `result` is None while the turn goes on in another agent frame."""

    kind: Literal["turn_finished"] = "turn_finished"
    outcome: TurnOutcome
    result: TurnResult | None = None


TurnActivity = Annotated[
    ModelRequestStarted
    | AssistantProseDelta
    | ReasoningProseDelta
    | ToolCallStarted
    | ToolCallCompleted
    | UsageReported
    | RetryScheduled
    | PluginRuntime
    | Error
    | TurnFinished,
    Field(discriminator="kind"),
]
