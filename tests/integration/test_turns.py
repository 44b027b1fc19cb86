"""Turns, from their input to their commit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import BaseModel

from lash_host import (
    AbortTurn,
    EnqueueMessages,
    FinishControl,
    MissingCredential,
    ModelCallError,
    PluginMessage,
    Role,
    SessionBusy,
    SessionPlugin,
    Settings,
    SwitchFrameControl,
    TokenUsage,
    ToolOutput,
    ToolSuccess,
    TurnAborted,
    TurnCommitConflict,
    TurnInput,
    hookimpl,
    tool,
)
from lash_host.testing import ManualClock, ScriptedProvider, host_plugin, scripted_host, text, tool_call, tool_calls


class Count(BaseModel):
    value: int = 0


class CounterPlugin(SessionPlugin[Count]):
    @tool
    async def count(self, by: int = 1) -> int:
        """Count."""
        self.state.value += by
        return self.state.value

    @tool
    async def fail(self) -> None:
        """Fail."""
        raise RuntimeError("no luck")

    @tool
    async def finish(self, answer: str) -> ToolOutput:
        """End the turn."""
        return ToolOutput(outcome=ToolSuccess(value=answer), control=FinishControl(value=answer))

    @tool
    async def switch(self, frame_id: str, task: str) -> ToolOutput:
        """Go on elsewhere."""
        return ToolOutput(outcome=ToolSuccess(), control=SwitchFrameControl(frame_id=frame_id, task=task))


COUNTER = [host_plugin(CounterPlugin, plugin_id="counter")]


async def test_an_answer_is_committed_with_its_usage() -> None:
    async with scripted_host(text("hello")) as host, host.session("s") as session:
        result = await session.turn("hi")
        assert (result.outcome.kind, result.text, result.turn_index) == ("assistant_message", "hello", 1)
        assert result.usage.total_tokens == 168
        assert result.head_revision == 1
        assert [(m.role, m.text) for m in session.read_view().messages] == [("user", "hi"), ("assistant", "hello")]
        assert session.usage_report().usage.total_tokens == 168
        assert host.usage.sql("select text from usage.messages order by created_at, node_id").fetchall() != []


async def test_tools_run_and_their_results_reach_the_model_in_one_message() -> None:
    provider = ScriptedProvider(replies=[tool_calls(("count", {"by": 2}), ("count", {"by": 3})), text("five")])
    async with scripted_host(provider=provider, plugins=COUNTER) as host, host.session("s") as session:
        result = await session.turn("count")
        assert result.text == "five"
        assert [record.output.outcome.value for record in result.tool_calls] == [2, 5]
        last = provider.requests[-1].messages[-1]
        assert last.role is Role.USER
        assert [part.text for part in last.parts] == ["2", "5"]


async def test_a_failing_tool_is_feedback() -> None:
    async with scripted_host(tool_call("fail", {}), text("sorry"), plugins=COUNTER) as host:
        async with host.session("s") as session:
            result = await session.turn("try")
    assert result.is_success
    assert "no luck" in result.tool_calls[0].output.outcome.message


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [("count", {"by": "many"}, "invalid_tool_args"), ("nonsense", {}, "tool_unavailable")],
)
async def test_wrong_calls_are_feedback(name: str, arguments: dict[str, object], code: str) -> None:
    async with scripted_host(tool_call(name, arguments), text("ok"), plugins=COUNTER) as host:
        async with host.session("s") as session:
            result = await session.turn("try")
    assert result.text == "ok"
    assert result.tool_calls[0].output.outcome.code == code


async def test_a_tool_may_end_the_turn_with_a_value() -> None:
    async with scripted_host(tool_call("finish", {"answer": "42"}), plugins=COUNTER) as host:
        async with host.session("s") as session:
            result = await session.turn("go")
    assert (result.outcome.kind, result.outcome.value) == ("tool_value", "42")


async def test_a_turn_goes_on_in_another_frame() -> None:
    switch = tool_call("switch", {"frame_id": "f2", "task": "carry on"})
    provider = ScriptedProvider(replies=[switch, text("done")])
    async with scripted_host(provider=provider, plugins=COUNTER) as host, host.session("s") as session:
        result = await session.turn("go")
        assert result.text == "done"
        assert [m.text for m in session.read_view().messages] == ["carry on", "done"]
        assert [frame.status for frame in session.read_view().agent_frames] == ["superseded", "active"]
        turns = host.usage.sql("select turn_id, outcome from usage.turns order by turn_index").fetchall()
        assert [outcome for _, outcome in turns] == ["agent_frame_switch", "assistant_message"]
        assert turns[1][0] == f"{turns[0][0]}:agent-frame:1"


async def test_frame_switches_are_bounded() -> None:
    replies = [tool_call("switch", {"frame_id": f"f{n}", "task": "again"}) for n in range(40)]
    async with scripted_host(*replies, plugins=COUNTER) as host, host.session("s") as session:
        result = await session.turn("go")
    assert result.stop_reason == "runtime_error"
    assert result.issues[-1].code == "too_many_frame_switches"


async def test_the_limit_of_model_calls_stops_a_turn() -> None:
    async with scripted_host(*[tool_call("count", {})] * 9, plugins=COUNTER) as host:
        async with host.session("s") as session:
            await session.update_session_config(max_turns=3)
            result = await session.turn("count for ever")
            assert (result.stop_reason, len(result.tool_calls)) == ("max_turns", 3)
            assert session.read_view().messages[-1].role is Role.SYSTEM


async def test_an_empty_answer_is_a_provider_error() -> None:
    async with scripted_host(text("")) as host, host.session("s") as session:
        result = await session.turn("hi")
    assert (result.stop_reason, result.issues[-1].code) == ("provider_error", "empty_response")


async def test_retryable_failures_are_retried_with_backoff() -> None:
    clock = ManualClock(auto_advance=True)
    failure = ModelCallError("busy", kind="http", retryable=True, status=503)
    seen = []
    async with scripted_host(failure, failure, text("there"), clock=clock) as host, host.session("s") as session:
        result = await session.turn("hi", on_activity=seen.append)
        attempts = host.usage.sql("select attempts, duration_ms from usage.model_calls").fetchall()
    assert result.text == "there"
    assert attempts[0][0] == 3
    assert attempts[0][1] >= 6000
    assert [a.wait_s for a in seen if a.kind == "retry_status"] == [2.0, 4.0]


async def test_a_model_that_keeps_failing_ends_the_turn_and_the_turn_is_committed() -> None:
    clock = ManualClock(auto_advance=True)
    failure = ModelCallError("busy", kind="http", retryable=True)
    async with scripted_host(*[failure] * 4, text("back"), clock=clock) as host, host.session("s") as session:
        result = await session.turn("hi")
        assert (result.stop_reason, result.head_revision) == ("provider_error", 1)
        assert result.issues[-1].retryable
        assert result.issues[-1].model_error_kind == "http"
        again = await session.turn("still there?")
    assert again.text == "back"


async def test_an_answer_that_breaks_off_leaves_no_prose() -> None:
    broken = [*text_deltas("half an ans"), ModelCallError("cut", kind="stream")]
    async with scripted_host(broken) as host, host.session("s") as session:
        result = await session.turn("hi")
        assert (result.stop_reason, result.text) == ("provider_error", "")
        assert [m.text for m in session.read_view().messages] == ["hi"]


def text_deltas(whole: str) -> list[object]:
    from lash_host import TextDelta

    return [TextDelta(word) for word in whole.split()]


async def test_a_provider_that_raises_anything_is_contained() -> None:
    async with scripted_host(ZeroDivisionError("oops")) as host, host.session("s") as session:
        result = await session.turn("hi")
    assert (result.stop_reason, result.issues[-1].code) == ("provider_error", "provider_failed")


async def test_a_missing_key_raises_and_leaves_no_trace() -> None:
    missing = MissingCredential("scripted", variable="SCRIPTED_KEY")
    async with scripted_host(missing, text("ok")) as host, host.session("s") as session:
        with pytest.raises(MissingCredential, match="SCRIPTED_KEY"):
            await session.turn("hi")
        assert list(await host.sessions()) == []
        assert (await session.turn("hi")).text == "ok"


@pytest.mark.parametrize(
    ("value", "code"), [("", "empty_input"), ("   ", "empty_input"), ("x" * 1_000_000, "input_too_large")]
)
async def test_refused_input_is_a_committed_turn_without_a_message(value: str, code: str) -> None:
    async with scripted_host(text("fine")) as host, host.session("s") as session:
        result = await session.turn(value)
        assert (result.stop_reason, result.issues[-1].code, result.head_revision) == ("invalid_input", code, 1)
        assert session.read_view().messages == ()
        assert (await session.turn("hi")).text == "fine"


async def test_cancelling_commits_a_cancelled_turn_without_partial_prose() -> None:
    gate = asyncio.Event()
    stuck = [*text_deltas("I was about to"), gate]
    async with scripted_host(stuck, text("again")) as host, host.session("s") as session:
        async for activity in session.stream("hi"):
            if activity.kind == "assistant_prose_delta":
                session.cancel_running_turn()
            last = activity
        assert last.kind == "turn_finished"
        assert (last.result.stop_reason, last.result.text) == ("cancelled", "")
        assert [m.text for m in session.read_view().messages] == ["hi"]
        assert (await session.turn("and now?")).text == "again"


async def test_cancelling_the_task_commits_before_it_goes_on() -> None:
    started = asyncio.Event()
    async with scripted_host([asyncio.Event()]) as host, host.session("s") as session:
        task = asyncio.create_task(session.turn("hi", on_activity=lambda _: started.set()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert host.usage.sql("select stop_reason from usage.turns").fetchall() == [("cancelled",)]


async def test_a_turn_cancelled_within_a_tool_leaves_a_conversation_that_can_go_on() -> None:
    entered = asyncio.Event()

    class Slow(SessionPlugin[None]):
        @tool
        async def wait(self) -> None:
            """Wait for ever."""
            entered.set()
            await asyncio.Event().wait()

    provider = ScriptedProvider(replies=[tool_call("wait", {}), text("on we go")])
    async with scripted_host(provider=provider, plugins=[host_plugin(Slow)]) as host, host.session("s") as session:
        task = asyncio.create_task(session.turn("wait"))
        await entered.wait()
        session.cancel_running_turn()
        assert (await task).stop_reason == "cancelled"
        assert (await session.turn("next")).text == "on we go"
        calls = [p.call_id for m in provider.requests[-1].messages for p in m.parts if p.kind == "tool_call"]
        results = [p.call_id for m in provider.requests[-1].messages for p in m.parts if p.kind == "tool_result"]
        assert calls == results != []


async def test_one_turn_at_a_time() -> None:
    async with scripted_host([asyncio.Event()], text("x")) as host:
        async with host.session("s") as first, host.session("s") as second:
            started = asyncio.Event()
            task = asyncio.create_task(first.turn("hi", on_activity=lambda _: started.set()))
            await started.wait()
            with pytest.raises(SessionBusy):
                await first.turn("me too")
            with pytest.raises(SessionBusy):
                await second.turn("and me")
            first.cancel_running_turn()
            await task


async def test_two_runtimes_of_one_session_take_turns_and_see_each_other() -> None:
    provider = ScriptedProvider(replies=[text(f"answer {n}") for n in range(1, 5)])
    async with scripted_host(provider=provider) as host:
        async with host.session("s") as first, host.session("s") as second:
            await first.turn("one")
            await second.turn("two")
            await first.turn("three")
            assert [m.text for m in provider.requests[-1].messages] == [
                "one", "answer 1", "two", "answer 2", "three",
            ]  # fmt: skip


async def test_before_turn_hooks_can_put_messages_in_and_abort() -> None:
    class Guard(SessionPlugin[None]):
        @hookimpl
        async def lash_before_turn(self, context):
            return [
                EnqueueMessages(messages=(PluginMessage.text("mind the gap"),)),
                *([AbortTurn(code="forbidden", message="not that")] if "bad" in context.turn_input.text else []),
            ]

    async with scripted_host(text("ok"), plugins=[host_plugin(Guard)]) as host, host.session("s") as session:
        refused = await session.turn("bad words")
        assert (refused.stop_reason, refused.issues[-1].code) == ("plugin_abort", "forbidden")
        assert refused.issues[-1].plugin_id == "test"
        assert refused.turn_index == 1
        assert (await session.turn("good words")).turn_index == 2
        assert [m.text for m in session.read_view().messages].count("mind the gap") == 2


async def test_a_failing_after_turn_hook_prevents_the_commit_and_takes_plugin_state_back() -> None:
    class Picky(CounterPlugin):
        @hookimpl
        async def lash_after_turn(self, context):
            if self.state.value > 1:
                raise RuntimeError("too much")
            return []

    replies = [
        tool_call("count", {}),
        text("1"),
        tool_call("count", {}),
        text("2"),
        tool_call("count", {"by": 0}),
        text("3"),
    ]
    async with scripted_host(*replies, plugins=[host_plugin(Picky)]) as host, host.session("s") as session:
        await session.turn("count")
        with pytest.raises(TurnAborted, match="too much") as caught:
            await session.turn("count")
        assert caught.value.code == "plugin_finalize_turn"
        result = await session.turn("look")
        assert result.tool_calls[0].output.outcome.value == 1
        assert result.turn_index == 2


async def test_a_checkpoint_hook_can_make_the_turn_go_on_and_the_answer_stays() -> None:
    class Once(SessionPlugin[Count]):
        @hookimpl
        async def lash_checkpoint(self, context):
            self.state.value += 1
            return [EnqueueMessages(messages=(PluginMessage.text("one more thing"),))] if self.state.value == 1 else []

    async with scripted_host(text("first"), text("second"), plugins=[host_plugin(Once)]) as host:
        async with host.session("s") as session:
            result = await session.turn("hi")
            assert result.text == "second"
            said = [m.text for m in session.read_view().messages]
            assert said == ["hi", "first", "one more thing", "second"]


async def test_a_turn_id_runs_once() -> None:
    turn_input = TurnInput(items=({"kind": "text", "text": "pay"},), turn_id="pay-1")
    async with scripted_host(text("paid"), text("paid twice")) as host, host.session("s") as session:
        await session.turn(turn_input)
        with pytest.raises(TurnCommitConflict):
            await session.turn(turn_input)
        assert len(session.read_view().messages) == 2


async def test_the_turn_reports_exactly_what_the_clock_says() -> None:
    clock = ManualClock()

    def reply(request):
        clock.advance(1.5)
        return text("late")

    async with scripted_host(reply, clock=clock) as host, host.session("s") as session:
        began = clock.now_us()
        result = await session.turn("hi")
        assert result.started_at.timestamp() == pytest.approx(began / 1e6)
        assert result.duration_ms == pytest.approx(1500)


async def test_usage_agrees_everywhere(tmp_path: Path) -> None:
    usage = TokenUsage(input_tokens=7, output_tokens=5, cache_read_input_tokens=3, reasoning_output_tokens=2)
    async with scripted_host(text("a", usage=usage), text("b"), store=tmp_path / "x.duckdb") as host:
        async with host.session("s") as session:
            await session.turn("one")
            await session.turn("two")
            report = session.usage_report()
            by_sql = host.usage.sql("select model, sum(total_tokens) from usage.model_calls group by all").fetchall()
            by_report = host.usage.report(by=["model"])
    assert dict(by_sql) == {"test": report.by_model["test"].total_tokens} == {"test": 15 + 168}
    assert by_report[0]["total_tokens"] == 183


async def test_plain_settings_bound_a_turn() -> None:
    assert Settings().max_turns is not None


async def test_a_server_that_reuses_call_ids_does_not_confuse_calls() -> None:
    reused = tool_call("count", {}, call_id="call_0")
    twice = tool_calls(("count", {}), ("count", {}))
    twice = twice.model_copy(
        update={"parts": tuple(part.model_copy(update={"call_id": "call_0"}) for part in twice.parts)}
    )
    provider = ScriptedProvider(replies=[reused, twice, text("3"), reused, text("4")])
    async with scripted_host(provider=provider, plugins=COUNTER) as host, host.session("s") as session:
        result = await session.turn("count")
        assert [record.output.outcome.value for record in result.tool_calls] == [1, 2, 3]
        assert len({record.call_id for record in result.tool_calls}) == 3
        assert (await session.turn("count")).tool_calls[0].output.outcome.value == 4
