"""Compaction: the seed of a fresh frame, and when a session should get one by itself."""

from __future__ import annotations

from lash_host.domain.message import Message
from lash_host.domain.usage import TokenUsage
from lash_host.domain.value import Value

__all__ = ["ContextCompaction", "next_prompt_usage", "should_compact"]


class ContextCompaction(Value):
    """A compaction's answer: the first messages of the new frame.

    Attributes:
        seed: Messages in order; none means that there was nothing to compact.
        covered_node_ids: The nodes whose content the seed stands for, so that it can be checked later.
        summary: The text that replaced them, for people.
    """

    seed: tuple[Message, ...]
    covered_node_ids: tuple[str, ...] = ()
    summary: str = ""


def should_compact(
    last_prompt: TokenUsage | None, *, incoming_tokens: int, context_window_tokens: int, share: float
) -> bool:
    """Say whether the next prompt will pass ``share`` of the context window.

    Args:
        last_prompt: Usage of the session's last model call; None when nothing is known, which never compacts.
        incoming_tokens: Estimate of what the next input adds.
        context_window_tokens: The window of the session's model.
        share: From 0 to 1; 0 turns automatic compaction off.
    """
    if last_prompt is None or share <= 0:
        return False
    expected = last_prompt.context_tokens + last_prompt.output_tokens + incoming_tokens
    return expected >= share * context_window_tokens


def next_prompt_usage(
    before: TokenUsage | None, last_call: TokenUsage | None, *, overflowed: bool, context_window_tokens: int
) -> TokenUsage | None:
    """Say what a turn leaves known of how full the context is.

    A turn that learned nothing, because it called no model or got no answer, leaves what was known before it. A prompt
    that did not fit filled the window, whatever was reported of it: so the next turn compacts first.

    Args:
        before: What was known before the turn.
        last_call: Usage of the turn's last model call that was answered.
        overflowed: Whether the turn ended because its prompt did not fit.
        context_window_tokens: The window of the turn's model.
    """
    if overflowed:
        return TokenUsage(input_tokens=context_window_tokens)
    return before if last_call is None else last_call
