"""Running a turn in front of a person."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from lash_host.cli.turns import TurnPrinter, interrupting, run_turn, say_outcome, usage_line
from lash_host.domain.observation import (
    AssistantProseDelta,
    ModelRequestStarted,
    PluginRuntime,
    ReasoningProseDelta,
    RetryScheduled,
    ToolCallCompleted,
    ToolCallStarted,
    TurnFinished,
)
from lash_host.domain.tool import ToolCancelled, ToolOutput
from lash_host.domain.turn import (
    AssistantMessage,
    FinalValue,
    FrameSwitch,
    Stopped,
    StopReason,
    ToolValue,
    TurnIssue,
    TurnResult,
)
from lash_host.domain.usage import TokenUsage
from lash_host.errors import SessionBusy

_ASKED = ModelRequestStarted(iteration=1, model="offline/agent")


def _result(outcome=None, *, answer="", issues: Sequence[TurnIssue] = ()) -> TurnResult:
    return TurnResult(
        outcome=AssistantMessage(text=answer) if outcome is None else outcome,
        text=answer,
        usage=TokenUsage(input_tokens=1200, output_tokens=3),
        issues=tuple(issues),
        turn_id="turn",
        turn_index=1,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_ms=1500.0,
        head_revision=1,
    )


def _finished(result: TurnResult) -> TurnFinished:
    return TurnFinished(outcome=result.outcome, result=result)


class FakeRuntime:
    """Gives activities, and remembers whether it was asked to cancel."""

    def __init__(self, *activities, error=None):
        self._activities, self._error = activities, error
        self.cancelled = asyncio.Event()

    async def stream(self, text):
        for activity in self._activities:
            yield activity
        if self._error is not None:
            raise self._error

    def cancel_running_turn(self):
        self.cancelled.set()
        return True


def _run(fake, *activities, answer="streamed", tells=True, verbose=False) -> TurnResult:
    printer = TurnPrinter(fake.terminal, answer=answer, tells=tells, verbose=verbose)
    return asyncio.run(run_turn(FakeRuntime(*activities), "hi", printer))


def test_the_answer_goes_to_standard_output_and_the_rest_does_not(make_terminal):
    fake = make_terminal()
    call = ToolCallStarted(call_id="1", tool_name="read_file", arguments={"path": "README.md"})
    done = ToolCallCompleted(call_id="1", tool_name="read_file", output=ToolOutput.success("x"), duration_ms=1.24)
    said = [AssistantProseDelta(text="It says "), AssistantProseDelta(text="hello.")]

    result = _run(fake, _ASKED, call, done, _ASKED, *said, _finished(_result(answer="It says hello.")))

    assert result.text == "It says hello."
    assert fake.out == "It says hello.\n"
    assert fake.err == "→ read_file README.md\n✓ read_file 1.2 ms\n"


def test_marks_are_ascii_where_they_must_be(make_terminal):
    fake = make_terminal(encoding="ascii")
    call = ToolCallStarted(call_id="1", tool_name="a", arguments={})
    done = ToolCallCompleted(call_id="1", tool_name="a", output=ToolOutput.failure("no", code="bad"), duration_ms=1)

    _run(fake, call, done, _finished(_result(answer="x")))

    assert fake.err == "-> a\nfailed: a [bad] no\n"


def test_calls_that_run_together_are_told_apart(make_terminal):
    fake = make_terminal()
    calls = [ToolCallStarted(call_id=n, tool_name="read", arguments={"path": f"{n}.md"}) for n in "12"]
    first = ToolCallCompleted(call_id="2", tool_name="read", output=ToolOutput.success(), duration_ms=1)
    second = ToolCallCompleted(call_id="1", tool_name="read", output=ToolOutput(outcome=ToolCancelled()), duration_ms=2)

    _run(fake, *calls, first, second, _finished(_result()))

    assert fake.err.splitlines()[2:] == ["✓ read 2.md 1.0 ms", "✗ read cancelled"]


def test_prose_of_two_model_calls_does_not_run_together(make_terminal):
    fake = make_terminal()
    call = ToolCallStarted(call_id="1", tool_name="a", arguments={})

    _run(
        fake,
        _ASKED,
        AssistantProseDelta(text="I'll look."),
        call,
        _ASKED,
        AssistantProseDelta(text="Done."),
        _finished(_result(answer="Done.")),
    )

    assert fake.out == "I'll look.\nDone.\n"


def test_what_a_retry_threw_away_is_followed_by_the_whole_answer(make_terminal):
    fake = make_terminal()
    retry = RetryScheduled(attempt=1, max_attempts=4, wait_s=2.0, reason="lost\nit")

    _run(
        fake,
        _ASKED,
        AssistantProseDelta(text="half an"),
        retry,
        AssistantProseDelta(text="all of it"),
        _finished(_result(answer="all of it")),
    )

    assert fake.out == "half an\nall of it\n"
    assert fake.err == "attempt 1 of 4 failed, next in 2.0 s: lost it\n"


def test_where_the_settled_text_differs_it_follows(make_terminal):
    fake = make_terminal()

    _run(fake, _ASKED, AssistantProseDelta(text="my key is 123"), _finished(_result(answer="my key is ***")))

    assert fake.out == "my key is 123\nmy key is ***\n"


@pytest.mark.parametrize(("answer", "out"), [("settled", "all of it\n"), ("hidden", "")])
def test_an_answer_can_wait_or_be_left_out(make_terminal, answer, out):
    fake = make_terminal()

    _run(fake, AssistantProseDelta(text="all of"), _finished(_result(answer="all of it")), answer=answer, tells=False)

    assert fake.out == out


@pytest.mark.parametrize(
    ("outcome", "out"),
    [
        (FinalValue(value={"a": 1}), '{"a": 1}\n'),
        (ToolValue(tool_name="t", value="bare"), "bare\n"),
        (FinalValue(value=None), ""),
        (Stopped(stop_reason=StopReason.SUBMITTED_ERROR, value="x"), ""),
    ],
)
def test_a_value_is_an_answer_too(make_terminal, outcome, out):
    fake = make_terminal()

    _run(fake, _finished(_result(outcome)))

    assert fake.out == out


def test_a_turn_that_goes_on_in_another_frame_is_one_turn(make_terminal):
    fake = make_terminal()
    switched = TurnFinished(outcome=FrameSwitch(frame_id="f", task="t"))

    result = _run(fake, switched, _ASKED, AssistantProseDelta(text="x"), _finished(_result(answer="x")))

    assert result.text == "x"
    assert fake.out == "x\n"


@pytest.mark.parametrize(
    ("err", "verbose", "told"), [(False, False, ""), (True, False, "thinking…\n"), (False, True, "hmm\nso\n")]
)
def test_reasoning_is_a_mark_on_terminals_and_shown_on_request(make_terminal, err, verbose, told):
    fake = make_terminal(err=err, NO_COLOR="1")

    _run(fake, ReasoningProseDelta(text="hmm"), ReasoningProseDelta(text="so"), _finished(_result()), verbose=verbose)

    assert fake.err == told


def test_events_of_plugins_are_told_in_a_line(make_terminal):
    fake = make_terminal()

    _run(fake, PluginRuntime(plugin_id="p", event={"a": "b\nc"}), _finished(_result()))

    assert fake.err == 'p: {"a": "b\\nc"}\n'


def test_an_error_of_the_turn_passes(make_terminal):
    fake = make_terminal()
    runtime = FakeRuntime(_ASKED, error=SessionBusy("s", holder="somebody"))
    printer = TurnPrinter(fake.terminal, answer="streamed", tells=True, verbose=False)

    with pytest.raises(SessionBusy):
        asyncio.run(run_turn(runtime, "hi", printer))


def _issue(kind, code, message="broke", plugin_id=None) -> TurnIssue:
    return TurnIssue(kind=kind, code=code, message=message, plugin_id=plugin_id)


@pytest.mark.parametrize(
    ("outcome", "issues", "told"),
    [
        (None, [], []),
        (None, [_issue("plugin", "x", "odd", "p")], ["warning [x]: plugin 'p': odd"]),
        (None, [_issue("plugin", "x", "plugin 'p' failed", "p")], ["warning [x]: plugin 'p' failed"]),
        (
            StopReason.PROVIDER_ERROR,
            [_issue("model_call", "http", "500"), _issue("plugin", "y")],
            ["warning [y]: broke", "error [http]: 500 (the turn stopped: provider_error)"],
        ),
        (
            StopReason.MAX_TURNS,
            [_issue("runtime", "max_turns")],
            ["error [max_turns]: broke (the turn stopped: max_turns)"],
        ),
        (
            StopReason.CANCELLED,
            [_issue("plugin", "y")],
            ["warning [y]: broke", "error [cancelled]: the turn was cancelled"],
        ),
        (StopReason.INCOMPLETE, [], ["error [incomplete]: the turn stopped: incomplete"]),
    ],
)
def test_why_a_turn_stopped_is_one_line(make_terminal, outcome, issues, told):
    fake = make_terminal()
    stopped = None if outcome is None else Stopped(stop_reason=outcome)

    say_outcome(fake.terminal, _result(stopped, issues=issues))

    assert fake.err.splitlines() == told


def test_a_submitted_error_shows_its_value(make_terminal):
    fake = make_terminal()

    say_outcome(fake.terminal, _result(Stopped(stop_reason=StopReason.SUBMITTED_ERROR, value={"why": "é"})))

    assert fake.err == 'error [submitted_error]: the turn stopped: submitted_error: {"why": "é"}\n'


def test_what_a_turn_used(make_terminal):
    assert usage_line(make_terminal().terminal, _result()) == "1,200 in, 3 out tokens · 1.5 s"


async def _interrupted(cancel, waits_for: asyncio.Event) -> None:
    with interrupting(cancel):
        os.kill(os.getpid(), signal.SIGINT)
        await waits_for.wait()


def test_ctrl_c_asks_the_turn_to_end():
    asked: list[bool] = []

    async def main() -> None:
        done = asyncio.Event()

        def cancel() -> bool:
            asked.append(True)
            done.set()
            return True

        await _interrupted(cancel, done)

    before = signal.getsignal(signal.SIGINT)
    asyncio.run(main())

    assert asked == [True]
    assert signal.getsignal(signal.SIGINT) == before


def test_ctrl_c_with_nothing_to_end_cancels_the_task():
    async def main() -> None:
        await _interrupted(lambda: False, asyncio.Event())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_a_second_ctrl_c_cancels_the_task():
    async def main() -> None:
        def cancel() -> bool:
            os.kill(os.getpid(), signal.SIGINT)
            return True

        await _interrupted(cancel, asyncio.Event())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_a_third_ctrl_c_gets_through_to_what_blocks_the_loop():
    async def main() -> None:
        with interrupting(lambda: True):
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_a_cancellation_that_is_not_ours_stays_one():
    async def main() -> None:
        async def wait() -> None:
            with interrupting(lambda: True):
                await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
