"""In which order implementations are called, and with which arguments."""

from __future__ import annotations

import pytest

from lash_host.hookspecs.stream import StreamChunk
from lash_host.hookspecs.table import HOOKS
from lash_host.markers import hookimpl

CHUNK = StreamChunk(session_id="s", turn_id="t", text="")


@pytest.fixture
def spelled(make_session, implement):
    """Let plugins, each marked in its own way, spell their ids in the order they are called in."""

    def spell(marks: dict[str, dict], **settings) -> str:
        def part(plugin_id: str, options: dict) -> object:
            hook = implement(
                HOOKS["lash_transform_stream"],
                lambda chunk: StreamChunk(session_id="s", turn_id="t", text=chunk.text + plugin_id),
                **options,
            )
            return type("Part", (), {"lash_transform_stream": staticmethod(hook)})()

        parts = {plugin_id: part(plugin_id, options) for plugin_id, options in marks.items()}
        return make_session(parts, **settings).transform_stream(CHUNK).text

    return spell


def test_plugin_order_is_the_order_of_calls(spelled):
    assert spelled({"a": {}, "b": {}, "c": {}}) == "abc"
    assert spelled({"c": {}, "b": {}, "a": {}}) == "cba"


def test_the_setting_comes_first(spelled):
    assert spelled({"a": {}, "b": {}, "c": {}}, plugins={"order": ("c", "b")}) == "cba"


def test_higher_priority_comes_first_and_ties_keep_plugin_order(spelled):
    marks = {"a": {"priority": -1}, "b": {}, "c": {"priority": 5}, "d": {}, "e": {"priority": 5}}
    assert spelled(marks) == "cebda"


def test_tryfirst_and_trylast_beat_priority(spelled):
    marks = {"a": {"trylast": True, "priority": 9}, "b": {"priority": 5}, "c": {"tryfirst": True}, "d": {}}
    assert spelled(marks) == "cbda"


def test_priority_orders_among_tryfirst_ones(spelled):
    marks = {"a": {"tryfirst": True}, "b": {"tryfirst": True, "priority": 1}, "c": {}}
    assert spelled(marks) == "bac"


def test_one_plugin_may_implement_a_hook_twice_and_keeps_its_own_order(make_session):
    class Part:
        @hookimpl(specname="lash_transform_stream")
        def second_by_name(self, context):
            return StreamChunk(session_id="s", turn_id="t", text=context.text + "1")

        @hookimpl(specname="lash_transform_stream")
        def first_by_name(self, context):
            return StreamChunk(session_id="s", turn_id="t", text=context.text + "2")

    assert make_session({"a": Part()}).transform_stream(CHUNK).text == "12"


def test_arguments_are_given_by_name(make_session):
    seen = []

    class Part:
        @hookimpl
        async def lash_mutate_session_config(self, policy, change):
            seen.append((policy, change))
            return policy

        @hookimpl
        def lash_filter_tool_catalog(self):
            seen.append("nothing")
            return []

        @hookimpl
        def lash_restore_snapshot(self, reader, meta=None, own=7):
            seen.append((reader.read_blob("x"), meta.plugin_id, own))

    from lash_host.domain.plugin_state import PluginSnapshot

    session = make_session({"a": Part()})
    session.filter_tool_catalog("context")
    session.restore_snapshot(PluginSnapshot())
    assert seen == ["nothing", (None, "a", 7)]


async def test_the_chained_value_is_found_by_name_too(make_session):
    from lash_host.domain.model import ModelSpec
    from lash_host.domain.policy import SessionPolicy

    policy = SessionPolicy(model=ModelSpec(provider_id="p", model_id="m"))

    class Part:
        @hookimpl
        async def lash_mutate_session_config(self, policy, change):
            assert change == "the change"
            return policy.model_copy(update={"max_turns": 3})

    changed = await make_session({"a": Part()}).mutate_session_config("the change", policy)
    assert changed.max_turns == 3
