"""After a turn's last model call: after-turn hooks, the commit, and the result."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lash_host.domain.commit import TurnFact
from lash_host.domain.compaction import next_prompt_usage
from lash_host.domain.directive import DirectiveFold
from lash_host.domain.frame import FrameOpened, decide_open_frame
from lash_host.domain.graph import SessionNode
from lash_host.domain.message import Message, Role
from lash_host.domain.session import RuntimeSessionState
from lash_host.domain.turn import AssistantMessage, FrameSwitch, Stopped, TurnIssue, TurnOutcome, TurnResult
from lash_host.domain.usage import TokenUsage
from lash_host.errors import LashError, PluginHookError, TurnAborted
from lash_host.hookspecs.turn import AfterTurnContext, TurnFinalized, TurnPersisted
from lash_host.runtime.committing import CommitDraft, capture_plugin_state, commit_session
from lash_host.runtime.lease_keeper import HeldLease
from lash_host.runtime.resident import chain_nodes
from lash_host.runtime.turn_context import TurnContext

__all__ = ["EndedTurn", "finish_turn"]

_log = logging.getLogger("lash_host")
_TITLE_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTurn:
    """A turn whose outcome is known.

    Attributes:
        outcome: How it ended.
        messages: What it adds to the session, transient messages included.
        usage: Consumption of its model calls.
        last_usage: Consumption of the last one; None without any.
        hooks: Whether after-turn hooks are to be asked; not for turns that never started.
    """

    outcome: TurnOutcome
    messages: tuple[Message, ...]
    usage: TokenUsage = TokenUsage()
    last_usage: TokenUsage | None = None
    hooks: bool = True


async def finish_turn(turn: TurnContext, ended: EndedTurn, lease: HeldLease) -> TurnResult:
    """Commit a turn and tell what came of it.

    Raises:
        TurnAborted: An after-turn hook failed (``plugin_finalize_turn``); nothing was committed.
        SessionLeaseLost: The lease was lost; nothing was committed.
        StoreError: The store refused the commit; nothing was committed.
    """
    session = turn.session
    lease.ensure_held()
    fold = await _after_turn(turn, ended) if ended.hooks else DirectiveFold()
    injected = turn.plugin_messages(fold.messages, after=len(ended.messages))
    messages = _before_answer(ended, injected)
    await session.plugins.emit(
        TurnFinalized(session_id=session.session_id, turn_id=turn.turn_id, outcome=ended.outcome, usage=ended.usage)
    )
    state = replace(
        session.state,
        turn_index=turn.turn_index,
        token_usage=ended.usage,
        last_prompt_usage=_prompt_usage(turn, ended),
    )
    frame_id = state.current_agent_frame_id
    nodes = chain_nodes(state, messages, frame_id=frame_id, now_us=session.services.clock.now_us())
    state = _switched(turn, state, ended.outcome)
    state, issue = capture_plugin_state(session, state)
    if issue is not None:
        turn.record.issues.append(issue)
    draft = CommitDraft(
        state=state,
        nodes=nodes,
        turn=_fact(turn, ended, frame_id),
        tool_calls=tuple(turn.record.tool_calls),
        blobs=_used_blobs(turn, nodes),
        title=_title(turn),
        release_lease=not isinstance(ended.outcome, FrameSwitch),
    )
    result = await commit_session(session, draft, lease)
    session.forget_images()
    turn.emit.plugin_events(fold.events)
    await _after_commit(turn, ended, result.head_revision)
    return _result(turn, ended, result.head_revision)


async def _after_turn(turn: TurnContext, ended: EndedTurn) -> DirectiveFold:
    context = AfterTurnContext(
        session_id=turn.session.session_id,
        turn_id=turn.turn_id,
        turn_index=turn.turn_index,
        state=turn.view,
        outcome=ended.outcome,
        text=_text(ended.outcome),
        usage=ended.usage,
        tool_calls=tuple(turn.record.tool_calls),
        issues=tuple(turn.record.issues),
    )
    try:
        return await turn.session.plugins.after_turn(context)
    except PluginHookError as exc:
        raise TurnAborted(str(exc), code="plugin_finalize_turn") from exc


async def _after_commit(turn: TurnContext, ended: EndedTurn, head_revision: int) -> None:
    """Tell plugins and protocol. The turn stands whatever they do; a failure makes memory suspect, not the store."""
    session = turn.session
    try:
        if isinstance(ended.outcome, FrameSwitch):
            await session.plugins.protocol.restore_session(session.view)
        result = _result(turn, ended, head_revision)
        await session.plugins.emit(TurnPersisted(session_id=session.session_id, result=result, state=session.view))
    except Exception as exc:  # noqa: BLE001  the commit stands, whoever fails after it
        _log.exception("after the commit of turn %s", turn.turn_id)
        session.needs_reload = True
        code = exc.code if isinstance(exc, LashError) else "after_commit_failed"
        turn.record.issues.append(TurnIssue(kind="runtime", code=code, message=f"after the commit: {exc}"))


def _switched(turn: TurnContext, state: RuntimeSessionState, outcome: TurnOutcome) -> RuntimeSessionState:
    """Open the frame that the turn goes on in, in the turn's own commit."""
    if not isinstance(outcome, FrameSwitch):
        return state
    decision = decide_open_frame(
        state.agent_frames,
        state.current_agent_frame_id,
        frame_id=outcome.frame_id,
        reason="continue_as",
        created_at_us=turn.session.services.clock.now_us(),
        caused_by={"turn_id": turn.turn_id},
    )
    if not isinstance(decision, FrameOpened):
        return state
    return replace(
        state, agent_frames=decision.frames, current_agent_frame_id=decision.frame.frame_id, last_prompt_usage=None
    )


