"""States that an application takes out of a session and brings back, branches, and states that plugins refuse."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import BaseModel

from lash_host import (
    Message,
    PluginSnapshotError,
    Residency,
    Role,
    SessionBindingMismatch,
    SessionBusy,
    SessionPlugin,
    Settings,
    TextPart,
    UsageFault,
    hookimpl,
    tool,
)
from lash_host.testing import ScriptedProvider, scripted_host, text, tool_call


class Count(BaseModel):
    value: int = 0


class Counter(SessionPlugin[Count]):
    @tool
    async def count(self) -> int:
        """Count."""
        self.state.value += 1
        return self.state.value


def answers(*texts: str) -> ScriptedProvider:
    return ScriptedProvider(replies=[text(each) for each in texts])


def note(content: str) -> Message:
    return Message(message_id=f"note-{content}", role=Role.USER, parts=(TextPart(text=content),))


def said(runtime) -> list[str]:
    return [message.text for message in runtime.read_view().messages]


def counted(runtime) -> int:
    return runtime.export_persisted_state().plugin_snapshot.plugins["p"].state["value"]


async def test_an_older_state_is_gone_on_from_and_what_was_spent_stays_spent(plugin_of, assert_sound) -> None:
    replies = [tool_call("count", {}), text("1"), tool_call("count", {}), text("2"), tool_call("count", {}), text("2")]
    async with scripted_host(*replies, plugins=[plugin_of(Counter)]) as host, host.session("s") as session:
        await session.turn("one")
        before = session.export_persisted_state()
        await session.turn("two")
        session.apply_persistence_state(before)
        assert (counted(session), said(session)) == (1, ["one", "", "", "1"])
        await session.turn("instead")
        assert counted(session) == 2
        assert said(session) == ["one", "", "", "1", "instead", "", "", "2"]
        assert session.usage_report().usage.total_tokens == 6 * 168
        await assert_sound(host, session)
        off_path = host.usage.sql("select text from usage.messages where not on_active_path and text <> ''").fetchall()
        assert sorted(off_path) == [("2",), ("two",)]


async def test_a_state_moves_to_another_store(plugin_of, tmp_path: Path, assert_sound) -> None:
    plugins = [plugin_of(Counter)]
    async with scripted_host(tool_call("count", {}), text("a"), text("b"), plugins=plugins) as host:
        async with host.session("s", residency=Residency.KEEP_ALL) as session:
            await session.turn("one")
            await session.turn("two")
            state = session.export_persisted_state()
        async with host.session("t") as wrong:
            with pytest.raises(SessionBindingMismatch):
                wrong.apply_persistence_state(state)
    async with scripted_host(tool_call("count", {}), text("c"), plugins=plugins, store=tmp_path / "t.duckdb") as host:
        async with host.session("s") as session:
            session.apply_persistence_state(state)
            await session.turn("three")
            assert counted(session) == 2
            assert said(session)[-5:] == ["b", "three", "", "", "c"]
            await assert_sound(host, session)


async def test_a_state_without_its_whole_graph_cannot_replace_anything(plugin_of) -> None:
    async with scripted_host(provider=answers("a", "b", "c", "sum"), plugins=["compaction_summary"]) as host:
        async with host.session("s") as session:
            for n in range(3):
                await session.turn(f"q{n}")
            assert await session.compact_context()
        async with host.session("s") as again:
            state = again.export_persisted_state()
    assert state.session_graph.is_trimmed
    async with scripted_host() as host, host.session("s") as session:
        with pytest.raises(UsageFault, match="KEEP_ALL"):
            session.apply_persistence_state(state)


async def test_a_state_is_not_replaced_under_a_running_turn() -> None:
    async with scripted_host([asyncio.Event()]) as host, host.session("s") as session:
        started = asyncio.Event()
        task = asyncio.create_task(session.turn("hi", on_activity=lambda _: started.set()))
        await started.wait()
        with pytest.raises(SessionBusy):
            session.apply_persistence_state(session.export_persisted_state())
        session.cancel_running_turn()
        await task


async def test_a_stored_state_that_a_plugin_refuses_leaves_everything_as_it_was(plugin_of) -> None:
    class Strict(Counter):
        @hookimpl
        def lash_restore_snapshot(self, meta, reader):
            if meta.state and meta.state["value"] == 1 and self.state.value == 0 and not self.lenient:
                raise ValueError("I will not")
            super().lash_restore_snapshot(meta, reader)

        lenient = False

    replies = [text("a"), tool_call("count", {}), text("b"), text("c")]
    async with scripted_host(*replies, plugins=[plugin_of(Strict)]) as host:
        async with host.session("s") as mine, host.session("s") as other:
            await mine.turn("one")
            await other.turn("two")
            with pytest.raises(PluginSnapshotError, match="I will not"):
                await mine.turn("three")
            assert said(mine) == ["one", "a"]
            Strict.lenient = True
            assert (await mine.turn("three")).turn_index == 3
            assert counted(mine) == 1


async def test_a_branch_goes_back_to_its_frame_and_never_between_a_call_and_its_result(plugin_of, assert_sound) -> None:
    provider = ScriptedProvider(replies=[tool_call("count", {}), text("a"), text("b"), text("c")])
    async with scripted_host(provider=provider, plugins=[plugin_of(Counter)]) as host:
        async with host.session("s", residency=Residency.KEEP_ALL) as session:
            await session.turn("one")
            nodes = list(session.read_view().graph.nodes)
            await session.open_agent_frame("f2", initial_messages=[note("seed")])
            await session.turn("two")
            with pytest.raises(UsageFault, match="results"):
                await session.branch_to_node(nodes[1].node_id)
            await session.branch_to_node(nodes[2].node_id)
            view = session.read_view()
            assert (view.frame_id, [frame.status for frame in view.agent_frames]) == (
                "s:frame:initial",
                ["active", "superseded"],
            )
            await session.turn("three")
            assert said(session) == ["one", "", "", "three", "c"]
            await assert_sound(host, session)


async def test_settings_give_the_protocol_its_options() -> None:
    settings = Settings(
        model="scripted/test", plugins={"options": {"protocol_default": {"instructions": "Be a pirate."}}}
    )
    provider = answers("a", "b")
    async with scripted_host(provider=provider, settings=settings) as host:
        async with host.session("s") as session:
            await session.turn("hi")
        async with host.session("t", plugin_options={"protocol_default": {"tool_choice": "none"}}) as session:
            await session.turn("hi")
    assert all("Be a pirate." in request.system for request in provider.requests)
    assert [request.tool_choice for request in provider.requests] == ["auto", "none"]
