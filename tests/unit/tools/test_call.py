"""The rules of one tool call."""

from __future__ import annotations

import asyncio

import pytest

from lash_host.domain.directive import AbortTurn, DirectiveFold, Owned, PluginMessage
from lash_host.domain.policy import ToolAccess
from lash_host.domain.tool import FailureClass, FinishControl, ToolOutput, ToolRetry, ToolSuccess
from lash_host.errors import PluginHookError, ToolFailedError

PATH = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def failed(outcome):
    return outcome.failure_class, outcome.code, outcome.message


def hook_error(hook):
    return PluginHookError(plugin_id="guard", hook=hook, problem="boom")


def test_a_call_gives_result_record_and_activities(stage, make_part):
    async def slow(arguments, _context):
        stage.clock.advance(0.25)
        return ToolOutput.success(arguments["path"])

    stage.add("read", slow, schema=PATH)
    call = make_part("read", path="a.txt")
    batch = stage.run(call)
    (result,), (record,) = batch.results, batch.records
    assert result.call is call
    assert result.output == record.output == ToolOutput.success("a.txt")
    assert [(p.kind, p.call_id, p.tool_name, p.text, p.is_error) for p in result.parts] == [
        ("tool_result", "c1", "read", "a.txt", False)
    ]
    assert record.model_dump(include={"call_id", "tool_id", "tool_name", "plugin_id", "arguments", "attempts"}) == {
        "call_id": "c1",
        "tool_id": "id:read",
        "tool_name": "read",
        "plugin_id": "box",
        "arguments": {"path": "a.txt"},
        "attempts": 1,
    }
    assert (record.started_at_us, record.duration_ms) == (stage.clock.start_us, 250.0)
    started, completed = stage.activities
    assert (started.kind, started.correlation_id, started.arguments) == ("tool_call_started", "c1", {"path": "a.txt"})
    assert (completed.kind, completed.correlation_id) == ("tool_call_completed", "c1")
    assert (completed.output, completed.duration_ms) == (result.output, 250.0)


def test_a_tool_is_told_where_it_runs(stage):
    stage.add("read").call("read")
    ((_, _, context),) = stage.provider.executed
    assert (context.session_id, context.turn_id, context.call_id) == ("s1", "t1", "c1")
    assert (context.frame_id, context.state.session_id) == ("s1:frame:initial", "s1")
    assert (context.attempt, context.max_attempts, context.replay_key) == (1, 1, "lash-tool:s1:t1:c1:read")
    assert context.cancelled is stage.cancelled


def test_an_attempt_is_an_effect(stage):
    stage.add("read").call("read")
    (envelope,) = stage.effects.envelopes
    assert envelope.replay_key == "s1:t1:tool_attempt:2:0:c1:attempt:1"


def test_a_recorded_attempt_is_not_run_again(stage):
    stage.effects.recorded = {"2:0:c1:attempt:1": ToolOutput.success("recorded")}
    assert stage.add("read").call("read").value == "recorded"
    assert stage.provider.executed == []
    assert len(stage.hooks.of("after")) == 1


# --- what is not called -------------------------------------------------------------------------


def test_a_tool_outside_the_catalog_is_refused_before_contract_and_hooks(stage):
    outcome = stage.add("read_file").call("raed_file")
    message = "Tool is unavailable in this session: raed_file. Did you mean read_file?"
    assert failed(outcome) == (FailureClass.UNAVAILABLE, "tool_unavailable", message)
    assert outcome.source == "runtime"
    assert stage.provider.contracts_asked == []
    assert stage.hooks.of("before") == stage.hooks.of("after") == []
    assert stage.kinds == ["tool_call_started:c1", "tool_call_completed:c1"]


def test_a_hidden_tool_is_unavailable_but_its_record_says_whose_it_was(stage, make_part):
    stage.access = ToolAccess(hidden=("read",))
    (record,) = stage.add("read").run(make_part("read")).records
    assert (record.output.outcome.code, record.tool_id, record.plugin_id) == ("tool_unavailable", "id:read", "box")
    assert (record.attempts, record.duration_ms) == (0, 0.0)


def test_an_unknown_tool_has_no_id(stage, make_part):
    (record,) = stage.run(make_part("nothing_like_it")).records
    assert (record.tool_id, record.plugin_id) == ("", None)
    assert record.output.outcome.message == "Tool is unavailable in this session: nothing_like_it"


def test_an_internal_tool_is_not_suggested(stage):
    assert "Did you mean" not in stage.add("read_file", activation="internal").call("raed_file").message


def test_arguments_that_were_no_object_are_answered_with_that(stage, make_part):
    (result,) = stage.add("read").run(make_part("read", error="arguments are not a JSON object")).results
    assert failed(result.output.outcome) == (
        FailureClass.INVALID_REQUEST,
        "invalid_tool_args",
        "arguments are not a JSON object",
    )
    assert stage.provider.contracts_asked == []


