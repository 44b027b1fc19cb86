"""Running a turn in front of a person: its answer to standard output, what happens meanwhile to standard error."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Literal

from lash_host.cli.failures import say_error, say_warning
from lash_host.cli.render import arguments_line, counted, duration_text, tokens_line
from lash_host.cli.spinner import Spinner
from lash_host.cli.terminal import Style, Terminal, one_line

if TYPE_CHECKING:
    from lash_host.domain.observation import ToolCallCompleted, ToolCallStarted, TurnActivity
    from lash_host.domain.turn import TurnIssue, TurnResult
    from lash_host.runtime.runtime import LashRuntime

__all__ = ["Answer", "TurnPrinter", "interrupting", "run_turn", "say_outcome", "usage_line"]

Answer = Literal["streamed", "settled", "hidden"]

_PATIENCE = 2
_STOP_KINDS = {"provider_error": "model_call", "invalid_input": "input_validation", "plugin_abort": "plugin"}


class TurnPrinter:
    """Prints a turn as it happens.

    The answer is written as it comes. It is a preview until the turn is over: what a retry throws away stays on the
    screen, and where the settled text differs from what was streamed last, the settled text follows.

    Args:
        terminal: Where to.
        answer: Whether the answer is written as it comes, when it is settled, or not at all.
        tells: Whether tool calls, retries and the like are told.
        verbose: Whether reasoning is shown.
    """

    def __init__(self, terminal: Terminal, *, answer: Answer, tells: bool, verbose: bool) -> None:
        self._terminal = terminal
        self._streams, self._is_hidden = answer == "streamed", answer == "hidden"
        self._tells, self._verbose = tells, verbose
        self._spinner = Spinner(terminal)
        self._streamed = ""
        self._is_reasoning = False
        self._calls: dict[str, str] = {}

    def show(self, activity: TurnActivity) -> None:
        """Print an activity."""
        self._spinner.stop()
        match activity.kind:
            case "model_request_started":
                self._begin_answer()
                self._spinner.start(f"waiting for {activity.model}")
            case "assistant_prose_delta":
                self._prose(activity.text)
            case "reasoning_delta":
                self._reasoning(activity.text)
            case "tool_call_started":
                self._call_started(activity)
            case "tool_call_completed":
                self._call_completed(activity)
            case "retry_status":
                wait = duration_text(activity.wait_s * 1000)
                text = f"attempt {activity.attempt} of {activity.max_attempts} failed, next in {wait}: "
                self._tell(text + one_line(activity.reason), style="yellow")
                self._begin_answer()
            case "plugin_runtime":
                event = json.dumps(activity.event, ensure_ascii=False)
                self._tell(one_line(f"{activity.plugin_id}: {event}", limit=200), style="dim")
            case "usage" | "error" | "turn_finished":
                pass

    def finish(self, result: TurnResult) -> None:
        """Print what is still missing of the answer."""
        text = "" if self._is_hidden else _answer(result)
        if not self._streams or text != self._streamed:
            self._terminal.end_line()
            self._terminal.write(text)
        self._terminal.end_line()

    def close(self) -> None:
        """Stop whatever is still moving on the terminal."""
        self._spinner.stop()

    def _begin_answer(self) -> None:
        self._streamed, self._is_reasoning = "", False
        if self._streams:
            self._terminal.end_line()

    def _prose(self, text: str) -> None:
        self._streamed += text
        self._is_reasoning = False
        if self._streams:
            self._terminal.write(text)

    def _reasoning(self, text: str) -> None:
        if self._verbose:
            self._tell(one_line(text), style="dim")
        elif not self._is_reasoning and self._terminal.err_is_terminal:
            self._tell(f"thinking{self._terminal.mark('more')}", style="dim")
        self._is_reasoning = True

    def _call_started(self, activity: ToolCallStarted) -> None:
        terminal = self._terminal
        room = max(terminal.columns - len(activity.tool_name) - 20, 20)
        arguments = arguments_line(activity.arguments, limit=room, more=terminal.mark("more"))
        self._calls[activity.call_id] = f"{activity.tool_name} {arguments}".rstrip()
        self._tell(f"{terminal.mark('call')} {self._calls[activity.call_id]}", style="cyan")
        self._spinner.start(f"{activity.tool_name} is running")

    def _call_completed(self, activity: ToolCallCompleted) -> None:
        name = self._calls.pop(activity.call_id, activity.tool_name)
        name = name if self._calls else activity.tool_name
        took = duration_text(activity.duration_ms)
        outcome = activity.output.outcome
        match outcome.status:
            case "success":
                self._tell(f"{self._terminal.mark('done')} {name} {took}", style="green")
            case "failure":
                text = f"{self._terminal.mark('failed')} {name} [{outcome.code}] {one_line(outcome.message, limit=200)}"
                self._tell(text, style="yellow")
            case "cancelled":
                self._tell(f"{self._terminal.mark('failed')} {name} cancelled", style="yellow")
        if self._calls:
            self._spinner.start(f"{counted(len(self._calls), 'tool call')} running")

    def _tell(self, text: str, *, style: Style) -> None:
        if self._tells:
            self._terminal.say(text, style=style)


async def run_turn(runtime: LashRuntime, text: str, printer: TurnPrinter) -> TurnResult:
    """Run a turn and print it. Ctrl-C cancels it: it is committed as cancelled and its result given.

    Raises:
        LashError: As `LashRuntime.turn` does.
    """
    result: TurnResult | None = None
    try:
        with interrupting(runtime.cancel_running_turn):
            async with aclosing(runtime.stream(text)) as activities:
                async for activity in activities:
                    printer.show(activity)
                    if activity.kind == "turn_finished":
                        result = activity.result
    finally:
        printer.close()
    assert result is not None  # noqa: S101  the last activity of a turn has it
    printer.finish(result)
    return result


@contextmanager
def interrupting(cancel: Callable[[], bool]) -> Iterator[None]:
    """Make Ctrl-C call ``cancel`` while the body runs, on the running loop.

    Args:
        cancel: Asks what runs to end; False where nothing does. Then, and at a second Ctrl-C, the task itself is
            cancelled; a third is a `KeyboardInterrupt` at once, even where something blocks the loop.

    Raises:
        KeyboardInterrupt: The task was cancelled by Ctrl-C.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  only coroutines come here
    presses = 0
    was_asked = is_forced = is_over = False

    def ask() -> None:
        nonlocal was_asked, is_forced
        if is_over:
            return
        if not was_asked and cancel():
            was_asked = True
        else:
            is_forced = True
            task.cancel()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses > _PATIENCE:
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(ask)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except asyncio.CancelledError:
        if is_forced:
            raise KeyboardInterrupt from None
        raise
    finally:
        is_over = True
        signal.signal(signal.SIGINT, before)


