"""What was spent is booked once and only once, whatever becomes of what it was spent for."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from lash_host import (
    CompactionError,
    Message,
    ModelCallError,
    Role,
    SessionPlugin,
    Settings,
    StoreUnwritable,
    TextPart,
    TokenUsage,
    TurnAborted,
    TurnInput,
    hookimpl,
    tool,
)
from lash_host.bootstrap import open as open_host
from lash_host.domain.compaction import ContextCompaction
from lash_host.domain.effect import EffectScope
from lash_host.runtime.completions import SessionCompletions
from lash_host.testing import ManualClock, ScriptedProvider, scripted_host, text, tool_call

ONE = TokenUsage(input_tokens=3, output_tokens=2, reasoning_output_tokens=1)


def asking(content: str) -> Message:
    return Message(message_id="m", role=Role.USER, parts=(TextPart(text=content),))


def booked(host) -> list[tuple[str, int]]:
    rows = host.usage.sql("select source, total_tokens from usage.model_calls order by started_at, call_id")
    return sorted(rows.fetchall())


async def agree(host, session) -> int:
    """Check that memory, the stored calls and the report of the host say the same; give the total."""
    spent = host.usage.sql("select coalesce(sum(total_tokens), 0) from usage.model_calls").fetchall()[0][0]
    assert session.usage_report().usage.total_tokens == spent
    assert sum(row["total_tokens"] for row in host.usage.report(by=["source"])) == spent
    async with host.session(session.session_id) as again:
        assert again.usage_report() == session.usage_report()
    ids = host.usage.sql("select call_id from usage.model_calls").fetchall()
    assert len(ids) == len(set(ids))
    return spent


class Asking(SessionPlugin[None]):
    """Makes model calls of its own wherever it can."""

    @tool
    async def ask(self, context, question: str) -> str:
        """Ask."""
        return (await context.completions.complete((asking(question),), source="tool")).text

    @hookimpl
    async def lash_transform_turn_context(self, context, prepared):
        for _ in range(2):
            await context.completions.complete((asking("the same"),), source="view")
        return prepared


async def test_completions_of_hooks_and_tools_are_booked_once_each(plugin_of) -> None:
    replies = [
        text("v1", usage=ONE),
        text("v2", usage=ONE),
        tool_call("ask", {"question": "why"}),
        text("because", usage=ONE),
        text("done"),
    ]
    provider = ScriptedProvider(replies=replies)
    async with scripted_host(provider=provider, plugins=[plugin_of(Asking)]) as host:
        async with host.session("s") as session:
            result = await session.turn("hi")
            assert booked(host) == [("tool", 5), ("turn", 168), ("turn", 168), ("view", 5), ("view", 5)]
            assert result.usage.total_tokens == 2 * 168
            assert await agree(host, session) == 2 * 168 + 15
            rows = host.usage.sql("select distinct turn_id from usage.model_calls").fetchall()
            assert rows == [(result.turn_id,)]
            keys = [request.scope.idempotency_key for request in provider.requests]
            assert len(set(keys)) == len(keys)


async def test_requests_that_differ_in_anything_are_effects_of_their_own() -> None:
    class Recording:
        name, is_durable = "recording", False

        def __init__(self):
            self.keys = []

        async def execute(self, envelope, run, *, result_type):
            self.keys.append(envelope.replay_key)
            return await run()

    effects, provider = Recording(), ScriptedProvider(replies=[text("x")] * 20)
    opening = open_host(
        "duckdb:///:memory:",
        settings=Settings(model="scripted/test"),
        plugins=["protocol_default"],
        providers=[provider],
        effect_host=effects,
    )

    async def ask(session):
        completions = SessionCompletions(
            session._session,
            scope=EffectScope(session_id="s", scope_id="op"),
            turn_id=None,
            made=Counter(),
            cancelled=asyncio.Event(),
        )
        other_id = asking("a").model_copy(update={"message_id": "other"})
        await completions.complete((asking("a"),), source="x")
        await completions.complete((other_id,), source="x")
        await completions.complete((asking("a"),), source="y")
        await completions.complete((asking("a"),), source="x", system="s")
        await completions.complete((asking("a"),), source="x", output_tokens_limit=5)
        await completions.complete((asking("a"),), source="x", key="k")
        await completions.complete((asking("b"),), source="x", key="k")

    async with opening as host, host.session("s") as session:
        await ask(session)
        first, effects.keys = effects.keys, []
        await ask(session)
    assert len(set(first)) == 7
    assert effects.keys == first


async def test_a_turn_that_fails_is_paid_for_by_the_next_commit(plugin_of) -> None:
    class Picky(SessionPlugin[None]):
        @hookimpl
        async def lash_after_turn(self, context):
            if context.text == "fail":
                raise RuntimeError("no")
            return []

    async with scripted_host(text("fail"), text("fine"), plugins=[plugin_of(Picky)]) as host:
        async with host.session("s") as session:
            again = TurnInput(items=({"kind": "text", "text": "pay"},), turn_id="pay-1")
            with pytest.raises(TurnAborted):
                await session.turn(again)
            assert session.usage_report().usage.total_tokens == 168
            result = await session.turn(again)
            assert result.usage.total_tokens == 168
            assert await agree(host, session) == 2 * 168
            rows = host.usage.sql("select turn_id from usage.model_calls order by turn_id nulls first").fetchall()
            assert rows == [(None,), ("pay-1",)]
            assert host.usage.sql("select total_tokens, model_calls from usage.turns").fetchall() == [(168, 1)]


async def test_a_commit_that_fails_loses_no_spending(plugin_of, monkeypatch) -> None:
    async with scripted_host(text("a"), text("b")) as host, host.session("s") as session:

        def full(commit):
            raise StoreUnwritable("here", problem="full")

        with monkeypatch.context() as broken:
            broken.setattr(host.store, "commit", full)
            with pytest.raises(StoreUnwritable):
                await session.turn("one")
        await session.turn("two")
        assert await agree(host, session) == 2 * 168


async def test_a_compaction_that_fails_half_way_is_paid_for(plugin_of, monkeypatch) -> None:
    class HalfWay(SessionPlugin[None]):
        fails = True

        @hookimpl
        async def lash_compact_context(self, context):
            response = await context.completions.complete((asking("sum up"),), source="compaction")
            if self.fails:
                raise RuntimeError("half way")
            return ContextCompaction(seed=(asking(response.text).model_copy(update={"message_id": "seed"}),))

    replies = [text("a"), *[text("sum", usage=ONE)] * 3, text("b")]
    async with scripted_host(*replies, plugins=[plugin_of(HalfWay)]) as host, host.session("s") as session:
        await session.turn("one")
        with pytest.raises(CompactionError, match="half way"):
            await session.compact_context()
        HalfWay.fails = False

        def full(commit):
            raise StoreUnwritable("here", problem="full")

        with monkeypatch.context() as broken:
            broken.setattr(host.store, "commit", full)
            with pytest.raises(StoreUnwritable):
                await session.compact_context()
        assert session.usage_report().by_source["compaction"].total_tokens == 10
        assert [frame.reason for frame in session.read_view().agent_frames] == ["initial"]
        assert await session.compact_context()
        assert booked(host) == [("compaction", 5)] * 3 + [("turn", 168)]
        await session.turn("two")
        assert await agree(host, session) == 2 * 168 + 15


async def test_an_automatic_compaction_that_fails_is_an_issue_and_paid_for(plugin_of) -> None:
    class Failing(SessionPlugin[None]):
        @hookimpl
        async def lash_compact_context(self, context):
            await context.completions.complete((asking("sum up"),), source="compaction")
            raise RuntimeError("half way")

    big = TokenUsage(input_tokens=127_000, output_tokens=10)
    replies = [text("a", usage=big), text("sum", usage=ONE), text("b")]
    async with scripted_host(*replies, plugins=[plugin_of(Failing)]) as host, host.session("s") as session:
        await session.turn("one")
        result = await session.turn("two")
        assert (result.text, [issue.code for issue in result.issues]) == ("b", ["compaction_failed"])
        assert await agree(host, session) == 127_010 + 168 + 5


@pytest.mark.parametrize("hook", ["response", "stream"])
async def test_an_answer_that_a_plugin_spoils_costs_what_it_cost(hook, plugin_of) -> None:
    class Spoiling(SessionPlugin[None]):
        @hookimpl
        async def lash_transform_response(self, context):
            if hook == "response":
                raise RuntimeError("no")
            return context

        @hookimpl
        def lash_transform_stream(self, context):
            if hook == "stream":
                raise RuntimeError("no")
            return context

    async with scripted_host(text("a"), plugins=[plugin_of(Spoiling)]) as host, host.session("s") as session:
        result = await session.turn("one")
        assert (result.stop_reason, result.issues[-1].code) == ("provider_error", f"plugin_assistant_{hook}")
        assert result.usage.total_tokens == await agree(host, session) == (168 if hook == "response" else 0)


async def test_usage_that_a_plugin_rewrites_is_not_what_is_booked(plugin_of) -> None:
    class Cheating(SessionPlugin[None]):
        @hookimpl
        async def lash_transform_response(self, context):
            return replace(context, response=context.response.model_copy(update={"usage": TokenUsage()}))

    async with scripted_host(text("a"), plugins=[plugin_of(Cheating)]) as host, host.session("s") as session:
        result = await session.turn("one")
        assert result.usage.total_tokens == await agree(host, session) == 168


async def test_a_cancelled_call_is_a_row_without_tokens(plugin_of) -> None:
    entered = asyncio.Event()

    class Slow(SessionPlugin[None]):
        @tool
        async def ask(self, context) -> str:
            """Ask."""
            entered.set()
            return (await context.completions.complete((asking("x"),), source="tool")).text

    replies = [tool_call("ask", {}), [asyncio.Event()], text("b")]
    async with scripted_host(*replies, plugins=[plugin_of(Slow)]) as host, host.session("s") as session:
        task = asyncio.create_task(session.turn("one"))
        await entered.wait()
        await asyncio.sleep(0)
        session.cancel_running_turn()
        assert (await task).stop_reason == "cancelled"
        rows = host.usage.sql("select source, terminal_reason, total_tokens from usage.model_calls").fetchall()
        assert sorted(rows) == [("tool", "cancelled", 0), ("turn", "tool_use", 168)]
        await session.turn("two")
        await agree(host, session)


async def test_a_call_that_fails_is_a_row_with_its_attempts(plugin_of) -> None:
    clock = ManualClock(auto_advance=True)
    busy = ModelCallError("busy", kind="http", retryable=True)
    async with scripted_host(*[busy] * 4, clock=clock) as host, host.session("s") as session:
        await session.turn("one")
        rows = host.usage.sql("select attempts, error_kind, terminal_reason, total_tokens from usage.model_calls")
        assert rows.fetchall() == [(4, "http", "provider_error", 0)]


async def test_iterations_are_the_calls_that_were_made(plugin_of) -> None:
    class Absent(SessionPlugin[None]):
        @hookimpl
        async def lash_contribute_prompt(self, context):
            if context.iteration == 2:
                raise RuntimeError("no")
            return []

        @tool
        async def noop(self) -> None:
            """Do nothing."""

    async with scripted_host(tool_call("noop", {}), plugins=[plugin_of(Absent)]) as host, host.session("s") as session:
        await session.turn("")
        await session.turn("go")
        rows = host.usage.sql("select iterations, model_calls from usage.turns order by turn_index").fetchall()
        assert rows == [(0, 0), (1, 1)]


async def test_a_replayed_call_is_booked_once_however_often_its_turn_is_driven(plugin_of) -> None:
    class Journal:
        """Answers what it has seen from memory."""

        name, is_durable = "memory", True

        def __init__(self):
            self.outcomes = {}

        async def execute(self, envelope, run, *, result_type):
            if envelope.replay_key not in self.outcomes:
                self.outcomes[envelope.replay_key] = await run()
            return self.outcomes[envelope.replay_key]

    class Picky(SessionPlugin[None]):
        failures = 2

        @hookimpl
        async def lash_after_turn(self, context):
            if Picky.failures:
                Picky.failures -= 1
                raise RuntimeError("no")
            return []

    provider = ScriptedProvider(replies=[text("a")])
    opening = open_host(
        "duckdb:///:memory:",
        settings=Settings(model="scripted/test"),
        plugins=["protocol_default", plugin_of(Picky)],
        providers=[provider],
        effect_host=Journal(),
    )
    async with opening as host, host.session("s") as session:
        turn = TurnInput(items=({"kind": "text", "text": "hi"},), turn_id="t")
        for _ in range(2):
            with pytest.raises(TurnAborted):
                await session.turn(turn)
        assert (await session.turn(turn)).text == "a"
        assert len(provider.requests) == 1
        assert await agree(host, session) == 168
        assert host.usage.sql("select model_calls, total_tokens from usage.turns").fetchall() == [(1, 168)]
