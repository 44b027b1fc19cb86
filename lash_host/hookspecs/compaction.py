"""The hook of compaction: shrinking what a session's model sees, without losing what happened."""

from __future__ import annotations

from dataclasses import dataclass

from lash_host.contracts.services import DirectCompletions
from lash_host.domain.compaction import ContextCompaction
from lash_host.domain.session import SessionReadView
from lash_host.markers import hookspec

__all__ = ["CompactionContext", "lash_compact_context"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionContext:
    """A session that is to be compacted.

    Attributes:
        session_id: The session.
        state: The session; ``state.messages`` is what the model sees now.
        instructions: What the user wants kept or left out.
        completions: Model calls; book them under source ``compaction``.
    """

    session_id: str
    state: SessionReadView
    instructions: str | None
    completions: DirectCompletions


@hookspec
async def lash_compact_context(context: CompactionContext) -> ContextCompaction | None:
    """Shrink a session's context by seeding a fresh agent frame.

    Called by `LashRuntime.compact_context` with no turn running, and before a turn whose prompt would pass the
    configured share of the context window. Plugins are asked in plugin order, highest priority first; the first
    non-empty answer wins. Nothing that is already committed is changed: the answer becomes the first nodes of a new
    frame.

    Args:
        context: Read view, the user's instructions, and services; model calls made through `context.completions` are
            booked on the session.

    Returns:
        The seed, or None (or an empty one) to let the next plugin answer.

    Raises:
        Anything: Compaction fails with `CompactionError`, and the session is unchanged.
    """
    raise AssertionError