def say_outcome(terminal: Terminal, result: TurnResult) -> None:
    """Say why a turn stopped, and what went wrong on the way."""
    stopping = None if result.is_success else _stopping_issue(result)
    for issue in result.issues:
        if issue is not stopping:
            say_warning(terminal, issue.code, _with_plugin(issue))
    if result.is_success:
        return
    reason = str(result.stop_reason)
    if stopping is None:
        message = "the turn was cancelled" if reason == "cancelled" else f"the turn stopped: {reason}"
        say_error(terminal, reason, message + _value_of(result))
    else:
        say_error(terminal, stopping.code, f"{_with_plugin(stopping)} (the turn stopped: {reason})")


def usage_line(terminal: Terminal, result: TurnResult) -> str:
    """Write what a turn consumed, in a line."""
    dot = f" {terminal.mark('dot')} "
    tools = [counted(len(result.tool_calls), "tool call")] if result.tool_calls else []
    return dot.join([tokens_line(result.usage.model_dump()), *tools, duration_text(result.duration_ms)])


def _stopping_issue(result: TurnResult) -> TurnIssue | None:
    """Give the issue that ended the turn: the last one of the kind that its stop reason is about."""
    if result.stop_reason in {"cancelled", "submitted_error"}:
        return None
    wanted = _STOP_KINDS.get(str(result.stop_reason))
    fitting = [issue for issue in result.issues if issue.kind == wanted]
    issues = fitting or [*result.issues]
    return issues[-1] if issues else None


def _with_plugin(issue: TurnIssue) -> str:
    if issue.plugin_id is None or repr(issue.plugin_id) in issue.message:
        return issue.message
    return f"plugin {issue.plugin_id!r}: {issue.message}"


def _value_of(result: TurnResult) -> str:
    value = getattr(result.outcome, "value", None)
    return "" if value is None else f": {json.dumps(value, ensure_ascii=False)}"


def _answer(result: TurnResult) -> str:
    """Give the text of a turn; where it ended with a value, the value as JSON."""
    value = getattr(result.outcome, "value", None)
    if result.text or not result.is_success or value is None:
        return result.text
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