def _before_answer(ended: EndedTurn, injected: tuple[Message, ...]) -> tuple[Message, ...]:
    """Put what after-turn hooks say before the turn's answer, which stays last."""
    messages = ended.messages
    answered = isinstance(ended.outcome, AssistantMessage) and messages and messages[-1].role is Role.ASSISTANT
    return (*messages[:-1], *injected, messages[-1]) if answered else (*messages, *injected)


def _used_blobs(turn: TurnContext, nodes: tuple[SessionNode, ...]) -> dict[str, bytes]:
    stored = {part.blob_ref for node in nodes for part in node.message.parts if part.kind == "image"}
    return {ref: data for ref, data in turn.record.blobs.items() if ref in stored}


def _fact(turn: TurnContext, ended: EndedTurn, frame_id: str) -> TurnFact:
    stopped = ended.outcome if isinstance(ended.outcome, Stopped) else None
    issues = turn.record.issues
    return TurnFact(
        turn_id=turn.turn_id,
        turn_index=turn.turn_index,
        frame_id=frame_id,
        started_at_us=turn.started_at_us,
        duration_ms=turn.elapsed_ms(),
        outcome=ended.outcome.kind,
        stop_reason=None if stopped is None else stopped.stop_reason.value,
        error_code=issues[-1].code if stopped is not None and issues else None,
        iterations=turn.record.model_calls,
        usage=ended.usage,
    )


def _prompt_usage(turn: TurnContext, ended: EndedTurn) -> TokenUsage | None:
    """Say how full the context is: what the last call told, or else what was known before it."""
    overflowed = any("context_overflow" in {issue.code, issue.model_error_kind} for issue in turn.record.issues)
    return next_prompt_usage(
        turn.view.last_prompt_usage,
        ended.last_usage,
        overflowed=overflowed,
        context_window_tokens=turn.policy.model.context_window_tokens,
    )


def _title(turn: TurnContext) -> str | None:
    """Give the line that names the session, if nothing does yet."""
    line = " ".join(turn.turn_input.text[: 4 * _TITLE_CHARS].split())
    return (line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1] + "…") or None


def _text(outcome: TurnOutcome) -> str:
    return outcome.text if isinstance(outcome, AssistantMessage) else ""


def _result(turn: TurnContext, ended: EndedTurn, head_revision: int) -> TurnResult:
    return TurnResult(
        outcome=ended.outcome,
        text=_text(ended.outcome),
        usage=ended.usage,
        tool_calls=tuple(turn.record.tool_calls),
        issues=tuple(turn.record.issues),
        turn_id=turn.turn_id,
        turn_index=turn.turn_index,
        started_at=datetime.fromtimestamp(turn.started_at_us / 1_000_000, tz=UTC),
        duration_ms=turn.elapsed_ms(),
        head_revision=head_revision,
    )
