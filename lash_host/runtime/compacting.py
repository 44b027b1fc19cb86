"""Compacting a session: asking the plugins, and committing the frame they seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

from lash_host.domain.compaction import should_compact
from lash_host.domain.effect import EffectScope
from lash_host.domain.frame import FrameOpened, decide_open_frame
from lash_host.domain.ids import compaction_frame_id
from lash_host.domain.model import estimate_tokens
from lash_host.domain.turn import TurnInput
from lash_host.hookspecs.compaction import CompactionContext
from lash_host.runtime.committing import CommitDraft, capture_plugin_state, commit_session
from lash_host.runtime.completions import SessionCompletions
from lash_host.runtime.interruption import unless_cancelled
from lash_host.runtime.lease_keeper import HeldLease
from lash_host.runtime.refreshing import taken_back_on_failure
from lash_host.runtime.resident import ResidentSession, chain_nodes

__all__ = ["compact_session", "wants_compaction"]


def wants_compaction(session: ResidentSession, turn_input: TurnInput) -> bool:
    """Say whether a turn's prompt would pass the configured share of the context window."""
    return should_compact(
        session.state.last_prompt_usage,
        incoming_tokens=estimate_tokens(turn_input.text),
        context_window_tokens=session.state.effective_policy.model.context_window_tokens,
        share=session.services.settings.compaction.auto_share,
    )


async def compact_session(
    session: ResidentSession, instructions: str | None, lease: HeldLease, *, cancelled: asyncio.Event
) -> bool:
    """Ask the plugins for a seed, and commit the fresh frame it starts. The lease stays held.

    When it fails, what plugins changed of their state is taken back; what their model calls cost is booked by the next
    commit.

    Returns:
        Whether a frame was opened.

    Raises:
        CompactionError: A plugin failed; the session is unchanged.
        TurnInterrupted: It was cancelled; the session is unchanged.
        StoreError: The store refused the commit; the session is unchanged.
    """
    services = session.services
    unique = services.ids("compaction")
    scope = EffectScope(session_id=session.session_id, scope_id=unique)
    context = CompactionContext(
        session_id=session.session_id,
        state=session.view,
        instructions=instructions,
        completions=SessionCompletions(session, scope=scope, turn_id=None, made=Counter(), cancelled=cancelled),
    )
    async with taken_back_on_failure(session):
        answer = await unless_cancelled(session.plugins.compact_context(context), cancelled)
    if answer is None:
        return False
    state, now_us = session.state, services.clock.now_us()
    covered = [*answer.value.covered_node_ids]
    decision = decide_open_frame(
        state.agent_frames,
        state.current_agent_frame_id,
        frame_id=compaction_frame_id(session.session_id, unique),
        reason="compaction",
        created_at_us=now_us,
        caused_by={"plugin_id": answer.plugin_id, "covered_node_ids": [*covered]},
    )
    if not isinstance(decision, FrameOpened):
        return False
    nodes = chain_nodes(state, answer.value.seed, frame_id=decision.frame.frame_id, now_us=now_us)
    state = replace(
        state,
        agent_frames=decision.frames,
        current_agent_frame_id=decision.frame.frame_id,
        last_prompt_usage=None,
    )
    state, _ = capture_plugin_state(session, state)
    async with taken_back_on_failure(session):
        await commit_session(session, CommitDraft(state=state, nodes=nodes, release_lease=False), lease)
    return True
