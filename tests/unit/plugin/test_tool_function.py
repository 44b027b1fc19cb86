"""Calling Python functions as tools: what they are given, and what becomes of what they do."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from lash_host.contracts.tool import ToolCallContext, ToolProvider
from lash_host.domain.tool import FailureClass, FinishControl, ToolOutput, ToolRetryPolicy, ToolSuccess
from lash_host.errors import ToolFailedError
from lash_host.plugin.tool_decorator import mark_of, tool, tool_provider


class Colour(enum.Enum):
    RED = "red"


class Point(BaseModel):
    x: int


@dataclass
class Box:
    width: int


@pytest.fixture
def call(call_context):
    async def run(function, /, **arguments) -> ToolOutput:
        provider = tool_provider("p", function)
        return await provider.execute(provider.manifests()[0].tool_id, arguments, call_context)

    return run


async def test_arguments_arrive_as_what_they_are_annotated(call):
    def take(*, colour: Colour, path: Path, point: Point, box: Box, day: dt.date, tags: set[str]):
        return repr((colour, path, point, box, day, tags))

    output = await call(
        take, colour="red", path="a/b", point={"x": 1}, box={"width": 2}, day="2026-01-02", tags=["t", "t"]
    )
    expected = (Colour.RED, Path("a/b"), Point(x=1), Box(2), dt.date(2026, 1, 2), {"t"})
    assert output.outcome.value == repr(expected)


async def test_left_out_arguments_are_the_functions_own_defaults(call):
    default: list[str] = []

    def take(text: str = "x", seen: list[str] = default, size: int = Field(default=3, ge=1)):
        return [text, seen is default, size]

    assert (await call(take)).outcome.value == ["x", True, 3]


async def test_positional_only_and_keyword_only_parameters_are_filled(call, call_context):
    def take(first: int, call: ToolCallContext, /, second: int, *, third: int = 0):
        return [first, call.call_id, second, third]

    assert (await call(take, first=1, second=2, third=3)).outcome.value == [1, "c", 2, 3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": "big"}, "size: Input should be a valid integer"),
        ({}, "size: Field required"),
        ({"size": 1, "colour": 2}, "colour: Extra inputs are not permitted"),
    ],
)
async def test_arguments_that_do_not_fit_are_the_models_fault(call, arguments, said):
    def take(size: int): ...

    outcome = (await call(take, **arguments)).outcome
    assert (outcome.code, outcome.failure_class) == ("invalid_tool_args", FailureClass.INVALID_REQUEST)
    assert outcome.message.startswith(said)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("text", "text"),
        (True, True),
        ({"a": [1, 2.5]}, {"a": [1, 2.5]}),
        (Point(x=1), {"x": 1}),
        ([Box(2)], [{"width": 2}]),
        (Colour.RED, "red"),
        ((1, 2), [1, 2]),
        (Path("a"), "a"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (float("inf"), "Infinity"),
    ],
)
async def test_results_become_json(call, given, expected):
    def give():
        return given

    outcome = (await call(give)).outcome
    assert isinstance(outcome, ToolSuccess)
    assert outcome.value == expected


async def test_a_tool_output_stays_as_it_is(call):
    output = ToolOutput(outcome=ToolSuccess(value=1), control=FinishControl(value=2))

    def give():
        return output

    assert await call(give) is output


async def test_a_result_that_is_not_json_is_a_failure(call):
    def give():
        return object()

    outcome = (await call(give)).outcome
    assert (outcome.code, outcome.failure_class) == ("invalid_tool_result", FailureClass.INTERNAL)
    assert "of type object, is not JSON" in outcome.message


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError("no line"), "ValueError: no line"), (KeyError(), "KeyError"), (SystemExit(1), "SystemExit: 1")],
)
async def test_what_a_tool_raises_is_feedback(call, error, message):
    async def fail():
        raise error

    outcome = (await call(fail)).outcome
    assert (outcome.status, outcome.code, outcome.message) == ("failure", "tool_error", message)
    assert outcome.retry.disposition == "never"


@pytest.mark.parametrize(
    ("facts", "disposition", "after_ms"),
    [({}, "never", None), ({"retryable": True}, "safe", None), ({"retry_after_ms": 50}, "safe", 50)],
)
async def test_a_tool_may_say_how_it_failed(call, facts, disposition, after_ms):
    def fail():
        raise ToolFailedError("the line is busy", code="busy", **facts)

    outcome = (await call(fail)).outcome
    assert (outcome.code, outcome.message) == ("busy", "the line is busy")
    assert (outcome.retry.disposition, outcome.retry.after_ms) == (disposition, after_ms)


async def test_a_cancellation_passes(call):
    started = asyncio.Event()

    async def wait():
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(call(wait))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_blocking_tool_runs_on_a_thread(call):
    def where():
        return threading.get_ident()

    async def here():
        return threading.get_ident()

    assert (await call(where)).outcome.value != threading.get_ident()
    assert (await call(here)).outcome.value == threading.get_ident()


async def test_a_wrapped_coroutine_function_is_awaited(call):
    async def answer(text: str) -> str:
        return text * 2

    @functools.wraps(answer)
    def wrapper(*arguments, **named):
        return answer(*arguments, **named)

    assert (await call(wrapper, text="ab")).outcome.value == "abab"


def test_the_manifest_is_made_of_the_function_and_the_options():
    @tool
    async def add_note(text: str):
        """Remember one line.

        More.
        """

    @tool(
        name="note-list",
        description="Lists.",
        tool_id="acme.list",
        activation="internal",
        scheduling="serial",
        retry_policy=ToolRetryPolicy(mode="safe", max_attempts=3),
        bindings={"icon": "list"},
    )
    def list_notes(): ...

    provider = tool_provider("notes", add_note, list_notes)
    assert isinstance(provider, ToolProvider)
    plain, full = provider.manifests()
    assert (plain.tool_id, plain.name, plain.description) == ("notes.add_note", "add_note", "Remember one line.")
    assert (plain.scheduling, plain.retry_policy.mode, plain.activation) == ("parallel", "never", "always")
    assert (full.tool_id, full.name, full.description) == ("acme.list", "note-list", "Lists.")
    assert (full.scheduling, full.retry_policy.max_attempts, full.activation) == ("serial", 3, "internal")
    assert full.bindings == {"icon": "list"}


async def test_a_decorated_function_is_still_itself():
    @tool
    async def double(text: str) -> str:
        return text * 2

    assert await double("ab") == "abab"
    assert mark_of(double) is not None
    assert mark_of(print) is None


async def test_static_and_class_methods_may_be_tools(call):
    class Plugin:
        @tool
        @staticmethod
        def still(text: str):
            return text

        @classmethod
        @tool
        def named(cls, text: str):
            return f"{cls.__name__} {text}"

    assert (await call(Plugin().still, text="a")).outcome.value == "a"
    assert (await call(Plugin().named, text="a")).outcome.value == "Plugin a"


def test_what_cannot_be_a_tool_is_refused_where_it_is_written():
    def generate():
        yield 1

    with pytest.raises(TypeError, match="tool 'generate' is a generator"):
        tool(generate)
    with pytest.raises(ValueError, match="a tool cannot be called 'no spaces'"):
        tool(name="no spaces")(print)
    with pytest.raises(ValueError, match="a tool cannot be called"):
        tool(name="x" * 65)(print)


def test_two_tools_of_one_name_or_id_are_refused():
    def first(): ...

    @tool(name="first", tool_id="other")
    def second(): ...

    @tool(name="third", tool_id="p.first")
    def third(): ...

    with pytest.raises(ValueError, match="two tools are called 'first'"):
        tool_provider("p", first, second)
    with pytest.raises(ValueError, match=r"two tools are called 'p\.first'"):
        tool_provider("p", first, third)


async def test_an_unknown_tool_is_a_key_error(call_context: Any):
    provider = tool_provider("p")
    with pytest.raises(KeyError):
        provider.contract("p.gone")
    with pytest.raises(KeyError):
        await provider.execute("p.gone", {}, call_context)
