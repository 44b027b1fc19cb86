"""Batches of tool calls: who runs when, and what cancelling does."""

from __future__ import annotations

import asyncio

import pytest

from lash_host.domain.directive import DirectiveFold, Owned
from lash_host.domain.message import Message, Role, is_prompt_resume_safe
from lash_host.domain.tool import ToolCancelled, ToolFailure, ToolOutput, ToolRetry, ToolRetryPolicy
from lash_host.errors import SessionLeaseLost, StoreUnwritable


def statuses(batch):
    return [result.output.outcome.status for result in batch.results]


def test_no_calls_give_no_results(stage):
    batch = stage.run()
    assert (batch.results, batch.records, batch.messages) == ((), (), ())


def test_parallel_tools_run_together_and_first_then_serial_ones_alone_in_order(stage, make_part):
    barrier = asyncio.Barrier(2)
    log = []

    async def parallel(arguments, _context):
        await barrier.wait()
        log.append("parallel")
        return ToolOutput.success(arguments["n"])

    async def serial(arguments, _context):
        log.append(f"begin {arguments['n']}")
        await asyncio.sleep(0)
        log.append(f"end {arguments['n']}")
        return ToolOutput.success(arguments["n"])

    stage.add("p", parallel).add("s", serial, scheduling="serial")
    calls = [make_part(name, call_id=f"c{n}", n=n) for n, name in enumerate(("s", "p", "s", "p"))]
    batch = stage.run(*calls)
    assert log == ["parallel", "parallel", "begin 0", "end 0", "begin 2", "end 2"]
    assert [result.output.outcome.value for result in batch.results] == [0, 1, 2, 3]
    assert [record.call_id for record in batch.records] == ["c0", "c1", "c2", "c3"]


def test_attempts_of_a_serial_tool_do_not_overlap_another_serial_call(stage, make_part):
    log = []
    left = [ToolFailure(message="m", retry=ToolRetry(disposition="safe"))] * 2

    async def serial(arguments, _context):
        log.append(arguments["n"])
        return ToolOutput(outcome=left.pop()) if left else ToolOutput.success()

    retry = ToolRetryPolicy(mode="safe", max_attempts=3, base_delay_ms=10)
    stage.add("s", serial, scheduling="serial", retry_policy=retry)
    stage.run(make_part("s", call_id="a", n=1), make_part("s", call_id="b", n=2))
    assert log == [1, 1, 1, 2]


def test_one_failing_call_leaves_the_others_alone(stage, make_part):
    async def bad(_arguments, _context):
        raise OSError("no")

    stage.add("bad", bad).add("good")
    batch = stage.run(make_part("bad", call_id="a"), make_part("good", call_id="b"), make_part("none", call_id="c"))
    assert statuses(batch) == ["failure", "success", "failure"]


def test_every_call_has_one_pair_of_activities(stage, make_part):
    stage.add("s", scheduling="serial").add("p")
    stage.run(*(make_part(name, call_id=name) for name in ("s", "p", "none")))
    assert sorted(stage.kinds) == sorted(
        f"tool_call_{what}:{call}" for call in ("s", "p", "none") for what in ("started", "completed")
    )


def test_the_results_make_a_conversation_that_can_go_on(stage, make_part):
    stage.add("p").add("s", scheduling="serial")
    calls = [make_part("s", call_id="a"), make_part("none", call_id="b"), make_part("p", call_id="c", error="bad")]
    batch = stage.run(*calls)
    messages = [
        Message(message_id="m1", role=Role.ASSISTANT, parts=tuple(calls)),
        Message(message_id="m2", role=Role.USER, parts=tuple(p for r in batch.results for p in r.parts)),
    ]
    assert is_prompt_resume_safe(messages)


# --- cancelling ---------------------------------------------------------------------------------


def test_a_batch_of_a_cancelled_turn_is_not_run(stage, make_part):
    stage.cancelled.set()
    batch = stage.add("p").add("s", scheduling="serial").run(make_part("p"), make_part("s", call_id="c2"))
    assert statuses(batch) == ["cancelled", "cancelled"]
    assert stage.provider.executed == stage.hooks.of("before") == []
    assert [result.parts[0].text for result in batch.results] == ["[Tool execution cancelled]"] * 2
    assert [(record.attempts, record.duration_ms) for record in batch.records] == [(0, 0.0)] * 2
    assert len(stage.kinds) == 4


def _forever(stage, started):
    async def tool(_arguments, _context):
        started.set()
        stage.clock.advance(2)
        await asyncio.Event().wait()

    return tool


def _cancel_when(stage, event, *calls):
    async def scenario():
        batch = asyncio.create_task(stage.batch(*calls))
        await event.wait()
        stage.cancelled.set()
        return await batch

    return asyncio.run(scenario())


def test_running_calls_are_cancelled_and_waiting_ones_are_not_run(stage, make_part):
    started = asyncio.Event()
    stage.add("slow", _forever(stage, started)).add("quick").add("s", scheduling="serial")
    batch = _cancel_when(
        stage, started, make_part("s", call_id="a"), make_part("quick", call_id="b"), make_part("slow", call_id="c")
    )
    assert statuses(batch) == ["cancelled", "success", "cancelled"]
    assert [tool_id for tool_id, *_ in stage.provider.executed] == ["id:quick", "id:slow"]
    assert [(record.attempts, record.duration_ms) for record in batch.records][2] == (1, 2000.0)
    assert len(stage.hooks.of("after")) == 1
    assert sorted(stage.kinds) == sorted(
        f"tool_call_{what}:{call}" for call in "abc" for what in ("started", "completed")
    )


