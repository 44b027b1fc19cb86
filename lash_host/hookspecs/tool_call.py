"""Hooks around a tool call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lash_host.domain.directive import Directive
from lash_host.domain.message import Part
from lash_host.domain.session import SessionReadView
from lash_host.domain.tool import ToolManifest, ToolOutput
from lash_host.domain.value import JsonObject
from lash_host.markers import hookspec

__all__ = [
    "AfterToolCallContext",
    "BeforeToolCallContext",
    "ToolProjectionContext",
    "lash_after_tool_call",
    "lash_before_tool_call",
    "lash_project_tool_result",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeToolCallContext:
    """A call that is about to be made.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        call_id: The model's id of the call.
        tool: The tool.
        arguments: What the model asked it with, not validated yet.
        state: The session before the turn.
    """

    session_id: str
    turn_id: str
    call_id: str
    tool: ToolManifest
    arguments: JsonObject
    state: SessionReadView


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterToolCallContext:
    """A call that has a result.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        call_id: The model's id of the call.
        tool: The tool.
        arguments: What it was called with.
        output: What it gave.
        duration_ms: How long this attempt took.
        attempt: Which attempt it was, from 1.
        state: The session before the turn.
    """

    session_id: str
    turn_id: str
    call_id: str
    tool: ToolManifest
    arguments: JsonObject
    output: ToolOutput
    duration_ms: float
    attempt: int
    state: SessionReadView


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolProjectionContext:
    """A result that the model is about to see.

    Attributes:
        session_id: The session.
        call_id: The model's id of the call.
        tool_name: The tool.
        arguments: What it was called with.
        output: The whole output, which stays what is recorded.
        duration_ms: How long the call took.
    """

    session_id: str
    call_id: str
    tool_name: str
    arguments: JsonObject
    output: ToolOutput
    duration_ms: float


@hookspec
async def lash_before_tool_call(context: BeforeToolCallContext) -> Sequence[Directive]:
    """Look at a tool call before it is made.

    Called for every call of a tool in the catalog, before its arguments are checked, in plugin order. Every plugin
    sees the model's own arguments.

    Args:
        context: The call.

    Returns:
        Directives: other arguments (the last count), an output to use instead of running the tool, an abort (which
        fails this call, not the turn), events. A short-circuited call is neither checked nor run, and
        `lash_after_tool_call` is not called.

    Raises:
        Anything: This call fails with code ``before_tool_call_failed``.
    """
    raise AssertionError


@hookspec
async def lash_after_tool_call(context: AfterToolCallContext) -> Sequence[Directive]:
    """Look at a tool call's result.

    Called after every attempt, before it is decided whether to try again, in plugin order.

    Args:
        context: The call and its result.

    Returns:
        Directives: another output, an abort (which fails this call), messages for the next checkpoint, events.

    Raises:
        Anything: This call fails with code ``after_tool_call_failed``.
    """
    raise AssertionError


@hookspec
def lash_project_tool_result(context: ToolProjectionContext) -> Sequence[Part] | None:
    """Say what the model sees of a tool result.

    Called once a call. At most one plugin of a session may implement it.

    Args:
        context: The call and its whole output.

    Returns:
        Parts to show: tool results of this call id, and images; None shows what the host would: the value as text,
        cut to the budget. Records and activities keep the whole output.

    Raises:
        Anything: The model is shown the error's text.
    """
    raise AssertionError
