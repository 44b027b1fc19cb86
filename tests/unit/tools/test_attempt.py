"""Trying a tool call again."""

from __future__ import annotations

import asyncio

import pytest

from lash_host.domain.directive import DirectiveFold, Owned, PluginMessage
from lash_host.domain.tool import ToolFailure, ToolOutput, ToolRetry, ToolRetryPolicy


def flaky(*, failures, after_ms=None):
    """Fail some times in a way that is safe to retry, then succeed."""
    left = [ToolRetry(disposition="safe", after_ms=after_ms)] * failures

    async def tool(_arguments, _context):
        if left:
            return ToolOutput(outcome=ToolFailure(message="try again", retry=left.pop()))
        return ToolOutput.success("done")

    return tool


def policy(mode="safe", **values):
    return ToolRetryPolicy(mode=mode, **{"max_attempts": 3, "base_delay_ms": 100, "max_delay_ms": 0, **values})


def test_without_a_policy_nothing_is_tried_again(stage):
    outcome = stage.add("fetch", flaky(failures=1)).call("fetch")
    assert outcome.retry == ToolRetry(disposition="safe")
    assert len(stage.provider.executed) == 1


def test_a_safe_failure_is_tried_again_until_it_works(stage, make_part):
    batch = stage.add("fetch", flaky(failures=2), retry_policy=policy()).run(make_part("fetch"))
    assert batch.results[0].output == ToolOutput.success("done")
    assert batch.records[0].attempts == 3
    assert stage.clock.slept == [0.1, 0.2]
    assert batch.records[0].duration_ms == 300.0
    assert stage.kinds == ["tool_call_started:c1", "tool_call_completed:c1"]


def test_the_last_failure_says_that_the_attempts_are_used_up(stage):
    outcome = stage.add("fetch", flaky(failures=9), retry_policy=policy()).call("fetch")
    assert outcome.retry == ToolRetry(disposition="exhausted", attempts=3)
    assert outcome.message == "try again"
    assert len(stage.provider.executed) == 3


def test_a_failure_that_does_not_say_it_is_safe_is_not_tried_again(stage):
    async def tool(_arguments, _context):
        raise OSError("gone")

    outcome = stage.add("fetch", tool, retry_policy=policy()).call("fetch")
    assert outcome.retry == ToolRetry()
    assert len(stage.provider.executed) == 1


def test_attempts_are_effects_of_their_own_with_one_key_for_the_tool(stage):
    stage.add("fetch", flaky(failures=2), retry_policy=policy("idempotent")).call("fetch")
    assert [envelope.effect_id for envelope in stage.effects.envelopes] == [
        "2:0:c1:attempt:1",
        "2:0:c1:attempt:2",
        "2:0:c1:attempt:3",
    ]
    contexts = [context for *_, context in stage.provider.executed]
    assert [(context.attempt, context.max_attempts) for context in contexts] == [(1, 3), (2, 3), (3, 3)]
    assert {context.replay_key for context in contexts} == {"lash-tool:s1:t1:c1:fetch"}


def test_an_idempotent_tool_needs_a_call_id_to_be_tried_again(stage, make_part):
    stage.add("fetch", flaky(failures=1), retry_policy=policy("idempotent"))
    (result,) = stage.run(make_part("fetch", call_id="")).results
    assert result.output.outcome.retry == ToolRetry(disposition="exhausted", attempts=1)
    ((_, _, context),) = stage.provider.executed
    assert (context.attempt, context.max_attempts) == (1, 1)


@pytest.mark.parametrize(
    ("after_ms", "limits", "slept"),
    [(250, {}, [0.25]), (250, {"max_delay_ms": 200}, [0.2]), (0, {}, []), (None, {"base_delay_ms": 0}, [])],
)
def test_the_wait(stage, after_ms, limits, slept):
    stage.add("fetch", flaky(failures=1, after_ms=after_ms), retry_policy=policy(**limits))
    assert stage.call("fetch").value == "done"
    assert stage.clock.slept == slept


def test_hooks_see_every_attempt_before_it_is_decided_whether_to_try_again(stage):
    stage.hooks.after = lambda context: DirectiveFold(
        output=Owned("fixer", ToolOutput.success("mended")) if context.attempt == 2 else None,
        messages=(Owned("fixer", PluginMessage.text(f"attempt {context.attempt}")),),
    )
    stage.add("fetch", flaky(failures=9), retry_policy=policy())
    assert stage.call("fetch").value == "mended"
    assert [context.attempt for context in stage.hooks.of("after")] == [1, 2]


def test_a_hook_can_turn_a_success_into_a_retry(stage):
    again = ToolOutput(outcome=ToolFailure(message="stale", retry=ToolRetry(disposition="safe")))
    stage.hooks.after = lambda context: DirectiveFold(output=Owned("p", again) if context.attempt == 1 else None)
    stage.add("fetch", flaky(failures=0), retry_policy=policy())
    assert stage.call("fetch").value == "done"
    assert len(stage.provider.executed) == 2


def test_recorded_attempts_are_replayed_and_the_next_one_runs(stage):
    failure = ToolOutput(outcome=ToolFailure(message="m", retry=ToolRetry(disposition="safe")))
    stage.effects.recorded = {"2:0:c1:attempt:1": failure, "2:0:c1:attempt:2": failure}
    stage.add("fetch", flaky(failures=0), retry_policy=policy())
    assert stage.call("fetch").value == "done"
    ((_, _, context),) = stage.provider.executed
    assert context.attempt == 3


def test_cancelling_stops_the_wait_and_keeps_the_failure(stage, make_part):
    stage.clock.auto_advance = False
    stage.grace_s = 10.0
    stage.add("fetch", flaky(failures=9), retry_policy=policy())

    async def scenario():
        batch = asyncio.create_task(stage.batch(make_part("fetch")))
        await stage.clock.until_sleeping()
        stage.cancelled.set()
        return await batch

    batch = asyncio.run(scenario())
    assert batch.results[0].output.outcome.message == "try again"
    assert batch.records[0].attempts == 1
    assert stage.clock.sleepers == 0


def test_a_tool_that_fails_because_of_the_cancellation_is_not_tried_again(stage, make_part):
    stage.grace_s = 10.0

    async def tool(_arguments, context):
        stage.cancelled.set()
        return ToolOutput(outcome=ToolFailure(message="interrupted", retry=ToolRetry(disposition="safe")))

    batch = stage.add("fetch", tool, retry_policy=policy()).run(make_part("fetch"))
    assert batch.records[0].attempts == 1
    assert batch.results[0].output.outcome.message == "interrupted"