@pytest.mark.parametrize("schema", [OSError("server is down"), {"type": 5}, {"$ref": "#/$defs/none"}])
def test_a_contract_that_cannot_be_had_or_used_fails_the_call(stage, schema):
    outcome = stage.add("read", schema=schema).call("read", path="x")
    assert (outcome.failure_class, outcome.code) == (FailureClass.UNAVAILABLE, "tool_contract_unavailable")
    assert stage.provider.executed == []


def test_only_the_called_tools_contract_is_asked_for(stage):
    stage.add("read").add("write").call("write")
    assert stage.provider.contracts_asked == ["id:write"]


def test_arguments_that_do_not_fit_are_refused(stage):
    outcome = stage.add("read", schema=PATH).call("read", path=5)
    assert failed(outcome) == (
        FailureClass.INVALID_REQUEST,
        "invalid_tool_args",
        "path: expected string, got 5",
    )
    assert stage.provider.executed == []
    assert len(stage.hooks.of("before")) == 1
    assert stage.hooks.of("after") == []


def test_a_call_id_is_used_once_in_a_batch(stage, make_part):
    stage.add("read")
    calls = [make_part("read", n=1), make_part("read", n=2), make_part("read", call_id="c2")]
    batch = stage.run(*calls)
    assert [result.call for result in batch.results] == calls
    assert [result.output.is_success for result in batch.results] == [True, False, True]
    assert batch.results[1].output.outcome.code == "duplicate_call_id"
    assert [record.arguments for record in batch.records] == [{"n": 1}, {"n": 2}, {}]
    assert len(stage.provider.executed) == 2


def test_calls_without_id_all_run_with_keys_of_their_own(stage, make_part):
    batch = stage.add("read").run(make_part("read", call_id=""), make_part("read", call_id=""))
    assert all(result.output.is_success for result in batch.results)
    assert [context.replay_key for *_, context in stage.provider.executed] == [
        "lash-tool:s1:t1:2:0:read",
        "lash-tool:s1:t1:2:1:read",
    ]
    assert len({envelope.replay_key for envelope in stage.effects.envelopes}) == 2


# --- before the call ----------------------------------------------------------------------------


def test_hooks_see_the_models_arguments_and_may_replace_them_before_the_check(stage, make_part):
    stage.hooks.before = DirectiveFold(arguments={"path": "safe.txt"})
    batch = stage.add("read", schema=PATH).run(make_part("read", path=5))
    (context,) = stage.hooks.of("before")
    assert (context.call_id, context.tool.name, context.arguments) == ("c1", "read", {"path": 5})
    assert batch.results[0].output == ToolOutput.success({"path": "safe.txt"})
    assert batch.records[0].arguments == {"path": "safe.txt"}
    assert stage.hooks.of("after")[0].arguments == {"path": "safe.txt"}


def test_what_hooks_and_tools_do_to_their_arguments_does_not_reach_others(stage, make_part):
    def before(context):
        context.arguments["items"].append("by hook")
        return DirectiveFold()

    async def tool(arguments, _context):
        arguments["items"].append("by tool")
        return ToolOutput.success(arguments["items"])

    def spoil(context):
        context.arguments.clear()

    stage.hooks.before = before
    stage.hooks.after = lambda context: spoil(context) or DirectiveFold()
    stage.hooks.projected = spoil
    call = make_part("read", items=["by model"])
    batch = stage.add("read", tool).run(call)
    assert batch.results[0].output.outcome.value == ["by model", "by tool"]
    assert call.arguments == batch.records[0].arguments == {"items": ["by model"]}


def test_a_short_circuited_call_is_neither_checked_nor_run_nor_seen_after(stage, make_part):
    stage.hooks.before = DirectiveFold(output=Owned("cache", ToolOutput.success("cached")))
    batch = stage.add("read", schema=PATH).run(make_part("read"))
    assert batch.results[0].output == ToolOutput.success("cached")
    assert (batch.records[0].duration_ms, batch.records[0].attempts) == (0.0, 0)
    assert stage.provider.executed == stage.hooks.of("after") == stage.effects.envelopes == []


def test_an_abort_before_the_call_fails_this_call_and_outweighs_an_output(stage):
    stage.hooks.before = DirectiveFold(
        abort=Owned("guard", AbortTurn(code="denied", message="not today")),
        output=Owned("cache", ToolOutput.success("cached")),
    )
    assert failed(stage.add("read").call("read")) == (FailureClass.EXECUTION, "denied", "not today")
    assert stage.provider.executed == []


def test_a_failing_hook_before_the_call_fails_it(stage):
    stage.hooks.before = hook_error("lash_before_tool_call")
    outcome = stage.add("read").call("read")
    assert (outcome.failure_class, outcome.code) == (FailureClass.INTERNAL, "before_tool_call_failed")
    assert "plugin 'guard'" in outcome.message
    assert stage.provider.executed == []


def test_events_of_hooks_are_told(stage):
    stage.hooks.before = DirectiveFold(events=(Owned("guard", {"n": 1}),))
    stage.hooks.after = DirectiveFold(events=(Owned("audit", {"n": 2}),))
    stage.add("read").call("read")
    assert [a.kind for a in stage.activities] == [
        "tool_call_started",
        "plugin_runtime",
        "plugin_runtime",
        "tool_call_completed",
    ]
    assert [(a.plugin_id, a.event, a.correlation_id) for a in stage.activities[1:3]] == [
        ("guard", {"n": 1}, "c1"),
        ("audit", {"n": 2}, "c1"),
    ]


