"""The plugin: it answers `lash_compact_context` with a summary and the tail of the session."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field

from lash_host import (
    CompactionContext,
    ContextCompaction,
    Message,
    MessageOrigin,
    PluginSessionContext,
    Role,
    SessionPlugin,
    TextPart,
    hookimpl,
)
from lash_host_compaction_summary.cut import Cut, chunks, plan_cut, transcript_lines

__all__ = ["CompactionOptions", "CompactionSummaryPlugin", "lash_create_session_plugin"]

SUMMARY_HEADING = "Summary of the conversation so far:"

_SYSTEM = (
    "You summarize a conversation between a user and an agent so that the agent can go on from the summary alone. "
    "Keep: what the user wants and said about how; decisions and their reasons; facts, names, paths and numbers found; "
    "what was done and what came of it; what is open. Leave out: pleasantries, and detail that no longer matters. "
    "Write plain prose and lists, no preamble."
)


class CompactionOptions(BaseModel):
    """Options of the plugin.

    Attributes:
        keep_user_messages: How many of the user's last messages stay word for word, with all that follows them.
        keep_tokens: The most tokens (estimated) they may have; the very last one always stays.
        summary_tokens: The longest summary asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_user_messages: int = Field(default=2, ge=1)
    keep_tokens: int = Field(default=20_000, ge=0)
    summary_tokens: int = Field(default=2_000, ge=50)


class CompactionSummaryPlugin(SessionPlugin[None]):
    """Summarizes one session when asked to."""

    options_type = CompactionOptions

    @hookimpl
    async def lash_compact_context(self, context: CompactionContext) -> ContextCompaction | None:
        """Cut the session, summarize what lies before the cut, and keep the rest."""
        options = CompactionOptions.model_validate(self.options)
        messages = context.state.messages
        cut = plan_cut(messages, keep_user_messages=options.keep_user_messages, keep_tokens=options.keep_tokens)
        if cut is None:
            return None
        summary = await _summarize(context, cut, options)
        if not summary:
            return None
        covered = {message.message_id for message in cut.older}
        node_ids = tuple(
            node.node_id
            for node in context.state.graph.active_path
            if node.kind == "message" and node.message.message_id in covered
        )
        first = Message(
            message_id=f"summary:{hashlib.sha256(' '.join(node_ids).encode()).hexdigest()[:16]}",
            role=Role.USER,
            parts=(TextPart(text=f"{SUMMARY_HEADING}\n\n{summary}"),),
            origin=MessageOrigin(kind="compaction", plugin_id=self.context.plugin_id),
        )
        return ContextCompaction(seed=(first, *cut.tail), covered_node_ids=node_ids, summary=summary)


async def _summarize(context: CompactionContext, cut: Cut, options: CompactionOptions) -> str:
    """Summarize in as many calls as the older part needs to fit the model's window, each building on the last."""
    window = context.state.policy.model.context_window_tokens
    room = max(window // 2 - options.summary_tokens, window // 4)
    summary = ""
    for piece in chunks(transcript_lines(cut.older), max_tokens=room):
        prompt = _prompt(piece, summary, context.instructions)
        message = Message(message_id="summarize", role=Role.USER, parts=(TextPart(text=prompt),))
        response = await context.completions.complete(
            (message,), source="compaction", system=_SYSTEM, output_tokens_limit=options.summary_tokens
        )
        summary = response.text.strip() or summary
    return summary


def _prompt(piece: str, summary: str, instructions: str | None) -> str:
    parts = ["Summarize the conversation below."]
    if instructions:
        parts.append(f"The user asks of the summary: {instructions}")
    if summary:
        parts.append(f"Take over what matters of the summary so far:\n\n{summary}")
    parts.append(f"Conversation:\n\n{piece}")
    return "\n\n".join(parts)


@hookimpl
def lash_create_session_plugin(context: PluginSessionContext) -> object:
    """Make the plugin's part of a session."""
    return CompactionSummaryPlugin(context)