def test_a_tool_that_watches_the_event_ends_with_what_it_has(stage, make_part):
    started = asyncio.Event()

    async def tool(_arguments, context):
        started.set()
        await context.cancelled.wait()
        return ToolOutput.success("half of it")

    stage.grace_s = 10.0
    stage.add("slow", tool)
    batch = _cancel_when(stage, started, make_part("slow"))
    assert batch.results[0].output == ToolOutput.success("half of it")


def test_a_tool_may_clean_up_when_it_is_cancelled(stage, make_part):
    started, log = asyncio.Event(), []

    async def tool(_arguments, _context):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    stage.add("slow", tool)
    batch = _cancel_when(stage, started, make_part("slow"))
    assert (statuses(batch), log) == (["cancelled"], ["cleaned up"])


def test_a_tool_that_will_not_end_is_not_waited_for_and_nothing_comes_of_it(stage, make_part, caplog):
    started, release, log = asyncio.Event(), asyncio.Event(), []

    async def tool(_arguments, _context):
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                log.append("ignored")
        return ToolOutput.success("too late")

    stage.unwind_s = 0.0
    stage.add("stubborn", tool)

    async def scenario():
        task = asyncio.create_task(stage.batch(make_part("stubborn")))
        await started.wait()
        stage.cancelled.set()
        batch = await task
        (straggler,) = stage.registry.stragglers
        release.set()
        await asyncio.wait([straggler])
        await asyncio.sleep(0)
        return batch

    batch = asyncio.run(scenario())
    assert (statuses(batch), log) == (["cancelled"], ["ignored"])
    assert stage.registry.stragglers == set()
    assert "did not end" in caplog.text
    assert stage.hooks.of("after") == []
    assert stage.kinds == ["tool_call_started:c1", "tool_call_completed:c1"]


def test_a_hook_that_is_asked_while_the_turn_is_cancelled_lets_no_tool_run(stage, make_part):
    asked = asyncio.Event()

    async def answer():
        asked.set()
        await asyncio.Event().wait()

    stage.hooks.before = lambda _: answer()
    stage.add("read")
    batch = _cancel_when(stage, asked, make_part("read"))
    assert statuses(batch) == ["cancelled"]
    assert stage.provider.executed == []


def test_a_hook_that_cancels_the_turn_lets_no_tool_run(stage, make_part):
    stage.grace_s = 10.0
    stage.hooks.before = lambda _: stage.cancelled.set() or DirectiveFold(events=(Owned("p", "too late"),))
    batch = stage.add("read").run(make_part("read"))
    assert statuses(batch) == ["cancelled"]
    assert stage.provider.executed == []
    assert stage.kinds == ["tool_call_started:c1", "tool_call_completed:c1"]


def test_a_call_that_has_not_begun_when_the_turn_is_cancelled_is_not_run(stage, make_part):
    async def tool(_arguments, _context):
        stage.cancelled.set()
        return ToolOutput.success()

    stage.grace_s = 10.0
    stage.add("first", tool).add("second")
    batch = stage.run(make_part("first", call_id="a"), make_part("second", call_id="b"))
    assert statuses(batch) == ["success", "cancelled"]
    assert [context.call_id for context in stage.hooks.of("before")] == ["a"]


def test_a_tool_can_say_itself_that_it_was_cancelled(stage, make_part):
    async def tool(_arguments, _context):
        return ToolOutput(outcome=ToolCancelled(message="the user closed the dialog"))

    batch = stage.add("ask", tool).run(make_part("ask"))
    assert batch.results[0].parts[0].text == "[Tool execution cancelled] the user closed the dialog"
    assert len(stage.hooks.of("after")) == 1


def test_cancelling_the_task_cancels_the_calls(stage, make_part):
    started, log = asyncio.Event(), []

    async def tool(_arguments, _context):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")

    stage.add("slow", tool)

    async def scenario():
        task = asyncio.create_task(stage.batch(make_part("slow")))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1
    assert log == ["ended"]
    assert stage.kinds == ["tool_call_started:c1"]


@pytest.mark.parametrize("error", [SessionLeaseLost("s1"), StoreUnwritable("x.duckdb", problem="disk is full")])
def test_an_effect_host_that_lost_its_ground_ends_the_batch(stage, make_part, error):
    stage.effects.recorded = {"2:1:b:attempt:1": error}
    started, log = asyncio.Event(), []

    async def slow(_arguments, _context):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")

    stage.add("slow", slow).add("quick")
    with pytest.raises(type(error)):
        stage.run(make_part("slow", call_id="a"), make_part("quick", call_id="b"))
    assert log == ["ended"]


def test_a_tool_that_meets_a_store_error_of_its_own_only_fails(stage, make_part):
    async def tool(_arguments, _context):
        raise StoreUnwritable("notes.db", problem="read-only")

    outcome = stage.add("note", tool).run(make_part("note")).results[0].output.outcome
    assert outcome.message == "StoreUnwritable: notes.db cannot be written: read-only"
