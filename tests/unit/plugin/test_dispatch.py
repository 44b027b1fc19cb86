"""Calling hooks: what may be answered, what failures say, what is counted, and what a cancellation does."""

from __future__ import annotations

import asyncio

import pytest

from lash_host.domain.compaction import ContextCompaction
from lash_host.domain.directive import AbortTurn, EmitEvents, EnqueueMessages, PluginMessage, ReplaceToolArguments
from lash_host.domain.message import Role
from lash_host.domain.prompt import PromptContribution, PromptSlot
from lash_host.errors import PluginHookError
from lash_host.hookspecs.stream import StreamChunk
from lash_host.markers import hookimpl

CHUNK = StreamChunk(session_id="s", turn_id="t", text="")


def answering(name: str, answer: object, *, is_async: bool = False, given=None):
    """Make a session plugin whose hook gives ``answer``, or raises it, or gives what ``given`` makes."""

    def give():
        if given is not None:
            return given()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def give_async():
        return give()

    return type("Part", (), {name: staticmethod(hookimpl(specname=name)(give_async if is_async else give))})()


async def test_an_async_hook_may_be_implemented_either_way(make_session):
    parts = {
        "a": answering("lash_before_turn", [EmitEvents(events=(1,))]),
        "b": answering("lash_before_turn", (EmitEvents(events=(2,)),), is_async=True),
        "c": answering("lash_before_turn", None),
    }
    fold = await make_session(parts).before_turn("context")
    assert [(event.plugin_id, event.value) for event in fold.events] == [("a", 1), ("b", 2)]


async def _never():
    raise AssertionError


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("lash_before_turn", AbortTurn(code="x", message="y"), "returned a AbortTurn, not a list of directives"),
        ("lash_before_turn", ["abort"], "returned a list with a str in it, not a directive"),
        ("lash_before_turn", "abort", "returned a str, not a list of directives"),
        ("lash_contribute_prompt", [{"slot": "intro"}], "returned a list with a dict in it, not a PromptContribution"),
        ("lash_compact_context", [], "returned a list, not a ContextCompaction"),
        ("lash_export_tools", [object()], "returned a list with a object in it, not a ToolProvider"),
        ("lash_filter_tool_catalog", "secret", "returned a str, not a list of tool names"),
        ("lash_filter_tool_catalog", [1], "returned a int among the tool names"),
        ("lash_project_tool_result", "short", "returned a str, not a list of parts"),
        ("lash_transform_stream", "text", "returned a str, not a StreamChunk"),
        ("lash_session_ready", asyncio.sleep, None),
    ],
)
async def test_a_wrong_answer_is_named(make_session, name, answer, said):
    session = make_session({"a": answering(name, answer)})
    calls = {
        "lash_before_turn": lambda: session.before_turn(None),
        "lash_contribute_prompt": lambda: session.contribute_prompt(None),
        "lash_session_ready": lambda: session.session_ready(None),
        "lash_export_tools": session.export_tools,
        "lash_filter_tool_catalog": lambda: session.filter_tool_catalog(None),
        "lash_project_tool_result": lambda: session.project_tool_result(None),
        "lash_transform_stream": lambda: session.transform_stream(CHUNK),
    }

    async def call():
        if name == "lash_compact_context":
            await session.compact_context(None)
        result = calls[name]()
        if asyncio.iscoroutine(result):
            await result

    if said is None:
        await call()
        return
    with pytest.raises(Exception, match=f"plugin 'a' failed in {name}: ") as caught:
        await call()
    assert str(caught.value).endswith(said)


@pytest.mark.parametrize("name", ["lash_export_tools", "lash_filter_tool_catalog", "lash_project_tool_result"])
def test_an_awaitable_from_a_sync_hook_is_closed_and_named(make_session, name):
    session = make_session({"a": answering(name, None, given=_never)})
    arguments = [] if name == "lash_export_tools" else [None]
    with pytest.raises(PluginHookError, match="returned an awaitable, which nobody waits for"):
        getattr(session, name.removeprefix("lash_"))(*arguments)


async def test_a_failure_names_plugin_and_hook_and_keeps_its_cause(make_session):
    cause = KeyError("lines")
    with pytest.raises(PluginHookError) as caught:
        await make_session({"notes": answering("lash_checkpoint", cause, is_async=True)}).checkpoint("context")
    assert str(caught.value) == "plugin 'notes' failed in lash_checkpoint: KeyError: 'lines'"
    assert (caught.value.plugin_id, caught.value.hook, caught.value.__cause__) == ("notes", "lash_checkpoint", cause)


async def test_a_program_exit_in_a_hook_is_a_failure(make_session):
    with pytest.raises(PluginHookError, match="SystemExit"):
        await make_session({"a": answering("lash_after_turn", SystemExit(1))}).after_turn("context")


async def test_a_long_message_is_one_line_of_bounded_length(make_session):
    error = ValueError("line\n" * 1000)
    with pytest.raises(PluginHookError) as caught:
        await make_session({"a": answering("lash_after_turn", error)}).after_turn("context")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


