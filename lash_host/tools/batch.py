"""What a batch of tool calls is run with, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lash_host.contracts.clock import Clock
from lash_host.contracts.effect_host import EffectHost
from lash_host.contracts.services import DirectCompletions
from lash_host.domain.directive import Owned, PluginMessage
from lash_host.domain.effect import EffectScope
from lash_host.domain.observation import TurnActivity
from lash_host.domain.protocol import ToolCallResult
from lash_host.domain.session import SessionReadView
from lash_host.domain.tool import ToolCallRecord
from lash_host.tools.catalog import ToolCatalog
from lash_host.tools.hooks import ToolHooks
from lash_host.tools.registry import ToolRegistry

__all__ = ["BatchScene", "ToolBatchContext", "ToolBatchResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolBatchContext:
    """The turn that calls tools.

    Attributes:
        session_id: The session.
        frame_id: Its current agent frame.
        turn_id: The turn.
        iteration: The model call that asked for the tools, from 1.
        state: The session before the turn.
        cancelled: Set when the turn is cancelled.
        completions: Model calls of the tools' own.
        effects: Runs the attempts, and may replay them.
        scope: Where the attempts' replay keys live.
        clock: Tells the time, and waits between attempts.
        emit: Told what happens, as it happens.
    """

    session_id: str
    frame_id: str
    turn_id: str
    iteration: int
    state: SessionReadView
    cancelled: asyncio.Event
    completions: DirectCompletions
    effects: EffectHost
    scope: EffectScope
    clock: Clock
    emit: Callable[[TurnActivity], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolBatchResult:
    """What came of a batch: one result and one record a call, in the order of the calls.

    `messages` is what plugins want to put in at the next checkpoint, in the order of the calls too.
    """

    results: tuple[ToolCallResult, ...]
    records: tuple[ToolCallRecord, ...]
    messages: tuple[Owned[PluginMessage], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchScene:
    """What all calls of a batch share."""

    context: ToolBatchContext
    hooks: ToolHooks
    registry: ToolRegistry
    catalog: ToolCatalog
