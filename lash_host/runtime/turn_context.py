"""One turn while it runs: what it is about, and where it stands."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lash_host.domain.directive import Owned, PluginMessage
from lash_host.domain.effect import EffectScope
from lash_host.domain.message import Message, MessageOrigin
from lash_host.domain.policy import ProtocolTurnOptions, SessionPolicy
from lash_host.domain.session import SessionReadView
from lash_host.domain.tool import ToolCallRecord
from lash_host.domain.turn import TurnInput, TurnIssue
from lash_host.runtime.activities import ActivityLog
from lash_host.runtime.completions import SessionCompletions
from lash_host.runtime.interruption import unless_cancelled
from lash_host.runtime.resident import ResidentSession

__all__ = ["TurnContext", "TurnRecord"]

T = TypeVar("T")


@dataclass(slots=True)
class TurnRecord:
    """What a turn leaves behind besides its messages.

    Attributes:
        tool_calls: Its tool calls.
        issues: What went wrong.
        blobs: Bytes of the images of its input.
        model_calls: How many model calls its loop made.
        completions: How often each direct completion was asked for.
    """

    tool_calls: list[ToolCallRecord] = field(default_factory=list)
    issues: list[TurnIssue] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    model_calls: int = 0
    completions: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """What every step of a turn needs.

    Attributes:
        session: The session.
        turn_id: The turn.
        turn_index: Its number in the session.
        turn_input: What it starts from.
        policy: What it runs with.
        options: The protocol's options, the turn's own laid over the session's.
        view: The session before the turn.
        emit: Tells whoever watches.
        cancelled: Set when the turn shall end.
        started_at_us: When it started, wall time.
        started: When it started, monotonic time.
        record: What it leaves behind.
    """

    session: ResidentSession
    turn_id: str
    turn_index: int
    turn_input: TurnInput
    policy: SessionPolicy
    options: ProtocolTurnOptions
    view: SessionReadView
    emit: ActivityLog
    cancelled: asyncio.Event
    started_at_us: int
    started: float
    record: TurnRecord = field(default_factory=TurnRecord)

    @property
    def scope(self) -> EffectScope:
        """Where the turn's effects happen."""
        return EffectScope(session_id=self.session.session_id, scope_id=self.turn_id)

    def completions(self) -> SessionCompletions:
        """Model calls of plugins and tools within the turn."""
        return SessionCompletions(
            self.session,
            scope=self.scope,
            turn_id=self.turn_id,
            made=self.record.completions,
            cancelled=self.cancelled,
        )

    async def unless_cancelled(self, work: Coroutine[Any, Any, T], *, hook: str | None = None) -> T:
        """Wait for what a plugin does, but not beyond the turn's cancellation.

        Args:
            work: What it does.
            hook: The hook it is; one that nobody implements costs nothing.

        Raises:
            TurnInterrupted: The turn was cancelled first.
        """
        if hook is not None and not self.session.plugins.has_hook(hook):
            return await work
        return await unless_cancelled(work, self.cancelled)

    def plugin_messages(self, owned: Sequence[Owned[PluginMessage]], *, after: int) -> tuple[Message, ...]:
        """Make messages of what plugins put into the turn; ids go on from ``after``."""
        return tuple(
            Message(
                message_id=f"{self.turn_id}:{after + number}",
                role=item.value.role,
                parts=item.value.parts,
                origin=MessageOrigin(kind="plugin", plugin_id=item.plugin_id, transient=item.value.transient),
            )
            for number, item in enumerate(owned, start=1)
        )

    def elapsed_ms(self) -> float:
        """How long the turn has been running."""
        return (self.session.services.clock.monotonic() - self.started) * 1000
