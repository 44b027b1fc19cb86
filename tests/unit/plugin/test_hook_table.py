"""Every hook is called by a typed method, in the mode that the table of hooks says."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from lash_host.domain.compaction import ContextCompaction
from lash_host.domain.directive import EmitEvents
from lash_host.domain.message import Message, Role, TextPart
from lash_host.domain.model import ModelResponse, ModelSpec
from lash_host.domain.plugin_state import PluginSnapshot
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.prompt import PromptContribution, PromptSlot
from lash_host.errors import CompactionError, PluginHookError, PluginSnapshotError, SingletonConflict
from lash_host.hookspecs.stream import ResponseTransform, StreamChunk
from lash_host.hookspecs.table import HOOKS
from lash_host.hookspecs.turn import PreparedContext
from lash_host.plugin.host import SessionRequest

CONTEXT = object()
POLICY = SessionPolicy(model=ModelSpec(provider_id="p", model_id="m"))
PREPARED = PreparedContext(messages=())
CHUNK = StreamChunk(session_id="s", turn_id="t", text="")
RESPONSE = ResponseTransform(session_id="s", turn_id="t", response=ModelResponse())
SEED = ContextCompaction(seed=(Message(message_id="m", role=Role.USER, parts=(TextPart(text="seed"),)),))
EVENTS = [EmitEvents(events=("told",))]

CALLS = {
    "lash_export_tools": lambda session: session.export_tools(),
    "lash_filter_tool_catalog": lambda session: session.filter_tool_catalog(CONTEXT),
    "lash_capture_snapshot": lambda session: session.capture_snapshot(None),
    "lash_snapshot_revision": lambda session: session.revision_fingerprint(),
    "lash_restore_snapshot": lambda session: session.restore_snapshot(PluginSnapshot()),
    "lash_session_ready": lambda session: session.session_ready(CONTEXT),
    "lash_mutate_session_config": lambda session: session.mutate_session_config(CONTEXT, POLICY),
    "lash_compact_context": lambda session: session.compact_context(CONTEXT),
    "lash_transform_turn_context": lambda session: session.transform_turn_context(CONTEXT, PREPARED),
    "lash_contribute_prompt": lambda session: session.contribute_prompt(CONTEXT),
    "lash_before_turn": lambda session: session.before_turn(CONTEXT),
    "lash_checkpoint": lambda session: session.checkpoint(CONTEXT),
    "lash_after_turn": lambda session: session.after_turn(CONTEXT),
    "lash_before_tool_call": lambda session: session.before_tool_call(CONTEXT),
    "lash_after_tool_call": lambda session: session.after_tool_call(CONTEXT),
    "lash_project_tool_result": lambda session: session.project_tool_result(CONTEXT),
    "lash_transform_stream": lambda session: session.transform_stream(CHUNK),
    "lash_transform_response": lambda session: session.transform_response(RESPONSE),
    "lash_stream_finished": lambda session: session.stream_finished(CONTEXT),
    "lash_on_event": lambda session: session.emit(CONTEXT),
}
"""How each session hook that is not called while a session is built is called."""

HOST_CALLS = {
    "lash_register_providers": lambda host: host.providers(),
    "lash_register_effect_hosts": lambda host: host.effect_hosts(),
    "lash_register_process_engines": lambda host: host.process_engines(),
    "lash_register_commands": lambda host: host.register_commands(SimpleNamespace(commands={})),
    "lash_register_usage_views": lambda host: host.usage_views(),
    "lash_register_model_prices": lambda host: host.model_prices(),
    "lash_contribute_extensions": lambda host: host.extensions(),
}

BUILDING = {"lash_create_session_plugin", "lash_protocol", "lash_code_executor", "lash_register_operations"}
"""Hooks that are called when a session is built; `test_building` has more of them."""

ANSWERS: dict[str, Any] = {
    "lash_filter_tool_catalog": ["secret"],
    "lash_snapshot_revision": 1,
    "lash_contribute_prompt": [PromptContribution(slot=PromptSlot.INTRO, content="hello")],
    "lash_mutate_session_config": POLICY,
    "lash_transform_turn_context": PREPARED,
    "lash_transform_stream": CHUNK,
    "lash_transform_response": RESPONSE,
    **dict.fromkeys(
        ("lash_before_turn", "lash_checkpoint", "lash_after_turn", "lash_before_tool_call", "lash_after_tool_call"),
        EVENTS,
    ),
}


def of_mode(*modes: str, but: str = "") -> Any:
    return pytest.mark.parametrize("name", [name for name in CALLS if HOOKS[name].mode in modes and name != but])


class Log:
    """What was called, in order; a plugin named in ``failing`` raises."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[tuple[str, tuple]] = []
        self._failing = failing

    def part(self, implement: Any, name: str, plugin_id: str) -> object:
        def answer(*arguments: Any) -> Any:
            self.calls.append((plugin_id, arguments))
            if plugin_id == self._failing:
                raise ValueError("broken")
            return ANSWERS.get(name)

        async def answer_async(*arguments: Any) -> Any:
            return answer(*arguments)

        hook = HOOKS[name]
        function = implement(hook, answer_async if hook.is_async else answer)
        return type("Part", (), {name: staticmethod(function)})()

    @property
    def plugin_ids(self) -> list[str]:
        return [plugin_id for plugin_id, _ in self.calls]


