"""Operations: what a host application can call on a plugin."""

from __future__ import annotations

import pytest

from lash_host.errors import InvalidOperationArguments, PluginHookError, UnknownOperation, UsageFault
from lash_host.hookspecs.operation import OperationContext, PluginOperation
from lash_host.markers import hookimpl

CONTEXT = OperationContext(session_id="s", state=None)
SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "times": {"type": "integer", "minimum": 1}},
    "required": ["word"],
}


@pytest.fixture
def session(make_session):
    def operation(name, run, *, kind="query", schema=SCHEMA):
        async def call(arguments, context):
            return run(arguments, context)

        return PluginOperation(name=name, kind=kind, description=name, input_schema=schema, run=call)

    def refuse(_arguments, _context):
        raise UsageFault("not now")

    def fail(_arguments, _context):
        raise ValueError("broken")

    class Part:
        @hookimpl
        def lash_register_operations(self):
            return [
                operation("repeat", lambda arguments, _: arguments["word"] * arguments.get("times", 1)),
                operation("where", lambda _, context: context.session_id, kind="command"),
                operation("refuse", refuse, schema={}),
                operation("fail", fail, schema={}),
                operation("odd", lambda *_: {1, 2}, schema={}),
                operation("bad", lambda *_: None, schema={"type": "nonsense"}),
            ]

    return make_session({"words": Part()})


async def test_an_operation_is_called_by_name_and_kind(session):
    result = await session.invoke_operation("repeat", {"word": "ab", "times": 2}, kind="query", context=CONTEXT)
    assert (result.plugin_id, result.value) == ("words", "abab")
    result = await session.invoke_operation("where", {"word": "x"}, kind="command", context=CONTEXT)
    assert result.value == "s"
    assert session.operations["repeat"].plugin_id == "words"


@pytest.mark.parametrize(("name", "kind"), [("gone", "command"), ("repeat", "command")])
async def test_an_unknown_name_or_kind_is_refused_with_what_there_is(session, name, kind):
    with pytest.raises(UnknownOperation, match=f"no plugin command '{name}' in this session; known: where"):
        await session.invoke_operation(name, {}, kind=kind, context=CONTEXT)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'word' is a required property"),
        ({"word": 1}, "word: 1 is not of type 'string'"),
        ({"word": "a", "times": 0}, "times: 0 is less than the minimum of 1"),
        ({"word": "a", "time": 1}, "unknown: time"),
    ],
)
async def test_arguments_are_checked(session, arguments, said):
    with pytest.raises(InvalidOperationArguments, match="arguments of operation 'repeat'") as caught:
        await session.invoke_operation("repeat", arguments, kind="query", context=CONTEXT)
    assert said in str(caught.value)


async def test_a_refusal_passes_and_a_failure_names_the_plugin(session):
    with pytest.raises(UsageFault, match="not now"):
        await session.invoke_operation("refuse", {}, kind="query", context=CONTEXT)
    with pytest.raises(PluginHookError, match="plugin 'words' failed in operation 'fail': ValueError: broken"):
        await session.invoke_operation("fail", {}, kind="query", context=CONTEXT)


@pytest.mark.parametrize(("name", "said"), [("odd", "not JSON"), ("bad", "its input schema is not a JSON Schema")])
async def test_what_the_plugin_did_wrong_is_its_fault(session, name, said):
    with pytest.raises(PluginHookError, match=said):
        await session.invoke_operation(name, {}, kind="query", context=CONTEXT)
