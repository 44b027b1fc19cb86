"""Hooks around a turn, and the lifecycle events a session tells its plugins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lash_host.contracts.services import DirectCompletions
from lash_host.contracts.tool import ToolProvider
from lash_host.domain.directive import Directive
from lash_host.domain.message import Message
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.prompt import PromptContribution
from lash_host.domain.protocol import CheckpointKind
from lash_host.domain.session import SessionReadView
from lash_host.domain.tool import ToolCallRecord
from lash_host.domain.turn import TurnInput, TurnIssue, TurnOutcome, TurnResult
from lash_host.domain.usage import TokenUsage
from lash_host.markers import hookspec

__all__ = [
    "AfterTurnContext",
    "BeforeTurnContext",
    "CheckpointContext",
    "LifecycleEvent",
    "PreparedContext",
    "SessionConfigChanged",
    "SessionReadyContext",
    "SessionRestored",
    "TurnFinalized",
    "TurnPersisted",
    "TurnTransformContext",
    "lash_after_turn",
    "lash_before_turn",
    "lash_checkpoint",
    "lash_on_event",
    "lash_session_ready",
    "lash_transform_turn_context",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReadyContext:
    """A session whose plugins, tools and protocol are all there.

    Attributes:
        session_id: The session.
        plugin_ids: Its plugins, in plugin order.
    """

    session_id: str
    plugin_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTransformContext:
    """A turn whose prompt is being prepared.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        state: The session before the turn.
        turn_input: What the turn starts from.
        last_prompt_usage: Consumption of the last model call of the turn before.
        context_window_tokens: The window of the turn's model.
        completions: Model calls of the plugin's own, booked on the session.
    """

    session_id: str
    turn_id: str
    state: SessionReadView
    turn_input: TurnInput
    last_prompt_usage: TokenUsage | None
    context_window_tokens: int
    completions: DirectCompletions


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedContext:
    """What the model will see of the session this turn. Nothing of it is stored.

    Attributes:
        messages: The conversation before the turn's own input.
        prompt_contributions: Added to the system prompt.
        tool_providers: Added to the tools, in place of those of the same id or name.
        include_base_tools: Whether the session's own tools are there at all.
    """

    messages: tuple[Message, ...]
    prompt_contributions: tuple[PromptContribution, ...] = ()
    tool_providers: tuple[ToolProvider, ...] = ()
    include_base_tools: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeTurnContext:
    """A turn that is about to start.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        turn_index: Its number in the session, from 1.
        state: The session before it.
        turn_input: What it starts from.
    """

    session_id: str
    turn_id: str
    turn_index: int
    state: SessionReadView
    turn_input: TurnInput


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointContext:
    """A turn between two model calls, or before its end.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        kind: After work, or before completion.
        iteration: Model calls made so far.
        state: The session before the turn.
        new_messages: What the turn added so far.
    """

    session_id: str
    turn_id: str
    kind: CheckpointKind
    iteration: int
    state: SessionReadView
    new_messages: Sequence[Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterTurnContext:
    """A turn that ended and is about to be committed.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        turn_index: Its number in the session.
        state: The session before the turn.
        outcome: How it ended.
        text: Its answer; empty where there is none.
        usage: Consumption of its model calls.
        tool_calls: Its tool calls.
        issues: What went wrong in it.
    """

    session_id: str
    turn_id: str
    turn_index: int
    state: SessionReadView
    outcome: TurnOutcome
    text: str
    usage: TokenUsage
    tool_calls: tuple[ToolCallRecord, ...]
    issues: tuple[TurnIssue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinalized:
    """A turn is about to be committed; what it did will not change any more."""

    session_id: str
    turn_id: str
    outcome: TurnOutcome
    usage: TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPersisted:
    """A turn was committed."""

    session_id: str
    result: TurnResult
    state: SessionReadView


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRestored:
    """A session was opened, fresh or resumed, and every plugin has its state."""

    session_id: str
    state: SessionReadView
    is_resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfigChanged:
    """A session's policy changed; `current` is what plugins made of the change."""

    session_id: str
    previous: SessionPolicy
    current: SessionPolicy


LifecycleEvent = TurnFinalized | TurnPersisted | SessionRestored | SessionConfigChanged


@hookspec
async def lash_session_ready(context: SessionReadyContext) -> None:
    """Be told that the session is built.

    Called once when a session opens, in plugin order. Restored state comes after it: whoever needs that waits for
    the event `SessionRestored`.

    Args:
        context: The session.

    Raises:
        Anything: The session is not opened; the error names the plugin.
    """


@hookspec
async def lash_transform_turn_context(context: TurnTransformContext, prepared: PreparedContext) -> PreparedContext:
    """Change what the model sees of the session this turn.

    Called at the start of every turn, highest priority first; each plugin gets what the one before gave.

    Args:
        context: The session and the turn.
        prepared: The view so far.

    Returns:
        The view to go on with. It is never stored: history keeps every message.

    Raises:
        Anything: The turn fails with code ``context_prepare_turn`` before anything is committed.
    """
    raise AssertionError


@hookspec
async def lash_before_turn(context: BeforeTurnContext) -> Sequence[Directive]:
    """Look at a turn before it starts.

    Called once a turn, in plugin order, after `lash_transform_turn_context`.

    Args:
        context: The session and the turn's input.

    Returns:
        Directives: abort the turn, put messages (of roles user and system) after the user's, emit events. All are
        carried out even if one aborts; of several aborts the last counts. An aborted turn is committed as
        ``plugin_abort``.

    Raises:
        Anything: The turn fails with code ``plugin_prepare_turn`` before anything is committed.
    """
    raise AssertionError


@hookspec
async def lash_checkpoint(context: CheckpointContext) -> Sequence[Directive]:
    """Bring something into a running turn.

    Called after each round of tools and before the turn ends, in plugin order.

    Args:
        context: The session and the turn so far.

    Returns:
        Directives: abort, messages of any role, events. Messages before completion make the turn go on, which counts
        against its limit of model calls.

    Raises:
        Anything: The turn ends as ``runtime_error``; what it did so far is committed.
    """
    raise AssertionError


@hookspec
async def lash_after_turn(context: AfterTurnContext) -> Sequence[Directive]:
    """Look at a turn after it ended, before it is committed.

    Called once a turn, in plugin order, also for cancelled and failed turns; not for those that never began: refused
    input, and turns that a before-turn hook aborted.

    Args:
        context: The session and what came of the turn.

    Returns:
        Directives: messages (of roles user and system), stored before the turn's answer; events, delivered once the
        commit landed.

    Raises:
        Anything: The turn fails with code ``plugin_finalize_turn``; nothing is committed.
    """
    raise AssertionError


@hookspec
async def lash_on_event(event: LifecycleEvent) -> None:
    """Be told what happens to a session.

    Called with each lifecycle event, all plugins at once; the session waits for all of them.

    Args:
        event: What happened.

    Raises:
        Anything: Logged; never fatal.
    """