@pytest.fixture
def run(make_session, implement):
    async def call(name: str, log: Log) -> Any:
        parts = {plugin_id: log.part(implement, name, plugin_id) for plugin_id in ("a", "b")}
        result = CALLS[name](make_session(parts))
        return await result if HOOKS[name].is_async else result

    return call


def test_every_hook_of_the_table_is_called_by_somebody():
    assert {*CALLS, *HOST_CALLS, *BUILDING} == set(HOOKS)


@of_mode("collect", "notify", "chain")
async def test_all_are_called_in_order_with_the_arguments_of_the_hook(run, name):
    log = Log()
    await run(name, log)
    order = [plugin_id for index, plugin_id in enumerate(log.plugin_ids) if plugin_id not in log.plugin_ids[:index]]
    assert order == ["a", "b"]
    assert all(len(arguments) == HOOKS[name].spec.__code__.co_argcount for _, arguments in log.calls)


@of_mode("collect", but="lash_snapshot_revision")
async def test_collecting_stops_at_the_first_failure(run, name):
    log = Log(failing="a")
    with pytest.raises((PluginHookError, PluginSnapshotError), match=r"'a'.*ValueError: broken") as caught:
        await run(name, log)
    assert caught.value.plugin_id == "a"
    assert log.plugin_ids == ["a"]


@of_mode("chain")
async def test_a_chained_value_goes_from_one_to_the_next(run, name, monkeypatch):
    given = [object.__new__(type(ANSWERS[name])) for _ in range(2)]
    answers = iter(given)
    log = Log()
    monkeypatch.setitem(ANSWERS, name, None)
    monkeypatch.setattr(Log, "part", _chained_part(log, answers))
    result = await run(name, log)
    assert log.calls[1][1][-1] is given[0]
    assert result is given[1]


def _chained_part(log, answers):
    def part(_log, implement, name, plugin_id):
        def answer(*arguments):
            log.calls.append((plugin_id, arguments))
            return next(answers)

        async def answer_async(*arguments):
            return answer(*arguments)

        function = implement(HOOKS[name], answer_async if HOOKS[name].is_async else answer)
        return type("Part", (), {name: staticmethod(function)})()

    return part


@of_mode("chain")
async def test_a_chain_that_is_given_nothing_says_what_to_do(run, name, monkeypatch):
    monkeypatch.setitem(ANSWERS, name, None)
    if name == "lash_mutate_session_config":
        assert await run(name, Log()) is POLICY
        return
    with pytest.raises(PluginHookError, match="returned None; return the value to go on with"):
        await run(name, Log())


@of_mode("first")
async def test_the_first_that_has_something_wins(run, name, monkeypatch):
    monkeypatch.setitem(ANSWERS, name, SEED)
    log = Log()
    answer = await run(name, log)
    assert (answer.plugin_id, answer.value, log.plugin_ids) == ("a", SEED, ["a"])


