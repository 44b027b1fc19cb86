"""Hosts: what keeps one from opening, how one is closed, and what plugins let an application call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import BaseModel

import lash_host
from lash_host import (
    InvalidOperationArguments,
    PluginHookError,
    PluginLoadError,
    PluginOperation,
    SessionBusy,
    SessionClosed,
    SessionPlugin,
    Settings,
    SettingsError,
    StoreError,
    TurnAborted,
    UnknownOperation,
    UsageFault,
    UsageView,
    hookimpl,
)
from lash_host.store import open_store
from lash_host.testing import ScriptedProvider, scripted_host, text

PRICE = {"input_per_mtok": 1, "output_per_mtok": 1, "source": "here", "as_of": "2026-01-01"}


class Views:
    """Brings one view that works and one that does not."""

    plugin_id = "my.views"

    @hookimpl
    def lash_register_usage_views(self):
        return [
            UsageView(name="bad", sql="select nonsense from nowhere", description="broken"),
            UsageView(name="good", sql="select count(*) as turns from usage.turns", description="fine"),
        ]


# --- opening and closing ----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"effect_host": "nobody"}, {"prices": {"noslash": PRICE}}])
async def test_wrong_settings_are_told_before_the_store_is_touched(wrong, tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with pytest.raises(SettingsError):
        await lash_host.open(store, settings=Settings(**wrong), plugins=["protocol_default"])
    assert not store.exists()


async def test_a_view_that_the_store_refuses_is_left_out(tmp_path: Path) -> None:
    for _ in range(2):
        async with scripted_host(text("a"), plugins=[Views()], store=tmp_path / "s.duckdb") as host:
            await (await host.session("s")).turn("hi")
            assert host.usage.sql("select turns from usage.my_views_good").fetchall()[0][0] > 0
            (finding,) = host.plugins.findings
            assert (finding.plugin_id, finding.hook) == ("my.views", "lash_register_usage_views")
            assert "nowhere" in finding.message
    with pytest.raises(PluginLoadError, match="nowhere"):
        await lash_host.open(tmp_path / "s.duckdb", plugins=["protocol_default", Views()], strict_plugins=True)
    open_store(tmp_path / "s.duckdb").close()


async def test_a_host_closes_once_and_its_store_with_it(tmp_path: Path) -> None:
    provider = ScriptedProvider(replies=[text("a")])
    host = await lash_host.open(tmp_path / "s.duckdb", plugins=["protocol_default"], providers=[provider])
    session = await host.session("s", model="scripted/test")
    await session.turn("hi")
    await asyncio.gather(host.close(), host.close())
    await host.close()
    assert provider.is_closed
    with pytest.raises(SessionClosed):
        await session.turn("again")
    with pytest.raises(StoreError, match="closed"):
        await host.sessions()
    open_store(tmp_path / "s.duckdb").close()


async def test_a_host_whose_closing_is_cancelled_closes_all_the_same(tmp_path: Path) -> None:
    reached, release = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedProvider):
        async def close(self):
            reached.set()
            await release.wait()

    host = await lash_host.open(tmp_path / "s.duckdb", plugins=["protocol_default"], providers=[Slow()])
    closing = asyncio.create_task(host.close())
    await reached.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    release.set()
    await host.close()
    open_store(tmp_path / "s.duckdb").close()


async def test_a_provider_that_does_not_close_is_logged_and_the_store_closed(tmp_path: Path, caplog) -> None:
    class Stuck(ScriptedProvider):
        async def close(self):
            raise RuntimeError("stuck")

    async with lash_host.open(tmp_path / "s.duckdb", plugins=["protocol_default"], providers=[Stuck()]):
        pass
    assert "stuck" in caplog.text
    open_store(tmp_path / "s.duckdb").close()


async def test_whoever_watches_a_turn_cannot_harm_it(caplog) -> None:
    def fail(activity):
        raise RuntimeError(f"at {activity.kind}")

    async with scripted_host(text("a")) as host, host.session("s") as session:
        result = await session.turn("hi", on_activity=fail)
        assert (result.text, result.issues) == ("a", ())
        assert session.read_view().turn_index == 1
    assert "at turn_finished" in caplog.text


# --- operations -------------------------------------------------------------------------------------


class Count(BaseModel):
    value: int = 0


class Counting(SessionPlugin[Count]):
    """Lets the application read and change a count."""

    waiting = asyncio.Event()

    @hookimpl
    def lash_register_operations(self):
        number = {"type": "object", "properties": {"by": {"type": "integer"}}}
        nothing = {"type": "object", "properties": {}}
        return [
            PluginOperation(name="total", kind="query", description="Say it.", input_schema=nothing, run=self.total),
            PluginOperation(name="add", kind="command", description="Add.", input_schema=number, run=self.add),
            PluginOperation(name="wait", kind="task", description="Wait.", input_schema=nothing, run=self.wait),
        ]

    async def total(self, arguments, context):
        return {"total": self.state.value, "turns": context.state.turn_index, "session": context.session_id}

    async def add(self, arguments, context):
        self.state.value += arguments.get("by", 1)
        if self.state.value > 100:
            raise RuntimeError("too much")
        if self.state.value < 0:
            raise UsageFault("too little")
        return self.state.value

    async def wait(self, arguments, context):
        self.state.value += 1
        self.waiting.set()
        await asyncio.Event().wait()

    @hookimpl
    async def lash_after_turn(self, context):
        if context.text == "fail":
            raise RuntimeError("no")
        return []


async def test_operations_read_and_change_what_is_stored(plugin_of, assert_sound) -> None:
    async with scripted_host(text("a"), text("b"), plugins=[plugin_of(Counting)]) as host:
        async with host.session("s") as session, host.session("s") as other:
            await session.turn("hi")
            assert await session.invoke_plugin_operation("total") == {"total": 0, "turns": 1, "session": "s"}
            assert await session.invoke_plugin_operation("add", {"by": 5}, kind="command") == 5
            await assert_sound(host, session)
            assert await other.invoke_plugin_operation("add", kind="command") == 6
            revision = other.export_persisted_state().head_revision
            assert await other.invoke_plugin_operation("add", {"by": 0}, kind="command") == 6
            assert other.export_persisted_state().head_revision == revision
            await session.turn("and on")
            assert (await session.invoke_plugin_operation("total"))["total"] == 6
            await assert_sound(host, session)


@pytest.mark.parametrize(("by", "error"), [(500, PluginHookError), (-500, UsageFault)])
async def test_an_operation_that_fails_changes_nothing(by, error, plugin_of, assert_sound) -> None:
    async with scripted_host(text("a"), plugins=[plugin_of(Counting)]) as host, host.session("s") as session:
        await session.turn("hi")
        await session.invoke_plugin_operation("add", {"by": 5}, kind="command")
        with pytest.raises(error):
            await session.invoke_plugin_operation("add", {"by": by}, kind="command")
        assert (await session.invoke_plugin_operation("total"))["total"] == 5
        await assert_sound(host, session)


async def test_what_an_operation_changed_before_the_first_turn_outlives_a_turn_that_fails(plugin_of) -> None:
    async with scripted_host(text("fail"), text("a"), plugins=[plugin_of(Counting)]) as host:
        async with host.session("s") as session:
            await session.invoke_plugin_operation("add", {"by": 5}, kind="command")
            with pytest.raises(TurnAborted):
                await session.turn("one")
            await session.turn("two")
        async with host.session("s") as again:
            assert (await again.invoke_plugin_operation("total"))["total"] == 5


async def test_wrong_calls_of_operations_say_what_is_wrong(plugin_of) -> None:
    async with scripted_host(plugins=[plugin_of(Counting)]) as host, host.session("s") as session:
        with pytest.raises(UnknownOperation, match="total"):
            await session.invoke_plugin_operation("nonsense")
        with pytest.raises(UnknownOperation):
            await session.invoke_plugin_operation("add", kind="query")
        with pytest.raises(InvalidOperationArguments, match="by"):
            await session.invoke_plugin_operation("add", {"by": "much"}, kind="command")


async def test_a_query_may_be_asked_during_a_turn_and_a_command_may_not(plugin_of) -> None:
    async with scripted_host([asyncio.Event()], plugins=[plugin_of(Counting)]) as host:
        async with host.session("s") as session:
            started = asyncio.Event()
            task = asyncio.create_task(session.turn("hi", on_activity=lambda _: started.set()))
            await started.wait()
            assert (await session.invoke_plugin_operation("total"))["total"] == 0
            with pytest.raises(SessionBusy):
                await session.invoke_plugin_operation("add", kind="command")
            session.cancel_running_turn()
            await task


async def test_closing_a_session_ends_a_task_of_a_plugin(plugin_of, assert_sound) -> None:
    async with scripted_host(text("a"), plugins=[plugin_of(Counting)]) as host:
        session = await host.session("s")
        await session.turn("hi")
        task = asyncio.create_task(session.invoke_plugin_operation("wait", kind="task"))
        await Counting.waiting.wait()
        await session.close()
        with pytest.raises(SessionClosed):
            await task
        await assert_sound(host, session)