async def test_a_cancellation_passes(make_session):
    entered = asyncio.Event()

    class Part:
        @hookimpl
        async def lash_before_turn(self):
            entered.set()
            await asyncio.Event().wait()

    session = make_session({"a": Part()})
    running = asyncio.create_task(session.before_turn("context"))
    await entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (fact,) = [fact for fact in session.hook_calls() if fact.hook == "lash_before_turn"]
    assert (fact.calls, fact.errors) == (1, 0)


async def test_cancelling_while_events_are_told_cancels_the_hooks(make_session):
    entered, left = asyncio.Event(), asyncio.Event()

    class Part:
        @hookimpl
        async def lash_on_event(self):
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

    running = asyncio.create_task(make_session({"a": Part()}).emit("event"))
    await entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert left.is_set()


async def test_a_hook_that_cancels_itself_does_not_cancel_the_session(make_session, caplog):
    session = make_session({"a": answering("lash_on_event", asyncio.CancelledError(), is_async=True)})
    await session.emit("event")
    assert "plugin 'a' failed in lash_on_event: CancelledError" in caplog.text


@pytest.mark.parametrize(
    ("name", "directive", "said"),
    [
        ("before_turn", ReplaceToolArguments(arguments={}), "it must not answer replace_tool_args; allowed are"),
        ("after_turn", AbortTurn(code="x", message="y"), "it must not answer abort_turn; allowed are"),
        ("before_tool_call", EnqueueMessages(messages=()), "abort_turn, replace_tool_args, short_circuit_tool"),
    ],
)
async def test_an_illegal_directive_is_named_with_what_is_allowed(make_session, name, directive, said):
    session = make_session({"a": answering(f"lash_{name}", [directive])})
    with pytest.raises(PluginHookError, match=f"plugin 'a' failed in lash_{name}") as caught:
        await getattr(session, name)("context")
    assert said in str(caught.value)


async def test_directives_are_added_up(make_session):
    message = PluginMessage.text("careful", role=Role.SYSTEM)
    parts = {
        "a": answering("lash_before_turn", [AbortTurn(code="first", message="1")]),
        "b": answering("lash_before_turn", [EnqueueMessages(messages=(message,)), AbortTurn(code="last", message="2")]),
    }
    fold = await make_session(parts).before_turn("context")
    assert (fold.abort.plugin_id, fold.abort.value.code) == ("b", "last")
    assert [owned.value for owned in fold.messages] == [message]


async def test_prompt_contributions_are_merged(make_session):
    def say(content, priority=0):
        return PromptContribution(slot=PromptSlot.GUIDANCE, content=content, priority=priority)

    parts = {
        "a": answering("lash_contribute_prompt", [say("late", 5), say("same")]),
        "b": answering("lash_contribute_prompt", [say("same "), say("early", -1)]),
    }
    contributions = await make_session(parts).contribute_prompt("context")
    assert [item.content for item in contributions] == ["early", "same", "late"]


def test_catalog_filters_are_united(make_session):
    parts = {
        "a": answering("lash_filter_tool_catalog", {"x"}),
        "b": answering("lash_filter_tool_catalog", ["y", "x"]),
        "c": answering("lash_filter_tool_catalog", None),
    }
    assert make_session(parts).filter_tool_catalog("context") == {"x", "y"}


async def test_a_compaction_is_owned_by_who_gave_it(make_session):
    empty = ContextCompaction(seed=())
    assert await make_session({"a": answering("lash_compact_context", empty)}).compact_context("context") is None


class Slow:
    """Takes as long as it is told, on a clock that moves when told."""

    def __init__(self, clock, *seconds: float):
        self._clock, self._seconds = clock, iter(seconds)

    @hookimpl
    def lash_transform_stream(self, context):
        self._clock.advance(next(self._seconds))
        if context.text == "bad":
            raise ValueError
        return context


def facts_of(session):
    return {(fact.plugin_id, fact.hook): fact for fact in session.hook_calls()}


def test_calls_are_counted_and_timed(make_session, clock):
    session = make_session({"a": Slow(clock, 0.25, 0.5, 0.125)})
    session.transform_stream(CHUNK)
    session.transform_stream(CHUNK)
    with pytest.raises(PluginHookError):
        session.transform_stream(StreamChunk(session_id="s", turn_id="t", text="bad"))
    fact = facts_of(session)["a", "lash_transform_stream"]
    assert (fact.calls, fact.total_ms, fact.max_ms, fact.errors) == (3, 875.0, 500.0, 1)
    assert facts_of(session)["a", "lash_create_session_plugin"].calls == 1


def test_a_wrong_answer_counts_as_an_error(make_session):
    session = make_session({"a": answering("lash_transform_stream", None)})
    with pytest.raises(PluginHookError):
        session.transform_stream(CHUNK)
    assert facts_of(session)["a", "lash_transform_stream"].errors == 1


def test_facts_are_forgotten_once_they_landed(make_session, clock):
    session = make_session({"a": Slow(clock, 1, 2, 0.5)})
    session.transform_stream(CHUNK)
    session.transform_stream(CHUNK)
    facts = session.hook_calls()
    assert session.hook_calls() == facts
    session.transform_stream(CHUNK)
    session.forget_hook_calls(facts)
    (left,) = session.hook_calls()
    assert (left.calls, left.total_ms, left.max_ms) == (1, 500.0, 500.0)
    session.forget_hook_calls(session.hook_calls())
    assert session.hook_calls() == ()
