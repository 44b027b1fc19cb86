"""Cancelling at every place a turn can be at: it is committed whole or not at all, and nobody is locked out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from lash_host import ModelCallError, SessionClosed, SessionPlugin, StoreError, TextDelta, hookimpl, tool
from lash_host.contracts.store import SessionStore
from lash_host.store import open_store
from lash_host.testing import ManualClock, ScriptedProvider, scripted_host, text, tool_call


class Seen(BaseModel):
    value: int = 0


def stuck_hook(hook: str, entered: asyncio.Event) -> type:
    """Make a session plugin that never comes back from a hook, the first time."""

    class Stuck(SessionPlugin[Seen]):
        async def stay(self) -> None:
            self.state.value += 1
            if not entered.is_set():
                entered.set()
                await asyncio.Event().wait()

    async def of_context(self, context):
        await self.stay()
        return context if hook == "lash_transform_response" else []

    async def of_view(self, context, prepared):
        await self.stay()
        return prepared

    body = of_view if hook == "lash_transform_turn_context" else of_context
    return types.new_class("StuckPlugin", (Stuck,), {}, lambda names: names.update({hook: hookimpl(body)}))


@pytest.mark.parametrize(
    "hook",
    [
        "lash_transform_turn_context",
        "lash_before_turn",
        "lash_contribute_prompt",
        "lash_transform_response",
        "lash_checkpoint",
    ],
)
async def test_a_hook_that_never_comes_back_cannot_hold_a_cancelled_turn(hook, plugin_of, assert_sound) -> None:
    entered = asyncio.Event()
    provider = ScriptedProvider(replies=[text("a"), text("b")])
    async with scripted_host(provider=provider, plugins=[plugin_of(stuck_hook(hook, entered))]) as host:
        async with host.session("s") as session:
            task = asyncio.create_task(session.turn("hi"))
            await entered.wait()
            assert session.cancel_running_turn()
            result = await task
            assert (result.stop_reason, result.turn_index) == ("cancelled", 1)
            assert [m.text for m in session.read_view().messages] == ["hi"]
            assert result.usage.total_tokens == session.usage_report().usage.total_tokens
            await assert_sound(host, session)
            assert (await session.turn("again")).is_success
            assert not session.cancel_running_turn()


async def test_a_timeout_around_a_turn_is_kept_and_the_turn_committed(assert_sound) -> None:
    async with scripted_host([TextDelta("so"), asyncio.Event()], text("b")) as host, host.session("s") as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.turn("hi")
        assert host.usage.sql("select stop_reason from usage.turns").fetchall() == [("cancelled",)]
        await assert_sound(host, session)
        assert (await session.turn("again")).text == "b"


async def test_a_task_that_is_cancelled_before_it_runs_leaves_nothing(assert_sound) -> None:
    async with scripted_host(text("b")) as host, host.session("s") as session:
        task = asyncio.create_task(session.turn("hi"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(await host.sessions()) == []
        assert (await session.turn("again")).text == "b"
        await assert_sound(host, session)


@pytest.mark.parametrize("steps", range(0, 60, 9))
async def test_wherever_a_turn_is_cancelled_it_is_whole_or_not_there(steps, plugin_of, assert_sound) -> None:
    class Busy(SessionPlugin[Seen]):
        @tool
        async def work(self) -> int:
            """Work."""
            self.state.value += 1
            await asyncio.sleep(0)
            return self.state.value

        @hookimpl
        async def lash_before_turn(self, context):
            await asyncio.sleep(0)
            return []

        @hookimpl
        async def lash_after_turn(self, context):
            await asyncio.sleep(0)
            return []

    replies = [tool_call("work", {}), text("a"), tool_call("work", {}), text("b")]
    async with scripted_host(*replies, plugins=[plugin_of(Busy)]) as host, host.session("s") as session:
        task = asyncio.create_task(session.turn("one"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        committed = host.usage.sql("select turn_index from usage.turns").fetchall()
        assert session.read_view().turn_index == len(committed) <= 1
        if committed:
            await assert_sound(host, session)
        assert (await session.turn("two")).turn_index == len(committed) + 1
        await assert_sound(host, session)


async def test_cancelling_twice_drops_the_turn(plugin_of, assert_sound) -> None:
    entered = asyncio.Event()

    class Slow(SessionPlugin[Seen]):
        @hookimpl
        async def lash_after_turn(self, context):
            self.state.value += 1
            if not entered.is_set():
                entered.set()
                await asyncio.Event().wait()
            return []

    async with scripted_host(text("a"), text("b"), plugins=[plugin_of(Slow)]) as host, host.session("s") as session:
        task = asyncio.create_task(session.turn("one"))
        await entered.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(await host.sessions()) == []
        assert (await session.turn("two")).turn_index == 1
        await assert_sound(host, session)
        assert session.export_persisted_state().plugin_snapshot.plugins["p"].state == {"value": 1}
        assert session.usage_report().usage.total_tokens == 2 * 168


@pytest.mark.parametrize("read", [0, 1])
async def test_a_stream_that_is_left_early_gives_way_to_the_next_turn(read, assert_sound) -> None:
    async with scripted_host([TextDelta("so"), asyncio.Event()], text("b")) as host, host.session("s") as session:
        async for _ in session.stream("one"):
            if read == 0:
                break
            read -= 1
        assert (await session.turn("two")).text == "b"
        assert host.usage.sql("select stop_reason from usage.turns order by turn_index").fetchall() == [
            ("cancelled",), (None,),
        ]  # fmt: skip
        await assert_sound(host, session)


async def test_a_stream_that_is_never_read_does_nothing() -> None:
    async with scripted_host(text("b")) as host, host.session("s") as session:
        await session.stream("one").aclose()
        assert list(await host.sessions()) == []
        assert (await session.turn("two")).turn_index == 1


async def test_a_stream_that_is_left_after_its_end_has_committed_its_turn(assert_sound) -> None:
    async with scripted_host(text("a"), text("b")) as host, host.session("s") as session:
        async for activity in session.stream("one"):
            if activity.kind == "turn_finished":
                break
        assert (await session.turn("two")).turn_index == 2
        assert [m.text for m in session.read_view().messages] == ["one", "a", "two", "b"]
        await assert_sound(host, session)


async def test_closing_a_stream_waits_for_its_turn() -> None:
    async with scripted_host([TextDelta("so"), asyncio.Event()]) as host, host.session("s") as session:
        async with contextlib.aclosing(session.stream("one")) as stream:
            await anext(stream)
        assert session.read_view().turn_index == 1
        assert (await host.session_info("s")).turns == 1


async def test_closing_a_session_cancels_its_turn_and_waits_for_the_commit() -> None:
    async with scripted_host([TextDelta("so"), asyncio.Event()]) as host:
        session = await host.session("s")
        started = asyncio.Event()
        task = asyncio.create_task(session.turn("hi", on_activity=lambda _: started.set()))
        await started.wait()
        await session.close()
        assert (await host.session_info("s")).turns == 1
        assert (await task).stop_reason == "cancelled"
        with pytest.raises(SessionClosed):
            await session.turn("again")


async def test_closing_the_host_closes_its_sessions_first(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    started = asyncio.Event()
    async with scripted_host([TextDelta("so"), asyncio.Event()], store=store) as host:
        session = await host.session("s")
        task = asyncio.create_task(session.turn("hi", on_activity=lambda _: started.set()))
        await started.wait()
    assert (await task).stop_reason == "cancelled"
    with pytest.raises(SessionClosed):
        await session.turn("again")
    with pytest.raises(StoreError, match="closed"):
        await host.session("s")
    async with scripted_host(store=store) as host:
        assert (await host.session_info("s")).turns == 1


async def test_closing_a_session_ends_a_compaction(plugin_of, assert_sound) -> None:
    entered = asyncio.Event()

    class Endless(SessionPlugin[Seen]):
        @hookimpl
        async def lash_compact_context(self, context):
            self.state.value = 7
            entered.set()
            await asyncio.Event().wait()

    async with scripted_host(text("a"), plugins=[plugin_of(Endless)]) as host:
        session = await host.session("s")
        await session.turn("hi")
        task = asyncio.create_task(session.compact_context())
        await entered.wait()
        await session.close()
        with pytest.raises(SessionClosed):
            await task
        await assert_sound(host, session)
        assert session.export_persisted_state().plugin_snapshot.plugins["p"].state == {"value": 0}


def cancel_within(store: SessionStore, method: str, task: Callable[[], asyncio.Task[object]], times: int = 1) -> None:
    """Have a task cancelled while a method of the store runs, the first time it does."""
    loop, original, done = asyncio.get_running_loop(), getattr(store, method), threading.Event()

    def cancelling(*args, **kwargs):
        if not done.is_set():
            for _ in range(times):
                loop.call_soon_threadsafe(task().cancel)
            loop.call_soon_threadsafe(done.set)
            done.wait(10)
        return original(*args, **kwargs)

    setattr(store, method, cancelling)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("method", ["claim_lease", "load_session", "commit"])
async def test_a_turn_that_is_cancelled_within_the_store_is_whole_or_not_there(
    method, times, plugin_of, assert_sound
) -> None:
    class Counter(SessionPlugin[Seen]):
        @hookimpl
        async def lash_after_turn(self, context):
            self.state.value += 1
            return []

    async with scripted_host(text("a"), text("b"), text("c"), plugins=[plugin_of(Counter)]) as host:
        async with host.session("s") as session, host.session("s") as other:
            await other.turn("before")
            cancel_within(host.store, method, lambda: task, times)
            task = asyncio.create_task(session.turn("one"))
            with pytest.raises(asyncio.CancelledError):
                await task
            turns = (await host.session_info("s")).turns
            await session.await_background_work()
            await assert_sound(host, session)
            assert session.export_persisted_state().plugin_snapshot.plugins["p"].state == {"value": turns}
            assert (await session.turn("two")).turn_index == turns + 1
            await assert_sound(host, session)
            spent = host.usage.sql("select sum(total_tokens) from usage.model_calls").fetchall()[0][0]
            assert session.usage_report().usage.total_tokens == spent


@pytest.mark.parametrize(
    ("what", "method"),
    [
        ("config", "claim_lease"),
        ("config", "commit"),
        ("nothing new", "release_lease"),
        ("append", "claim_lease"),
        ("append", "commit"),
        ("frame", "commit"),
        ("compact", "commit"),
        ("compact", "release_lease"),
        ("delete", "claim_lease"),
        ("delete", "delete_session"),
    ],
)
async def test_what_is_cancelled_outside_of_turns_leaves_no_lease(what, method, assert_sound) -> None:
    replies = [*[text("a")] * 3, text("sum"), text("b")] if what == "compact" else [text("a")] * 4
    async with scripted_host(*replies, plugins=["compaction_summary"]) as host, host.session("s") as session:
        for _ in range(3):
            await session.turn("hi")
        note = session.read_view().messages[0].model_copy(update={"message_id": "note"})
        doing = {
            "config": lambda: session.update_session_config(max_turns=5),
            "nothing new": session.update_session_config,
            "append": lambda: session.append_session_nodes([note]),
            "frame": lambda: session.open_agent_frame("f"),
            "compact": session.compact_context,
            "delete": lambda: host.delete_session("s"),
        }[what]
        cancel_within(host.store, method, lambda: task)
        task = asyncio.create_task(doing())
        with pytest.raises(asyncio.CancelledError):
            await task
        if (what, method) == ("delete", "delete_session"):
            assert list(await host.sessions()) == []
        else:
            await assert_sound(host, session)
            assert (await session.turn("again")).turn_index == 4


async def test_cancelling_during_the_wait_before_a_retry_ends_the_turn(assert_sound) -> None:
    clock = ManualClock()
    busy = ModelCallError("busy", kind="http", retryable=True)
    async with scripted_host(busy, text("b"), clock=clock) as host, host.session("s") as session:
        task = asyncio.create_task(session.turn("hi"))
        await clock.until_sleeping(2)  # the lease's renewal, and the retry
        session.cancel_running_turn()
        assert (await task).stop_reason == "cancelled"
        await assert_sound(host, session)
        assert clock.sleepers == 0


async def test_a_provider_that_will_not_stop_is_left_behind(assert_sound, monkeypatch, caplog) -> None:
    monkeypatch.setattr("lash_host.runtime.interruption.UNWIND_S", 0.01)
    began, release = asyncio.Event(), asyncio.Event()

    class Stubborn(ScriptedProvider):
        async def stream(self, request):
            began.set()
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()
            yield TextDelta("late")
            yield text("late")

    seen = []
    async with scripted_host(provider=Stubborn()) as host, host.session("s") as session:
        task = asyncio.create_task(session.turn("hi", on_activity=seen.append))
        await began.wait()
        session.cancel_running_turn()
        assert (await task).stop_reason == "cancelled"
        release.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert "late" not in [getattr(activity, "text", "") for activity in seen]
        await assert_sound(host, session)
    assert "not waiting for it" in caplog.text


@pytest.mark.parametrize("where", ["provider", "hook", "protocol", "after the commit"])
async def test_what_cancels_itself_does_not_cancel_the_caller(where, plugin_of, assert_sound) -> None:
    class SelfCancelling(SessionPlugin[None]):
        @hookimpl
        async def lash_checkpoint(self, context):
            if where == "hook":
                raise asyncio.CancelledError
            return []

        @hookimpl
        async def lash_on_event(self, event):
            if where == "after the commit":
                raise asyncio.CancelledError

    async def cancel_itself(call):
        raise asyncio.CancelledError

    reply = asyncio.CancelledError() if where == "provider" else text("a")
    async with scripted_host(reply, plugins=[plugin_of(SelfCancelling)]) as host, host.session("s") as session:
        if where == "protocol":
            session.plugin_session.protocol.before_model_call = cancel_itself
        result = await session.turn("hi")
        expected = {"provider": "provider_error", "hook": "runtime_error", "protocol": "runtime_error"}.get(where)
        assert result.stop_reason == expected
        assert result.turn_index == 1
        await assert_sound(host, session)


INTERRUPTED = """
import asyncio, sys
from lash_host.testing import scripted_host

async def main(store):
    async with scripted_host([asyncio.Event()], store=store) as host, host.session("s") as session:
        await session.turn("hi", on_activity=lambda _: print("in the middle", flush=True))

asyncio.run(main(sys.argv[1]))
"""


def test_a_keyboard_interrupt_commits_the_turn_as_cancelled(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    command = [sys.executable, "-c", INTERRUPTED, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "in the middle"
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    handle = open_store(store)
    try:
        assert handle.query("select stop_reason from usage.turns").fetchall() == [("cancelled",)]
    finally:
        handle.close()
