"""What the default protocol makes of answers and results."""

from __future__ import annotations

import pytest

from lash_host import (
    CallTools,
    Complete,
    FinishControl,
    Message,
    ModelResponse,
    ReasoningPart,
    Role,
    StopTurn,
    SwitchFrameControl,
    TextPart,
    ToolCallPart,
    ToolCallResult,
    ToolOutput,
    ToolResultPart,
    ToolSuccess,
    TurnView,
)
from lash_host_protocol_default.driver import NativeToolDriver

EMPTY = TurnView(iteration=1, new_messages=())
CALL = ToolCallPart(call_id="c1", tool_name="add", arguments={"a": 1})


@pytest.fixture
def driver() -> NativeToolDriver:
    return NativeToolDriver(instructions="Do well.", tool_choice="auto")


def result(output: ToolOutput, call: ToolCallPart = CALL) -> ToolCallResult:
    part = ToolResultPart(call_id=call.call_id, tool_name=call.tool_name, text="x")
    return ToolCallResult(call=call, output=output, parts=(part,))


def test_text_completes_the_turn_and_is_kept_if_it_goes_on(driver: NativeToolDriver) -> None:
    step = driver.on_response(ModelResponse(parts=(TextPart(text=" done \n"),)), EMPTY)
    assert isinstance(step, Complete)
    assert step.outcome.text == "done"
    assert step.parts == (TextPart(text="done"),)


def test_a_final_answer_leaves_commentary_out(driver: NativeToolDriver) -> None:
    parts = (TextPart(text="thinking…", phase="commentary"), TextPart(text="42", phase="final_answer"))
    assert driver.on_response(ModelResponse(parts=parts), EMPTY).outcome.text == "42"


def test_tool_calls_keep_the_order_of_the_answer(driver: NativeToolDriver) -> None:
    parts = (TextPart(text="let me see"), CALL, ReasoningPart(text="hm"))
    step = driver.on_response(ModelResponse(parts=parts), EMPTY)
    assert step == CallTools(parts=parts)


def test_nothing_at_all_is_an_error(driver: NativeToolDriver) -> None:
    step = driver.on_response(ModelResponse(), EMPTY)
    assert isinstance(step, StopTurn)
    assert (step.outcome.stop_reason, step.issue.code) == ("provider_error", "empty_response")


def test_nothing_after_tools_is_a_silent_finish(driver: NativeToolDriver) -> None:
    results = Message(message_id="m", role=Role.USER, parts=result(ToolOutput.success(1)).parts)
    step = driver.on_response(ModelResponse(), TurnView(iteration=2, new_messages=(results,)))
    assert isinstance(step, Complete)
    assert step.outcome.text == ""


def test_reasoning_alone_is_an_empty_answer(driver: NativeToolDriver) -> None:
    step = driver.on_response(ModelResponse(parts=(ReasoningPart(text="so…"),)), EMPTY)
    assert isinstance(step, Complete)
    assert (step.outcome.text, step.parts) == ("", ())


def test_results_go_back_to_the_model(driver: NativeToolDriver) -> None:
    assert driver.on_tool_results([result(ToolOutput.success(1)), result(ToolOutput.failure("no"))], EMPTY) is None


def test_the_first_control_that_succeeded_wins(driver: NativeToolDriver) -> None:
    failed = ToolOutput(outcome=ToolOutput.failure("no").outcome, control=FinishControl(value=0))
    first = ToolOutput(outcome=ToolSuccess(), control=FinishControl(value=1))
    second = ToolOutput(outcome=ToolSuccess(), control=SwitchFrameControl(frame_id="f", task="t"))
    stop = driver.on_tool_results([result(failed), result(first), result(second)], EMPTY)
    assert (stop.outcome.kind, stop.outcome.value, stop.outcome.tool_name) == ("tool_value", 1, "add")


def test_a_tool_can_switch_frames_or_submit_an_error(driver: NativeToolDriver) -> None:
    switch = ToolOutput(outcome=ToolSuccess(), control=SwitchFrameControl(frame_id="f", task="t"))
    assert driver.on_tool_results([result(switch)], EMPTY).outcome.frame_id == "f"
    error = ToolOutput(outcome=ToolSuccess(), control=FinishControl(value="bad", is_error=True))
    outcome = driver.on_tool_results([result(error)], EMPTY).outcome
    assert (outcome.stop_reason, outcome.value) == ("tool_error", "bad")


def test_required_tools_are_required_once() -> None:
    driver = NativeToolDriver(instructions="", tool_choice="required")
    assert driver.tool_choice(EMPTY) == "required"
    assert driver.tool_choice(TurnView(iteration=2, new_messages=())) == "auto"


def test_the_preamble_holds_the_instructions(driver: NativeToolDriver) -> None:
    assert [item.content for item in driver.preamble().contributions] == ["Do well."]
