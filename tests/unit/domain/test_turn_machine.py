"""The turn machine, driven step by step with a scripted driver."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import pytest

from lash_host.domain.message import (
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    is_prompt_resume_safe,
)
from lash_host.domain.model import ModelResponse, TerminalReason
from lash_host.domain.prompt import PromptLayer
from lash_host.domain.protocol import CallTools, CheckpointKind, Complete, StopTurn, ToolCallResult
from lash_host.domain.tool import ToolOutput
from lash_host.domain.turn import AssistantMessage, FinalValue, FrameSwitch, Stopped, StopReason, TurnIssue
from lash_host.domain.turn_machine import (
    CallModel,
    CancelRequested,
    CheckpointDelivered,
    EnvironmentSynced,
    Finish,
    FrameSwitchRequested,
    ModelAnswered,
    ModelFailed,
    RunCheckpoint,
    RunTools,
    StepFailed,
    SyncEnvironment,
    ToolsFinished,
    advance,
    start_turn,
)
from lash_host.domain.usage import TokenUsage

USAGE = TokenUsage(input_tokens=10, output_tokens=2)
ISSUE = TurnIssue(kind="plugin", code="broken", message="no", plugin_id="p")


class ScriptedDriver:
    """Calls tools where the answer does, completes otherwise; tells what it was shown."""

    def __init__(self, *, stop_after_tools: StopTurn | None = None, step: object = None) -> None:
        self.stop_after_tools, self.step = stop_after_tools, step
        self.iterations: list[int] = []
        self.choice: Literal["auto", "none", "required"] = "auto"

    def preamble(self) -> PromptLayer:
        return PromptLayer()

    def tool_choice(self, view):
        self.iterations.append(view.iteration)
        return self.choice

    def on_response(self, response, view):
        if self.step is not None:
            return self.step
        if response.tool_calls:
            return CallTools(parts=response.parts)
        return Complete(outcome=AssistantMessage(text=response.text), parts=response.parts)

    def on_tool_results(self, results, view):
        self.seen_by_results = [message.role for message in view.new_messages]
        return self.stop_after_tools


def answer(*calls: str, text: str = "", reason: TerminalReason = TerminalReason.STOP) -> ModelAnswered:
    spoken = (TextPart(text=text),) if text else ()
    parts = (*spoken, *(ToolCallPart(call_id=call, tool_name=f"tool_{call}") for call in calls))
    return ModelAnswered(response=ModelResponse(parts=parts, usage=USAGE, terminal_reason=reason))


def finished(message: Message) -> ToolsFinished:
    return ToolsFinished(
        results=[
            ToolCallResult(
                call=call,
                output=ToolOutput.success(call.call_id),
                parts=(ToolResultPart(call_id=call.call_id, tool_name=call.tool_name, text=f"did {call.call_id}"),),
            )
            for call in message.tool_calls
        ]
    )


@pytest.fixture
def driver() -> ScriptedDriver:
    return ScriptedDriver()


@pytest.fixture
def begin(say):
    """Start a turn and bring it to its first model call."""

    def start(driver, *, max_iterations=None):
        state = start_turn(turn_id="t", max_iterations=max_iterations, messages=[say("hi")])
        return advance(state, EnvironmentSynced(), driver)

    return start


def run(state, driver, *events):
    for event in events:
        state = advance(state, event, driver)
    return state


def roles_and_texts(state) -> list[tuple[str, str]]:
    return [(message.role.value, message.text) for message in state.new_messages]


def test_a_plain_answer_goes_through_the_checkpoint_and_is_added_once(driver, say):
    state = start_turn(turn_id="t", max_iterations=3, messages=[say("hi")])
    assert state.waiting_for == SyncEnvironment(iteration=1)
    driver.choice = "required"
    state = advance(state, EnvironmentSynced(), driver)
    assert state.waiting_for == CallModel(iteration=1, tool_choice="required")
    state = advance(state, answer(text="hello"), driver)
    assert state.waiting_for == RunCheckpoint(kind=CheckpointKind.BEFORE_COMPLETION)
    assert state.outcome is None
    state = advance(state, CheckpointDelivered(), driver)
    assert state.waiting_for == Finish(outcome=AssistantMessage(text="hello"))
    assert roles_and_texts(state) == [("user", "hi"), ("assistant", "hello")]
    assert (state.usage, state.last_usage, state.issues, state.iteration) == (USAGE, USAGE, (), 1)


def test_tools_run_and_their_results_come_back_in_one_user_message(begin, driver):
    state = advance(begin(driver), answer("1", "2", text="I look."), driver)
    assert isinstance(state.waiting_for, RunTools)
    assert [call.call_id for call in state.waiting_for.message.tool_calls] == ["1", "2"]
    state = advance(state, finished(state.waiting_for.message), driver)
    assert state.waiting_for == RunCheckpoint(kind=CheckpointKind.AFTER_WORK)
    assert driver.seen_by_results == [Role.USER, Role.ASSISTANT, Role.USER]
    results = state.new_messages[-1]
    assert [(part.call_id, part.text) for part in results.parts] == [("1", "did 1"), ("2", "did 2")]
    state = run(state, driver, CheckpointDelivered(), EnvironmentSynced(), answer(text="done"), CheckpointDelivered())
    assert state.outcome == AssistantMessage(text="done")
    assert [message.role for message in state.new_messages] == [Role.USER, Role.ASSISTANT, Role.USER, Role.ASSISTANT]
    assert is_prompt_resume_safe(state.new_messages)
    assert driver.iterations == [1, 2]
    assert (state.usage, state.last_usage) == (USAGE + USAGE, USAGE)


def test_message_ids_are_of_the_turn_and_unique(begin, driver):
    state = advance(begin(driver), answer("1"), driver)
    state = run(state, driver, finished(state.waiting_for.message), CheckpointDelivered(), EnvironmentSynced())
    state = run(state, driver, answer(text="done"), CheckpointDelivered())
    assert [message.message_id for message in state.new_messages[1:]] == ["t:2", "t:3", "t:4"]


def test_what_is_delivered_after_work_comes_before_the_next_call(begin, driver, say):
    state = advance(begin(driver), answer("1"), driver)
    state = run(state, driver, finished(state.waiting_for.message), CheckpointDelivered(messages=[say("and b")]))
    assert state.waiting_for == SyncEnvironment(iteration=2)
    assert roles_and_texts(state)[-1] == ("user", "and b")


def test_what_is_delivered_before_completion_keeps_the_answer_and_goes_on(begin, driver, say):
    state = run(begin(driver), driver, answer(text="first"), CheckpointDelivered(messages=[say("wait")]))
    assert state.waiting_for == SyncEnvironment(iteration=2)
    assert state.completion is None
    assert roles_and_texts(state) == [("user", "hi"), ("assistant", "first"), ("user", "wait")]
    state = run(state, driver, EnvironmentSynced(), answer(text="first"), CheckpointDelivered())
    assert roles_and_texts(state)[2:] == [("user", "wait"), ("assistant", "first")]
    assert state.outcome == AssistantMessage(text="first")


def test_an_answer_that_leaves_nothing_behind_is_not_kept_when_the_turn_goes_on(begin, say):
    driver = ScriptedDriver(step=Complete(outcome=FinalValue(value=3)))
    state = run(begin(driver), driver, answer(text="x"), CheckpointDelivered(messages=[say("wait")]))
    assert roles_and_texts(state) == [("user", "hi"), ("user", "wait")]


def test_the_limit_is_reached_after_the_tools_ran(begin, driver):
    state = advance(begin(driver, max_iterations=1), answer("1"), driver)
    state = advance(state, finished(state.waiting_for.message), driver)
    assert state.outcome == Stopped(stop_reason=StopReason.MAX_TURNS)
    text = "Turn limit reached (1) before a final assistant response."
    assert roles_and_texts(state)[-1] == ("system", text)
    assert [(issue.kind, issue.code, issue.message) for issue in state.issues] == [("runtime", "max_turns", text)]
    assert is_prompt_resume_safe(state.new_messages)


def test_the_limit_lets_a_last_answer_through(begin, driver):
    state = advance(begin(driver, max_iterations=2), answer("1"), driver)
    state = run(state, driver, finished(state.waiting_for.message), CheckpointDelivered(), EnvironmentSynced())
    state = run(state, driver, answer(text="done"), CheckpointDelivered())
    assert state.outcome == AssistantMessage(text="done")


def test_going_on_before_completion_counts_against_the_limit(begin, driver, say):
    state = run(begin(driver, max_iterations=1), driver, answer(text="first"), CheckpointDelivered(messages=[say("b")]))
    assert state.outcome == Stopped(stop_reason=StopReason.MAX_TURNS)
    assert roles_and_texts(state)[:-1] == [("user", "hi"), ("assistant", "first"), ("user", "b")]
    assert state.new_messages[-1].role is Role.SYSTEM


def test_a_cancel_while_tools_run_answers_their_calls(begin, driver):
    state = run(begin(driver), driver, answer("1", "2"), CancelRequested())
    assert state.outcome == Stopped(stop_reason=StopReason.CANCELLED)
    parts = state.new_messages[-1].parts
    assert [(part.call_id, part.tool_name, part.text, part.is_error) for part in parts] == [
        ("1", "tool_1", "[Tool execution cancelled]", True),
        ("2", "tool_2", "[Tool execution cancelled]", True),
    ]
    assert is_prompt_resume_safe(state.new_messages)
    assert state.issues == ()


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_cancel_ends_the_turn_wherever_it_waits(steps, driver, say):
    state = start_turn(turn_id="t", max_iterations=None, messages=[say("hi")])
    state = run(state, driver, *[EnvironmentSynced(), answer(text="x")][:steps], CancelRequested())
    assert state.outcome == Stopped(stop_reason=StopReason.CANCELLED)
    assert roles_and_texts(state) == [("user", "hi")]


@pytest.mark.parametrize(
    ("reason", "stop", "code"),
    [
        (TerminalReason.OUTPUT_LIMIT, StopReason.INCOMPLETE, "output_limit"),
        (TerminalReason.CONTEXT_OVERFLOW, StopReason.PROVIDER_ERROR, "context_overflow"),
        (TerminalReason.CONTENT_FILTER, StopReason.PROVIDER_ERROR, "content_filter"),
        (TerminalReason.PROVIDER_ERROR, StopReason.PROVIDER_ERROR, "provider_error"),
        (TerminalReason.CANCELLED, StopReason.CANCELLED, None),
    ],
)
def test_answers_that_did_not_end_well_stop_the_turn_without_a_checkpoint(begin, driver, reason, stop, code):
    state = advance(begin(driver), answer("1", text="half", reason=reason), driver)
    assert state.outcome == Stopped(stop_reason=stop)
    assert [issue.code for issue in state.issues] == ([code] if code else [])
    assert roles_and_texts(state) == [("user", "hi")]
    assert state.usage == USAGE


@pytest.mark.parametrize("reason", [TerminalReason.STOP, TerminalReason.TOOL_USE, TerminalReason.UNKNOWN])
def test_other_answers_are_the_drivers_to_judge(begin, driver, reason):
    assert isinstance(advance(begin(driver), answer("1", reason=reason), driver).waiting_for, RunTools)


def test_a_failed_model_call_stops_the_turn_without_a_checkpoint(begin, driver):
    failed = ModelFailed(message="no", kind="quota", code="model_call_failed", retryable=True)
    state = advance(begin(driver), failed, driver)
    assert state.outcome == Stopped(stop_reason=StopReason.PROVIDER_ERROR)
    assert state.issues == (
        TurnIssue(
            kind="model_call", code="model_call_failed", message="no", retryable=True, model_error_kind="quota"
        ),
    )  # fmt: skip
    assert state.usage.is_zero


def test_a_failure_of_a_plugin_stops_the_turn(begin, driver, say):
    state = start_turn(turn_id="t", max_iterations=None, messages=[say("hi")])
    failed = advance(state, StepFailed(issue=ISSUE), driver)
    assert (failed.outcome, failed.issues) == (Stopped(stop_reason=StopReason.RUNTIME_ERROR), (ISSUE,))
    failed = run(begin(driver), driver, answer(text="x"), StepFailed(issue=ISSUE))
    assert (failed.outcome, failed.issues) == (Stopped(stop_reason=StopReason.RUNTIME_ERROR), (ISSUE,))
    assert failed.completion is None


def test_a_driver_may_stop_at_an_answer_or_at_results(begin):
    stop = StopTurn(outcome=Stopped(stop_reason=StopReason.TOOL_FAILURE), issue=ISSUE)
    driver = ScriptedDriver(step=stop)
    state = advance(begin(driver), answer(text="x"), driver)
    assert (state.outcome, state.issues) == (stop.outcome, (ISSUE,))
    driver = ScriptedDriver(stop_after_tools=StopTurn(outcome=FrameSwitch(frame_id="f2", task="go")))
    state = advance(begin(driver, max_iterations=1), answer("1"), driver)
    state = advance(state, finished(state.waiting_for.message), driver)
    assert state.outcome == FrameSwitch(frame_id="f2", task="go")
    assert is_prompt_resume_safe(state.new_messages)


@pytest.mark.parametrize("synced", [False, True])
def test_the_protocol_may_switch_frames_instead_of_asking(synced, driver, say):
    state = start_turn(turn_id="t", max_iterations=None, messages=[say("hi")])
    events = [EnvironmentSynced()] if synced else []
    state = run(state, driver, *events, FrameSwitchRequested(frame_id="f2", task="go"))
    assert state.outcome == FrameSwitch(frame_id="f2", task="go")


def test_the_final_text_is_added_where_the_last_message_does_not_say_it(begin):
    parts = (ReasoningPart(text="hm"), TextPart(text="x"))
    driver = ScriptedDriver(step=Complete(outcome=AssistantMessage(text="x"), parts=parts))
    state = run(begin(driver), driver, answer(text="x"), CheckpointDelivered())
    assert roles_and_texts(state) == [("user", "hi"), ("assistant", "x")]


@pytest.mark.parametrize("transient", [False, True])
def test_the_final_text_is_not_added_twice(transient, say):
    said = say("x", role=Role.ASSISTANT, message_id="m")
    note = [say("note", transient=True)] if transient else []
    driver = ScriptedDriver(step=Complete(outcome=AssistantMessage(text="x")))
    state = start_turn(turn_id="t", max_iterations=None, messages=[say("hi"), said, *note])
    state = run(state, driver, EnvironmentSynced(), answer(text="x"), CheckpointDelivered())
    assert [message.text for message in state.new_messages].count("x") == 1


def test_an_empty_final_text_adds_no_message(begin):
    driver = ScriptedDriver(step=Complete(outcome=AssistantMessage(text="")))
    state = run(begin(driver), driver, answer(), CheckpointDelivered())
    assert roles_and_texts(state) == [("user", "hi")]
    assert state.outcome == AssistantMessage(text="")


EVENTS = [
    EnvironmentSynced(),
    FrameSwitchRequested(frame_id="f2", task="go"),
    answer(text="x"),
    ModelFailed(message="no", kind="unknown", code="c", retryable=False),
    ToolsFinished(results=()),
    CheckpointDelivered(),
]
FITTING: dict[str, Sequence[int]] = {
    "SyncEnvironment": (0, 1),
    "CallModel": (1, 2, 3),
    "RunTools": (4,),
    "RunCheckpoint": (5,),
    "Finish": (),
}


def _waiting_states(say):
    driver = ScriptedDriver()
    first = start_turn(turn_id="t", max_iterations=None, messages=[say("hi")])
    asked = advance(first, EnvironmentSynced(), driver)
    checked = advance(asked, answer(text="x"), driver)
    return [first, asked, advance(asked, answer("1"), driver), checked, advance(checked, CheckpointDelivered(), driver)]


def test_only_events_that_answer_what_is_waited_for_change_anything(driver, say):
    for state, (number, event) in itertools.product(_waiting_states(say), enumerate(EVENTS)):
        fits = number in FITTING[type(state.waiting_for).__name__]
        assert (advance(state, event, driver) != state) is fits, (state.waiting_for, event)


def test_nothing_is_accepted_after_the_end(driver, say):
    ended = _waiting_states(say)[-1]
    assert all(
        advance(ended, event, driver) is ended for event in [*EVENTS, CancelRequested(), StepFailed(issue=ISSUE)]
    )


@pytest.mark.parametrize("end", [CancelRequested, lambda after: StepFailed(issue=ISSUE, after=after)])
def test_an_answer_that_came_before_the_end_counts_though_nothing_comes_of_it(begin, driver, end):
    state = advance(begin(driver), end(after=answer("1", text="secret")), driver)
    assert isinstance(state.outcome, Stopped)
    assert (state.usage, state.last_usage) == (USAGE, USAGE)
    assert roles_and_texts(state) == [("user", "hi")]


@pytest.mark.parametrize("end", [CancelRequested, lambda after: StepFailed(issue=ISSUE, after=after)])
def test_results_that_came_before_the_end_stay_in_the_conversation(begin, driver, end):
    state = advance(begin(driver), answer("1", "2"), driver)
    state = advance(state, end(after=finished(state.waiting_for.message)), driver)
    assert isinstance(state.outcome, Stopped)
    assert [part.text for part in state.new_messages[-1].parts] == ["did 1", "did 2"]
    assert is_prompt_resume_safe(state.new_messages)


def test_an_unusable_answer_costs_what_it_cost(begin, driver):
    failed = ModelFailed(message="no", kind="unknown", code="plugin", retryable=False, usage=USAGE)
    state = advance(begin(driver), failed, driver)
    assert (state.usage, state.last_usage) == (USAGE, USAGE)
