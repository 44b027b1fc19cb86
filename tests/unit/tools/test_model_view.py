"""What the model is shown of a call."""

from __future__ import annotations

import pytest

from lash_host.domain.message import ImagePart, TextPart, ToolResultPart
from lash_host.domain.tool import ToolOutput
from lash_host.errors import PluginHookError

IMAGE = ImagePart(blob_ref="ab" * 32, media_type="image/png")


def result(text, *, call_id="c1", is_error=False):
    return ToolResultPart(call_id=call_id, tool_name="read", text=text, is_error=is_error)


@pytest.fixture
def show(stage, make_part):
    """Run a call that gives a value, and give what the model sees of it."""

    def run(value=None, *, projected=None):
        async def tool(_arguments, _context):
            return value if isinstance(value, ToolOutput) else ToolOutput.success(value)

        stage.hooks.projected = projected
        return stage.add("read", tool).run(make_part("read", path="x")).results[0].parts

    return run


def test_by_default_the_value_as_text(show):
    assert show({"a": 1}) == (result('{"a":1}'),)


def test_a_failure_is_an_error(show):
    assert show(ToolOutput.failure("no file", code="not_found")) == (
        result("[Tool execution failed] not_found: no file", is_error=True),
    )


def test_a_long_text_is_cut_for_the_model_alone(show, stage):
    (shown,) = show("x" * 100_000)
    assert len(shown.text.encode()) <= 16_384
    assert "bytes left out" in shown.text
    assert stage.activities[-1].output == ToolOutput.success("x" * 100_000)


def test_the_projector_sees_the_whole_output(show, stage):
    show("x" * 100_000, projected=[result("short")])
    (context,) = stage.hooks.of("project")
    assert (context.session_id, context.call_id, context.tool_name) == ("s1", "c1", "read")
    assert (context.arguments, context.output) == ({"path": "x"}, ToolOutput.success("x" * 100_000))


@pytest.mark.parametrize(
    ("projected", "shown"),
    [
        ([result("short"), IMAGE], (result("short"), IMAGE)),
        ([IMAGE, result("short")], (IMAGE, result("short"))),
        ([IMAGE], (result("(see the image)"), IMAGE)),
        ([], (result("(no output)"),)),
        ([result("a"), IMAGE, result("b", is_error=True)], (result("a\nb", is_error=True), IMAGE)),
    ],
)
def test_the_projectors_parts_with_exactly_one_result(show, projected, shown):
    assert show("whatever", projected=projected) == shown


def test_a_failing_projector_is_what_the_model_sees(show):
    error = PluginHookError(plugin_id="p", hook="lash_project_tool_result", problem="boom")
    assert show("fine", projected=error) == (
        result("plugin 'p' failed in lash_project_tool_result: boom", is_error=True),
    )


@pytest.mark.parametrize("stray", [result("x", call_id="other"), TextPart(text="x")])
def test_parts_that_would_break_the_conversation_are_refused(show, stray):
    (shown,) = show("fine", projected=[stray])
    assert shown.is_error
    assert (shown.call_id, "does not belong to this call" in shown.text) == ("c1", True)


def test_a_call_that_was_not_made_is_shown_too(stage, make_part):
    stage.hooks.projected = lambda context: [result(f"seen: {context.output.outcome.code}")]
    parts = stage.run(make_part("read")).results[0].parts
    assert parts == (result("seen: tool_unavailable"),)
