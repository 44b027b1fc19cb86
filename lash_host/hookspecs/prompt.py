"""The hook of prompt contributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lash_host.domain.policy import ProtocolTurnOptions
from lash_host.domain.prompt import PromptContribution
from lash_host.domain.session import SessionReadView
from lash_host.markers import hookspec

__all__ = ["PromptContext", "lash_contribute_prompt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """A system prompt that is being made.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        iteration: The coming model call of the turn, from 1.
        state: The session before the turn.
        protocol_turn_options: The protocol's options of this turn.
    """

    session_id: str
    turn_id: str
    iteration: int
    state: SessionReadView
    protocol_turn_options: ProtocolTurnOptions


@hookspec
async def lash_contribute_prompt(context: PromptContext) -> Sequence[PromptContribution]:
    """Add to the system prompt.

    Called before every model call of a turn, in plugin order.

    Args:
        context: The session and the turn.

    Returns:
        Contributions by slot. The same content in the same slot at the same priority is taken once.

    Raises:
        Anything: The turn ends as ``runtime_error`` with code ``plugin_prompt``.
    """
    raise AssertionError
