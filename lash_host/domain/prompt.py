"""Prompt contributions, the layers they come in, and the text they make."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

from pydantic import Field

from lash_host.domain.value import Value

__all__ = ["PromptContribution", "PromptLayer", "PromptSlot", "merge_plugin_contributions", "render_prompt"]


class PromptSlot(StrEnum):
    """The places of the system prompt, in the order they are rendered."""

    INTRO = "intro"
    EXECUTION = "execution"
    GUIDANCE = "guidance"
    PROJECT_INSTRUCTIONS = "project_instructions"
    RUNTIME_CONTEXT = "runtime_context"
    ENVIRONMENT = "environment"


_SLOT_ORDER = {slot: index for index, slot in enumerate(PromptSlot)}


class PromptContribution(Value):
    """A piece of the system prompt.

    Attributes:
        slot: Where it goes.
        content: The text; blank contributions are dropped.
        title: A heading above it.
        priority: Lower comes first within a slot.
        when_tools: Kept only if any of these tools is in the catalog; empty means always.
    """

    slot: PromptSlot
    content: str
    title: str | None = None
    priority: int = 0
    when_tools: tuple[str, ...] = ()


class PromptLayer(Value):
    """A layer over the ones below it: clears slots, then adds.

    Layers are, from below: protocol, plugins, host, session policy, turn.
    """

    clear_slots: tuple[PromptSlot, ...] = ()
    contributions: tuple[PromptContribution, ...] = Field(default=())


def merge_plugin_contributions(contributions: Iterable[PromptContribution]) -> tuple[PromptContribution, ...]:
    """Drop repeats (same slot, priority and trimmed content; the first stays), then sort by slot and priority."""
    kept: dict[tuple[PromptSlot, int, str], PromptContribution] = {}
    for item in contributions:
        kept.setdefault((item.slot, item.priority, item.content.strip()), item)
    return tuple(sorted(kept.values(), key=lambda item: (_SLOT_ORDER[item.slot], item.priority)))


def render_prompt(layers: Sequence[PromptLayer], *, tool_names: Collection[str]) -> str:
    """Render layers, lowest first, into the system prompt.

    Within a slot: priority, title, content. Gated contributions need one of their tools in the catalog. Exact
    repeats and blank contributions are dropped.
    """
    active: list[PromptContribution] = []
    for layer in layers:
        if layer.clear_slots:
            active = [item for item in active if item.slot not in layer.clear_slots]
        active.extend(layer.contributions)
    shown = {
        (_SLOT_ORDER[item.slot], item.priority, (item.title or "").strip(), item.content.strip())
        for item in active
        if item.content.strip() and (not item.when_tools or any(name in tool_names for name in item.when_tools))
    }
    return "\n\n".join(f"## {title}\n\n{content}" if title else content for _, _, title, content in sorted(shown))
