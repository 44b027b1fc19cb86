"""What provides tools, and what a running tool is given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lash_host.contracts.services import DirectCompletions
from lash_host.domain.session import SessionReadView
from lash_host.domain.tool import ToolContract, ToolManifest, ToolOutput
from lash_host.domain.value import JsonObject

__all__ = ["ToolCallContext", "ToolProvider"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallContext:
    """What a running tool is given besides its arguments.

    Attributes:
        session_id: The session that calls.
        frame_id: The current agent frame.
        turn_id: The turn that calls.
        call_id: The model's id of this call.
        state: The session as it was when the turn began.
        attempt: Which attempt this is, from 1.
        max_attempts: How many there may be.
        replay_key: The same over all attempts and re-drives: hand it to services as their idempotency key.
        cancelled: Set when the turn is cancelled. Tools that run long should watch it; all are cancelled anyway
            shortly after.
        completions: Model calls of the tool's own, booked on the session.
    """

    session_id: str
    frame_id: str
    turn_id: str
    call_id: str
    state: SessionReadView
    attempt: int
    max_attempts: int
    replay_key: str
    cancelled: asyncio.Event
    completions: DirectCompletions


@runtime_checkable
class ToolProvider(Protocol):
    """A source of tools. Plugins hand them over in `lash_export_tools`."""

    def manifests(self) -> Sequence[ToolManifest]:
        """List the tools. Read when a session opens and when its catalog is refreshed."""
        ...

    def contract(self, tool_id: str) -> ToolContract:
        """Give a tool's schemas. Asked only when the tool is shown to a model or called.

        Raises:
            KeyError: There is no such tool.
        """
        ...

    async def execute(self, tool_id: str, arguments: JsonObject, context: ToolCallContext) -> ToolOutput:
        """Run a tool. The arguments fit its input schema already.

        Whatever it raises becomes a failure of the call, which is feedback to the model.
        """
        ...
