"""What a protocol's driver decides after each model answer: values that the turn machine obeys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from lash_host.domain.message import Message, Part, ToolCallPart
from lash_host.domain.model import ModelResponse
from lash_host.domain.prompt import PromptLayer
from lash_host.domain.tool import ToolOutput
from lash_host.domain.turn import TurnIssue, TurnOutcome

__all__ = [
    "CallTools",
    "CheckpointKind",
    "Complete",
    "DriverStep",
    "StopTurn",
    "ToolCallResult",
    "TurnDriver",
    "TurnView",
]


class CheckpointKind(StrEnum):
    """When a checkpoint is: after tools worked, or before a turn ends."""

    AFTER_WORK = "after_work"
    BEFORE_COMPLETION = "before_completion"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallResult:
    """One call and its result. `parts` is what the model will see of it."""

    call: ToolCallPart
    output: ToolOutput
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTools:
    """Add this assistant message and run its tool calls."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The turn is done, unless the before-completion checkpoint delivers something.

    `parts` is what becomes of the answer if the turn goes on after all: it stays in history, before the new input.
    """

    outcome: TurnOutcome
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTurn:
    """End the turn now, without a checkpoint."""

    outcome: TurnOutcome
    issue: TurnIssue | None = None


DriverStep = CallTools | Complete | StopTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """What a driver may look at: how many model calls were made, and what the turn has added so far."""

    iteration: int
    new_messages: Sequence[Message]


class TurnDriver(Protocol):
    """A protocol's part in one turn. Pure: it is asked again with the same arguments when a turn is driven again."""

    def preamble(self) -> PromptLayer:
        """Give the protocol's own prompt, the lowest layer."""
        ...

    def tool_choice(self, view: TurnView) -> Literal["auto", "none", "required"]:
        """Say whether the next model call may, must not or must call tools."""
        ...

    def on_response(self, response: ModelResponse, view: TurnView) -> DriverStep:
        """Decide what an answer means.

        Called only for answers that ended normally; errors, cut-off and filtered answers end the turn before.
        """
        ...

    def on_tool_results(self, results: Sequence[ToolCallResult], view: TurnView) -> StopTurn | None:
        """Decide whether tool results end the turn; None goes on with the next model call."""
        ...