@of_mode("first")
@pytest.mark.parametrize("nothing", [None, ContextCompaction(seed=())])
async def test_nothing_lets_the_next_answer(run, name, nothing, monkeypatch):
    monkeypatch.setitem(ANSWERS, name, nothing)
    log = Log()
    assert await run(name, log) is None
    assert log.plugin_ids == ["a", "b"]


@of_mode("first")
async def test_a_failure_ends_the_search(run, name):
    log = Log(failing="a")
    with pytest.raises(
        CompactionError, match="plugin 'a' failed in lash_compact_context: ValueError: broken"
    ) as caught:
        await run(name, log)
    assert isinstance(caught.value.__cause__, PluginHookError)
    assert log.plugin_ids == ["a"]


@of_mode("concurrent")
async def test_all_are_told_at_once(make_session, implement, name):
    told = {"a": asyncio.Event(), "b": asyncio.Event()}

    def part(plugin_id: str, other: str) -> object:
        async def answer(_event: object) -> None:
            told[plugin_id].set()
            await asyncio.wait_for(told[other].wait(), timeout=5)

        return type("Part", (), {name: staticmethod(implement(HOOKS[name], answer))})()

    session = make_session({"a": part("a", "b"), "b": part("b", "a")})
    await CALLS[name](session)
    assert [fact.errors for fact in session.hook_calls() if fact.hook == name] == [0, 0]


@pytest.mark.parametrize("name", ["lash_on_event", "lash_stream_finished", "lash_mutate_session_config"])
async def test_some_failures_are_told_but_end_nothing(run, name, caplog):
    log = Log(failing="a")
    await run(name, log)
    assert log.plugin_ids == ["a", "b"]
    assert f"plugin 'a' failed in {name}: ValueError: broken" in caplog.text


@pytest.mark.parametrize("name", ["lash_session_ready", "lash_restore_snapshot"])
async def test_other_failures_of_telling_are_raised(run, name):
    with pytest.raises((PluginHookError, PluginSnapshotError), match="ValueError: broken"):
        await run(name, Log(failing="a"))


@pytest.mark.parametrize("name", [name for name, hook in HOOKS.items() if hook.mode == "singleton"])
def test_two_of_a_singleton_are_refused_with_both_named(make_session, implement, name):
    parts = {plugin_id: Log().part(implement, name, plugin_id) for plugin_id in ("a", "b")}
    with pytest.raises(SingletonConflict, match="'b' conflicts with 'a'") as caught:
        make_session(parts)
    assert (caught.value.hook, caught.value.plugin_id, caught.value.existing_plugin_id) == (name, "b", "a")


def test_the_one_of_a_singleton_answers(make_session, implement, monkeypatch):
    parts = [TextPart(text="short")]
    monkeypatch.setitem(ANSWERS, "lash_project_tool_result", parts)
    session = make_session({"a": Log().part(implement, "lash_project_tool_result", "a")})
    assert session.project_tool_result(CONTEXT) == parts
    assert make_session({}).project_tool_result(CONTEXT) is None


@pytest.mark.parametrize("name", HOST_CALLS)
def test_hosts_ask_all_plugins_and_go_on_when_one_fails(make_host, implement, name):
    log = Log(failing="a")
    plugins = []
    for plugin_id in ("a", "b"):
        part = log.part(implement, name, plugin_id)
        part.plugin_id = plugin_id
        plugins.append(part)
    host = make_host(*plugins)
    HOST_CALLS[name](host)
    assert log.plugin_ids == ["a", "b"]
    (finding,) = host.findings
    assert (finding.code, finding.plugin_id, finding.hook) == ("hook_failed", "a", name)
    assert finding.message == f"failed in {name}: ValueError: broken"


def test_session_plugins_are_asked_for_in_order(make_host, host_plugin, protocol):
    asked = []
    plugins = [host_plugin(name, lambda context: asked.append(context.plugin_id)) for name in ("b", "a")]
    session = make_host(*plugins, protocol).build_session(SessionRequest(session_id="s"))
    assert asked == ["b", "a"]
    assert session.plugin_ids == ("protocol",)
