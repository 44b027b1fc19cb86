"""The driver of a turn: what a model's answer means under native tool calling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lash_host import (
    AssistantMessage,
    CallTools,
    Complete,
    DriverStep,
    FinishControl,
    FrameSwitch,
    Message,
    ModelResponse,
    PromptContribution,
    PromptLayer,
    PromptSlot,
    ReasoningPart,
    Role,
    Stopped,
    StopReason,
    StopTurn,
    SwitchFrameControl,
    TextPart,
    ToolCallResult,
    ToolResultPart,
    ToolSuccess,
    ToolValue,
    TurnIssue,
    TurnView,
)

__all__ = ["NativeToolDriver"]

ToolChoice = Literal["auto", "none", "required"]


class NativeToolDriver:
    """Runs tools while the model calls them; an answer without tool calls ends the turn.

    Args:
        instructions: The protocol's own part of the system prompt.
        tool_choice: Whether the model may, must not or must call tools. ``required`` holds for the turn's first model
            call only: a model that had to call tools for ever could never answer.
    """

    def __init__(self, *, instructions: str, tool_choice: ToolChoice) -> None:
        self._instructions = instructions
        self._tool_choice: ToolChoice = tool_choice

    def preamble(self) -> PromptLayer:
        """Give the instructions."""
        contribution = PromptContribution(slot=PromptSlot.INTRO, content=self._instructions)
        return PromptLayer(contributions=(contribution,))

    def tool_choice(self, view: TurnView) -> ToolChoice:
        """Give the configured choice."""
        return "auto" if self._tool_choice == "required" and view.iteration > 1 else self._tool_choice

    def on_response(self, response: ModelResponse, view: TurnView) -> DriverStep:
        """Run tool calls; take text as the answer; take nothing at all as an error, unless tools just worked.

        A model may finish silently after tools: their results were the point.
        """
        if response.tool_calls:
            return CallTools(parts=response.parts)
        text = response.text.strip()
        if text or any(isinstance(part, ReasoningPart) and part.text for part in response.parts):
            return Complete(outcome=AssistantMessage(text=text), parts=(TextPart(text=text),) if text else ())
        if _follows_tool_results(view.new_messages):
            return Complete(outcome=AssistantMessage(text=""))
        issue = TurnIssue(
            kind="model_call",
            code="empty_response",
            message="the model answered with nothing at all",
            retryable=True,
            model_error_kind="empty_response",
        )
        return StopTurn(outcome=Stopped(stop_reason=StopReason.PROVIDER_ERROR), issue=issue)

    def on_tool_results(self, results: Sequence[ToolCallResult], view: TurnView) -> StopTurn | None:
        """End the turn where a tool that worked says so; the first one that does wins."""
        for result in results:
            outcome = result.output.outcome
            if not isinstance(outcome, ToolSuccess):
                continue
            name = result.call.tool_name
            match result.output.control:
                case SwitchFrameControl(frame_id=frame_id, task=task):
                    return StopTurn(outcome=FrameSwitch(frame_id=frame_id, task=task))
                case FinishControl(value=value, is_error=True):
                    stopped = Stopped(stop_reason=StopReason.TOOL_ERROR, value=value, tool_name=name)
                    return StopTurn(outcome=stopped)
                case FinishControl(value=value):
                    return StopTurn(outcome=ToolValue(tool_name=name, value=value))
                case None:
                    continue
        return None


def _follows_tool_results(messages: Sequence[Message]) -> bool:
    last = next((message for message in reversed(messages) if not message.is_transient), None)
    return last is not None and last.role is Role.USER and any(isinstance(part, ToolResultPart) for part in last.parts)