# --- after the call -----------------------------------------------------------------------------


def test_hooks_see_the_result_and_may_replace_it(stage):
    async def tool(_arguments, _context):
        stage.clock.advance(0.5)
        return ToolOutput.success("secret")

    stage.hooks.after = DirectiveFold(output=Owned("censor", ToolOutput.success("***")))
    assert stage.add("read", tool).call("read").value == "***"
    (context,) = stage.hooks.of("after")
    assert (context.output, context.duration_ms, context.attempt) == (ToolOutput.success("secret"), 500.0, 1)


def test_an_abort_after_the_call_fails_this_call(stage):
    stage.hooks.after = DirectiveFold(abort=Owned("guard", AbortTurn(code="leak", message="held back")))
    assert failed(stage.add("read").call("read")) == (FailureClass.EXECUTION, "leak", "held back")


def test_a_failing_hook_after_the_call_fails_it(stage):
    stage.hooks.after = hook_error("lash_after_tool_call")
    outcome = stage.add("read").call("read")
    assert (outcome.failure_class, outcome.code) == (FailureClass.INTERNAL, "after_tool_call_failed")


def test_messages_come_in_the_order_of_the_calls(stage, make_part):
    gate = asyncio.Event()

    async def last(_arguments, _context):
        await gate.wait()
        return ToolOutput.success()

    async def first(_arguments, _context):
        gate.set()
        return ToolOutput.success()

    stage.hooks.after = lambda context: DirectiveFold(messages=(Owned("notes", PluginMessage.text(context.tool.name)),))
    batch = stage.add("slow", last).add("quick", first).run(make_part("slow"), make_part("quick", call_id="c2"))
    assert [(owned.plugin_id, owned.value.parts[0].text) for owned in batch.messages] == [
        ("notes", "slow"),
        ("notes", "quick"),
    ]


# --- tools that misbehave -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("disk is full"), "OSError: disk is full"),
        (KeyError("x"), "KeyError: 'x'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (SystemExit(3), "SystemExit: 3"),
        (asyncio.CancelledError(), "the tool cancelled itself"),
    ],
)
def test_whatever_a_tool_raises_is_a_failure_of_its_call(stage, error, message):
    async def tool(_arguments, _context):
        raise error

    outcome = stage.add("read", tool).call("read")
    assert failed(outcome) == (FailureClass.EXECUTION, "tool_error", message)
    assert outcome.source == "tool"
    assert len(stage.hooks.of("after")) == 1


def test_a_tool_may_say_how_it_failed(stage):
    async def tool(_arguments, _context):
        raise ToolFailedError("too many requests", code="rate_limited", retry_after_ms=500)

    outcome = stage.add("fetch", tool).call("fetch")
    assert failed(outcome) == (FailureClass.EXECUTION, "rate_limited", "too many requests")
    assert outcome.retry == ToolRetry(disposition="safe", after_ms=500)


def test_a_tool_that_cancels_its_task_is_cancelled_alone(stage, make_part):
    async def tool(_arguments, _context):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    batch = stage.add("read", tool).add("other").run(make_part("read"), make_part("other", call_id="c2"))
    assert [result.output.outcome.status for result in batch.results] == ["cancelled", "success"]


@pytest.mark.parametrize(
    "result",
    [
        "just text",
        None,
        ToolOutput(outcome=ToolSuccess.model_construct(value={1, 2})),
        ToolOutput(outcome=ToolSuccess.model_construct(value={"when": object()})),
        ToolOutput.model_construct(outcome=None, control=None),
        ToolOutput.success(float("nan")),
        ToolOutput.success({"text": "\ud800"}),
    ],
)
def test_what_is_no_json_output_is_an_invalid_result(stage, result):
    async def tool(_arguments, _context):
        return result

    outcome = stage.add("read", tool).call("read")
    assert (outcome.failure_class, outcome.code) == (FailureClass.EXECUTION, "invalid_tool_result")


def test_an_output_is_taken_as_it_was_and_not_as_the_tool_goes_on_changing_it(stage, make_part):
    kept = {"n": 10**30, "items": [1]}

    async def tool(_arguments, _context):
        return ToolOutput(outcome=ToolSuccess(value=kept), control=FinishControl(value="done"))

    stage.hooks.after = lambda _: kept["items"].append(2) or DirectiveFold()
    output = stage.add("read", tool).run(make_part("read")).results[0].output
    assert output.outcome.value == {"n": 10**30, "items": [1]}
    assert output.control == FinishControl(value="done")


def test_a_fault_of_an_effect_host_is_contained_and_logged(stage, caplog):
    stage.effects.recorded = {"2:0:c1:attempt:1": RuntimeError("journal is odd")}
    outcome = stage.add("read").call("read")
    assert failed(outcome) == (FailureClass.INTERNAL, "tool_dispatch_failed", "RuntimeError: journal is odd")
    assert "journal is odd" in caplog.text
