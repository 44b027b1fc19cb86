"""The system prompt: slots, layers, gates."""

from __future__ import annotations

import pytest

from lash_host.domain.prompt import (
    PromptContribution,
    PromptLayer,
    PromptSlot,
    merge_plugin_contributions,
    render_prompt,
)

INTRO, GUIDANCE, ENVIRONMENT = PromptSlot.INTRO, PromptSlot.GUIDANCE, PromptSlot.ENVIRONMENT


def piece(content: str, slot: PromptSlot = GUIDANCE, **more: object) -> PromptContribution:
    return PromptContribution(slot=slot, content=content, **more)


def render(*layers: PromptLayer, tools: tuple[str, ...] = ()) -> str:
    return render_prompt(layers, tool_names=tools)


def layer(*contributions: PromptContribution, clear: tuple[PromptSlot, ...] = ()) -> PromptLayer:
    return PromptLayer(clear_slots=clear, contributions=contributions)


def test_no_layers_make_no_prompt():
    assert render() == ""
    assert render(PromptLayer()) == ""


def test_slots_come_in_their_order_whatever_the_layers_order_is():
    text = render(layer(piece("env", ENVIRONMENT), piece("guide")), layer(piece("intro", INTRO)))
    assert text == "intro\n\nguide\n\nenv"
    assert [slot.value for slot in PromptSlot] == [
        "intro", "execution", "guidance", "project_instructions", "runtime_context", "environment",
    ]  # fmt: skip


def test_within_a_slot_priority_then_title_then_content_decide():
    text = render(
        layer(piece("z", priority=1), piece("b"), piece("c", title="A"), piece("a"), piece("late", priority=2)),
        layer(piece("first", priority=-1)),
    )
    assert text == "first\n\na\n\nb\n\n## A\n\nc\n\nz\n\nlate"


def test_titles_and_contents_are_trimmed_and_blank_ones_dropped():
    assert render(layer(piece("  x \n", title=" T "), piece("  \n"), piece("", title="no"))) == "## T\n\nx"


def test_exact_repeats_are_shown_once():
    assert render(layer(piece("x"), piece(" x ")), layer(piece("x"))) == "x"
    assert render(layer(piece("x"), piece("x", priority=1))) == "x\n\nx"


def test_a_layer_clears_what_is_below_it_and_not_what_it_adds():
    below = layer(piece("old"), piece("env", ENVIRONMENT))
    above = layer(piece("new"), clear=(GUIDANCE,))
    assert render(below, above) == "new\n\nenv"
    assert render(above, below) == "new\n\nold\n\nenv"
    assert render(below, layer(clear=(GUIDANCE, ENVIRONMENT))) == ""


@pytest.mark.parametrize(("tools", "shown"), [((), ""), (("other",), ""), (("b",), "gated"), (("a", "b"), "gated")])
def test_a_gated_piece_needs_one_of_its_tools(tools, shown):
    assert render(layer(piece("gated", when_tools=("a", "b"))), tools=tools) == shown


def test_plugin_contributions_are_sorted_by_slot_and_priority_and_stay_in_plugin_order():
    merged = merge_plugin_contributions(
        [piece("env", ENVIRONMENT), piece("2", priority=2), piece("b"), piece("a"), piece("intro", INTRO)]
    )
    assert [item.content for item in merged] == ["intro", "b", "a", "2", "env"]


def test_of_repeated_plugin_contributions_the_first_stays():
    first = piece("x", title="First")
    merged = merge_plugin_contributions(
        [first, piece(" x ", title="Second"), piece("x", priority=1), piece("x", INTRO)]
    )
    assert merged == (piece("x", INTRO), first, piece("x", priority=1))
