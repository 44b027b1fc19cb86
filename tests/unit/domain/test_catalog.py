"""The rules of tool state."""

from __future__ import annotations

import pytest

from lash_host.domain.catalog import (
    ToolState,
    ToolStateEntry,
    apply_tool_state,
    initial_tool_state,
    refresh_tool_state,
    restore_tool_state,
    set_membership,
)
from lash_host.domain.tool import ToolManifest
from lash_host.errors import GenerationMismatch, ToolStateError


def manifest(tool_id, name=None, description=""):
    return ToolManifest(tool_id=tool_id, name=name or tool_id, description=description)


def live(*tool_ids, **renamed):
    return {tool_id: manifest(tool_id) for tool_id in tool_ids} | {k: manifest(k, v) for k, v in renamed.items()}


def entry(tool_id, name=None, **flags):
    return ToolStateEntry(manifest=manifest(tool_id, name), **flags)


def state(generation, *entries, removed=()):
    return ToolState(generation=generation, tools={e.manifest.tool_id: e for e in entries}, removed=removed)


def test_a_fresh_session_has_every_tool_and_generation_one():
    fresh = initial_tool_state(live("b", "a"))
    assert fresh.generation == 1
    assert [m.tool_id for m in fresh.callable_manifests] == ["a", "b"]


def test_restoring_adopts_generation_and_flags_and_the_live_manifest_wins():
    stored = state(9, entry("a", "old_name", member=False))
    restored = restore_tool_state(stored, {"a": manifest("a", "new_name", "now")})
    assert restored == state(9, ToolStateEntry(manifest=manifest("a", "new_name", "now"), member=False))


def test_restoring_keeps_what_nobody_provides_as_an_orphan_with_its_last_manifest():
    stored = state(4, entry("gone", member=False), entry("a"))
    restored = restore_tool_state(stored, live("a"))
    assert restored == state(4, entry("gone", member=False, orphaned=True), entry("a"))
    assert restored.orphaned_ids == ("gone",)
    assert [m.tool_id for m in restored.callable_manifests] == ["a"]


def test_restoring_takes_in_tools_of_newly_installed_plugins_one_generation_on():
    restored = restore_tool_state(state(4, entry("a")), live("a", "new"))
    assert restored == state(5, entry("a"), entry("new"))


def test_restoring_again_changes_nothing():
    tools = live("a", "new")
    once = restore_tool_state(state(4, entry("a"), entry("gone")), tools)
    assert restore_tool_state(once, tools) == once


def test_an_orphan_makes_room_for_a_newcomer_of_its_name():
    restored = restore_tool_state(state(4, entry("v1", "search", member=False)), live(v2="search"))
    assert restored == state(5, entry("v2", "search"))


def test_an_orphan_is_bound_again_by_id_with_its_flag():
    stored = state(4, entry("a", "old", member=False, orphaned=True))
    assert restore_tool_state(stored, live(a="new")) == state(4, entry("a", "new", member=False))


def test_a_tool_that_an_edit_removed_does_not_come_back_with_a_restore():
    tools = live("a", "shell")
    edited = apply_tool_state(state(1, entry("a"), entry("shell")), state(1, entry("a")), tools)
    assert edited == state(2, entry("a"), removed=("shell",))
    assert restore_tool_state(edited, tools) == edited


def test_an_edit_of_another_generation_is_refused():
    with pytest.raises(GenerationMismatch) as caught:
        apply_tool_state(state(3, entry("a")), state(2, entry("a")), live("a"))
    assert (caught.value.expected, caught.value.actual) == (2, 3)
    assert str(caught.value) == "generation mismatch: expected 2, actual 3"


def test_an_edit_takes_flags_but_not_manifests():
    edited = state(3, entry("a", "renamed", member=False))
    assert apply_tool_state(state(3, entry("a")), edited, live("a")) == state(4, entry("a", member=False))


def test_an_edit_may_bring_back_a_removed_tool():
    current = state(2, entry("a"), removed=("b",))
    assert apply_tool_state(current, state(2, entry("a"), entry("b")), live("a", "b")) == state(
        3, entry("a"), entry("b")
    )


def test_an_edit_naming_a_tool_that_nobody_provides_is_refused():
    with pytest.raises(ToolStateError, match="no registered tool source resolves tool id 'ghost'"):
        apply_tool_state(state(1), state(1, entry("ghost")), live("a"))


def test_an_edit_round_trips_while_orphans_exist():
    current = state(5, entry("a"), entry("gone", orphaned=True))
    assert apply_tool_state(current, current, live("a")) == current.model_copy(update={"generation": 6})


@pytest.mark.parametrize(
    "change",
    [
        lambda bad: apply_tool_state(state(1), bad, live("a", "b")),
        lambda bad: restore_tool_state(bad, live("a", "b")),
    ],
)
def test_a_key_that_is_not_its_manifests_id_is_refused(change):
    with pytest.raises(ToolStateError, match="'a' under the id 'b'"):
        change(ToolState(generation=1, tools={"b": entry("a")}))


def test_an_unchanged_refresh_gives_the_same_state():
    current = state(3, entry("a", member=False), entry("gone", orphaned=True))
    assert refresh_tool_state(current, live("a")) is current


def test_a_refresh_adds_rebinds_renames_and_drops_in_one_generation():
    current = state(3, entry("a", member=False), entry("back", orphaned=True, member=False), entry("gone"))
    refreshed = refresh_tool_state(current, live("back", "new", a="a2"))
    assert refreshed == state(4, entry("a", "a2", member=False), entry("back", member=False), entry("new"))


def test_a_refresh_remembers_that_a_vanished_tool_was_switched_off():
    gone = refresh_tool_state(state(3, entry("a", member=False)), {})
    assert gone == state(4, entry("a", member=False, orphaned=True))
    assert refresh_tool_state(gone, live("a")) == state(5, entry("a", member=False))


def test_a_refresh_drops_an_orphan_whose_name_is_taken():
    current = state(3, entry("v1", "search", orphaned=True))
    assert refresh_tool_state(current, live(v2="search")) == state(4, entry("v2", "search"))


def test_a_refresh_brings_removed_tools_back():
    current = state(3, removed=("a", "gone"))
    assert refresh_tool_state(current, live("a")) == state(4, entry("a"), removed=("gone",))


def test_membership_of_several_tools_is_one_generation():
    changed = set_membership(state(1, entry("a"), entry("b"), entry("c")), ["a", "b"], present=False)
    assert changed == state(2, entry("a", member=False), entry("b", member=False), entry("c"))


def test_membership_is_all_or_nothing():
    with pytest.raises(ToolStateError, match="unknown tool `x`"):
        set_membership(state(1, entry("a")), ["a", "x"], present=False)


def test_membership_that_is_so_already_changes_nothing():
    current = state(1, entry("a"))
    assert set_membership(current, ["a"], present=True) is current


def test_membership_by_a_name_means_the_live_tool_and_not_an_orphan_of_that_name():
    current = state(1, entry("a_old", "x", orphaned=True), entry("z_new", "x"))
    changed = set_membership(current, ["x"], present=False)
    assert (changed.tools["a_old"].member, changed.tools["z_new"].member) == (True, False)


def test_no_rule_changes_the_state_it_is_given():
    current = state(1, entry("a"), entry("b", orphaned=True))
    before = current.model_dump_json()
    set_membership(current, ["a"], present=False)
    apply_tool_state(current, state(1), live("a"))
    refresh_tool_state(current, live("c"))
    restore_tool_state(current, live("c"))
    assert current.model_dump_json() == before
