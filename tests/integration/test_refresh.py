"""Several runtimes of one session: each sees what the others did, and keeps what it was asked to change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import BaseModel

from lash_host import (
    GenerationMismatch,
    HeadRevisionConflict,
    Message,
    ProtocolTurnOptions,
    Role,
    SessionBusy,
    SessionPlugin,
    StoreError,
    StoreUnwritable,
    TextPart,
    TurnAborted,
    UnknownSession,
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

    @hookimpl
    async def lash_after_turn(self, context):
        if context.text == "fail":
            raise RuntimeError("as asked")
        return []


def answers(*texts: str) -> ScriptedProvider:
    return ScriptedProvider(replies=[text(each) for each in texts])


def note(content: str) -> Message:
    return Message(message_id=f"note-{content}", role=Role.USER, parts=(TextPart(text=content),))


def said(runtime) -> list[str]:
    return [message.text for message in runtime.read_view().messages]


def counted(runtime) -> int:
    return runtime.export_persisted_state().plugin_snapshot.plugins["p"].state["value"]


# --- what others write ------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["config", "frame", "append", "compact", "branch", "tools", "fresh"])
async def test_a_turn_sees_what_another_runtime_did(what, plugin_of, assert_sound) -> None:
    provider = answers("a1", "a2", "a3", "more", "and more")
    plugins = ["compaction_summary", plugin_of(Counter)]
    async with scripted_host(provider=provider, plugins=plugins) as host:
        async with host.session("s") as mine, host.session("s") as other:
            for n in (1, 2, 3):
                await mine.turn(f"q{n}")
            match what:
                case "config":
                    await other.update_session_config(max_turns=7)
                case "frame":
                    await other.open_agent_frame("f2", initial_messages=[note("seed")])
                case "append":
                    await other.append_session_nodes([note("by the way")])
                case "compact":
                    assert await other.compact_context()
                case "branch":
                    await other.await_background_work()
                    await other.branch_to_node(
                        next(n.node_id for n in other.read_view().graph.nodes if n.label != "user")
                    )
                case "tools":
                    await other.set_tool_membership(["count"], present=False)
                case "fresh":
                    async with host.session("s", fresh=True) as fresh:
                        await fresh.turn("anew")
            seen = {
                "frame": ["seed"],
                "append": ["q1", "a1", "q2", "a2", "q3", "a3", "by the way"],
                "compact": [*said(other)],
                "branch": ["q1", "a1"],
                "fresh": ["anew", "more"],
            }.get(what, ["q1", "a1", "q2", "a2", "q3", "a3"])
            result = await mine.turn("go on")
            assert [m.text for m in provider.requests[-1].messages] == [*seen, "go on"]
            assert said(mine) == [*seen, "go on", result.text]
            if what == "config":
                assert mine.read_view().policy.max_turns == 7
            if what == "tools":
                assert mine.tool_catalog() == []
            await assert_sound(host, mine)


async def test_nobody_else_writing_costs_no_query(plugin_of, monkeypatch) -> None:
    async with scripted_host(provider=answers("a", "b", "c"), plugins=[plugin_of(Counter)]) as host:
        async with host.session("s") as session:
            await session.turn("one")
            asked = []
            for name in ("session_info", "load_session", "load_node"):
                monkeypatch.setattr(host.store, name, lambda *args, name=name, **kwargs: asked.append(name))
            await session.turn("two")
            await session.update_session_config(max_turns=5)
            await session.turn("three")
            assert asked == []


async def test_two_runtimes_of_a_session_that_is_not_there_yet_agree() -> None:
    provider = answers("a", "b")
    async with scripted_host(provider=provider) as host:
        async with host.session("s") as first, host.session("s", provider="scripted", model="special") as second:
            await first.turn("one")
            await second.turn("two")
            assert said(second) == ["one", "a", "two", "b"]
            assert [request.model.model_id for request in provider.requests] == ["test", "special"]


async def test_a_deleted_session_is_gone_for_whoever_has_it_open(plugin_of) -> None:
    async with scripted_host(provider=answers("a", "new", "x"), plugins=[plugin_of(Counter)]) as host:
        async with host.session("s") as session:
            await session.turn("one")
            await host.delete_session("s")
            for _ in range(2):
                with pytest.raises(UnknownSession):
                    await session.turn("two")
                with pytest.raises(UnknownSession):
                    await session.update_session_config(max_turns=3)
            async with host.session("s") as anew:
                assert (await anew.turn("first again")).turn_index == 1
            await session.turn("and then")
            assert said(session) == ["first again", "new", "and then", "x"]


async def test_a_session_that_was_made_anew_elsewhere_is_never_mixed_with_the_old_one(plugin_of) -> None:
    async with scripted_host(provider=answers("a", "new", "lost", "x"), plugins=[plugin_of(Counter)]) as host:
        async with host.session("s") as session:
            await session.turn("one")
            host.store.delete_session("s")  # as another host would, without a word to this one
            async with host.session("s") as anew:
                await anew.turn("first again")
            with pytest.raises(StoreError):
                await session.turn("two")
            await session.turn("and then")
            assert said(session) == ["first again", "new", "and then", "x"]


async def test_a_reload_that_fails_is_tried_again(monkeypatch, assert_sound) -> None:
    async with scripted_host(provider=answers("a", "b", "c")) as host:
        async with host.session("s") as mine, host.session("s") as other:
            await mine.turn("one")
            await other.turn("two")
            with monkeypatch.context() as broken:
                broken.setattr(host.store, "load_session", lambda *args, **kwargs: fail_with(StoreError("no")))
                for _ in range(2):
                    with pytest.raises(StoreError):
                        await mine.turn("three")
            assert (await mine.turn("three")).turn_index == 3
            assert said(mine) == ["one", "a", "two", "b", "three", "c"]
            await assert_sound(host, mine)


def fail_with(error: Exception) -> None:
    raise error


# --- what this one was asked to change --------------------------------------------------------------


async def test_options_set_in_memory_outlive_what_others_write_and_what_fails(plugin_of, assert_sound) -> None:
    options = ProtocolTurnOptions(payload={"tool_choice": "none"})
    provider = answers("a", "b", "fail", "c")
    async with scripted_host(provider=provider, plugins=[plugin_of(Counter)]) as host:
        async with host.session("s") as mine, host.session("s") as other:
            await mine.turn("one")
            mine.set_protocol_turn_options(options)
            await other.turn("two")
            with pytest.raises(TurnAborted):
                await mine.turn("three")
            assert mine.protocol_turn_options == options
            await mine.turn("four")
            assert provider.requests[-1].tool_choice == "none"
            await assert_sound(host, mine)
        async with host.session("s") as again:
            assert again.protocol_turn_options == options


async def test_options_set_while_a_turn_is_committed_are_not_lost(monkeypatch) -> None:
    options = ProtocolTurnOptions(payload={"tool_choice": "none"})
    async with scripted_host(provider=answers("a", "b")) as host, host.session("s") as session:
        commit, loop = host.store.commit, asyncio.get_running_loop()

        def late(request):
            asyncio.run_coroutine_threadsafe(set_options(), loop).result(10)
            return commit(request)

        async def set_options():
            session.set_protocol_turn_options(options)

        with monkeypatch.context() as patched:
            patched.setattr(host.store, "commit", late)
            await session.turn("one")
        assert session.protocol_turn_options == options
        await session.turn("two")
        async with host.session("s") as again:
            assert again.protocol_turn_options == options


async def test_what_an_opening_asked_for_outlives_a_turn_that_fails(plugin_of, tmp_path: Path, assert_sound) -> None:
    provider = answers("a", "fail", "b")
    plugins = [plugin_of(Counter)]
    async with scripted_host(provider=provider, plugins=plugins, store=tmp_path / "s.duckdb") as host:
        async with host.session("s") as session:
            await session.turn("one")
        asked = {"protocol_default": {"instructions": "Be a pirate."}}
        async with host.session("s", model="scripted/special", plugin_options=asked) as session:
            with pytest.raises(TurnAborted):
                await session.turn("two")
            await session.turn("three")
            assert provider.requests[-1].model.model_id == "special"
            assert "Be a pirate." in provider.requests[-1].system
            await assert_sound(host, session)
        async with host.session("s") as again:
            assert str(again.read_view().policy.model) == "scripted/special"
            again.set_protocol_turn_options(ProtocolTurnOptions(payload={"instructions": "Be a monk."}))
            await again.update_session_config(max_turns=4)
        async with host.session("s") as again:
            assert again.protocol_turn_options.payload == {"instructions": "Be a monk."}


async def test_the_first_turn_may_fail(plugin_of, assert_sound) -> None:
    replies = [tool_call("count", {}), text("fail"), tool_call("count", {}), text("b")]
    async with scripted_host(*replies, plugins=[plugin_of(Counter)]) as host, host.session("s") as session:
        await session.update_session_config(max_turns=5)
        await session.set_tool_membership(["count"], present=True)
        with pytest.raises(TurnAborted):
            await session.turn("one")
        assert counted(session) == 0
        assert list(await host.sessions()) == []
        result = await session.turn("two")
        assert (result.turn_index, counted(session)) == (1, 1)
        assert session.read_view().policy.max_turns == 5
        await assert_sound(host, session)


async def test_a_plugin_whose_state_was_never_stored_begins_anew_after_a_failed_turn(plugin_of) -> None:
    class Unstorable(Counter):
        can_store = False

        @hookimpl
        def lash_capture_snapshot(self, writer):
            if not type(self).can_store:
                raise RuntimeError("not now")
            super().lash_capture_snapshot(writer)

    replies = [text("a"), tool_call("count", {}), text("fail")]
    async with scripted_host(*replies, plugins=[plugin_of(Unstorable)]) as host, host.session("s") as session:
        first = await session.turn("one")
        assert [issue.code for issue in first.issues] == ["plugin_snapshot"]
        with pytest.raises(TurnAborted):
            await session.turn("two")
        Unstorable.can_store = True
        assert counted(session) == 0


# --- changes that cannot be stored ------------------------------------------------------------------


async def test_a_commit_that_fails_takes_the_turn_back(plugin_of, monkeypatch, assert_sound) -> None:
    replies = [text("a"), tool_call("count", {}), text("b"), tool_call("count", {}), text("c")]
    async with scripted_host(*replies, plugins=[plugin_of(Counter)]) as host, host.session("s") as session:
        await session.turn("one")
        with monkeypatch.context() as broken:
            broken.setattr(host.store, "commit", lambda commit: fail_with(StoreUnwritable("here", problem="full")))
            with pytest.raises(StoreUnwritable):
                await session.turn("two")
        assert (counted(session), said(session)) == (0, ["one", "a"])
        await assert_sound(host, session)
        result = await session.turn("three")
        assert (result.turn_index, counted(session)) == (2, 1)
        await assert_sound(host, session)
        assert session.usage_report().usage.total_tokens == 5 * 168


async def test_tool_edits_are_made_on_what_is_stored_and_taken_back_when_they_cannot_be(
    plugin_of, monkeypatch, assert_sound
) -> None:
    async with scripted_host(provider=answers("a", "b"), plugins=[plugin_of(Counter)]) as host:
        async with host.session("s") as mine, host.session("s") as other:
            await mine.turn("one")
            stale = mine.tool_state()
            await other.set_tool_membership(["count"], present=False)
            with pytest.raises(GenerationMismatch):
                await mine.apply_tool_state(stale)
            assert mine.tool_catalog() == []
            assert await mine.set_tool_membership(["count"], present=True) == stale.generation + 2
            with monkeypatch.context() as broken:
                broken.setattr(host.store, "commit", lambda commit: fail_with(StoreUnwritable("here", problem="full")))
                with pytest.raises(StoreUnwritable):
                    await mine.set_tool_membership(["count"], present=False)
            assert [entry["name"] for entry in mine.tool_catalog()] == ["count"]
            await mine.turn("two")
            await assert_sound(host, mine)


async def test_what_nobody_may_write_now_changes_nothing_in_memory(plugin_of) -> None:
    gate = asyncio.Event()
    provider = ScriptedProvider(replies=[text("a"), [gate, text("b")]])
    async with scripted_host(provider=provider, plugins=[plugin_of(Counter)]) as host:
        async with host.session("s") as mine, host.session("s") as other:
            await mine.turn("one")
            started = asyncio.Event()
            task = asyncio.create_task(other.turn("two", on_activity=lambda _: started.set()))
            await started.wait()
            for change in (
                mine.set_tool_membership(["count"], present=False),
                mine.update_session_config(max_turns=3),
                mine.compact_context(),
                mine.open_agent_frame("f"),
                mine.append_session_nodes([note("x")]),
                host.delete_session("s"),
            ):
                with pytest.raises(SessionBusy):
                    await change
            assert [entry["name"] for entry in mine.tool_catalog()] == ["count"]
            assert mine.read_view().policy.max_turns != 3
            gate.set()
            await task


async def test_a_conflict_is_told_and_the_next_turn_is_up_to_date(monkeypatch, assert_sound) -> None:
    async with scripted_host(provider=answers("a", "b", "c")) as host:
        async with host.session("s") as session:
            await session.turn("one")
            conflict = HeadRevisionConflict(session_id="s", expected=1, actual=2)
            with monkeypatch.context() as broken:
                broken.setattr(host.store, "commit", lambda commit: fail_with(conflict))
                with pytest.raises(HeadRevisionConflict):
                    await session.turn("two")
            assert (await session.turn("three")).turn_index == 2
            await assert_sound(host, session)
