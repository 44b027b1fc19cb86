"""Sessions over their life: resumed, reconfigured, compacted, branched, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from lash_host import (
    CompactionError,
    GenerationMismatch,
    InvalidPluginOptions,
    Message,
    PluginSnapshotError,
    ProtocolTurnOptions,
    Role,
    SessionClosed,
    SessionPlugin,
    Settings,
    StaleBranch,
    TextPart,
    TokenUsage,
    UnknownModel,
    UnknownPlugin,
    UnknownProvider,
    UnknownSession,
    UsageFault,
    hookimpl,
    tool,
)
from lash_host.testing import ScriptedProvider, host_plugin, scripted_host, text, tool_call


class Count(BaseModel):
    value: int = 0


class CounterPlugin(SessionPlugin[Count]):
    @tool
    async def count(self) -> int:
        """Count."""
        self.state.value += 1
        return self.state.value

    @tool
    async def other(self) -> str:
        """Do something else."""
        return "else"


COUNTER = [host_plugin(CounterPlugin, plugin_id="counter")]


def message(message_id: str, content: str, role: Role = Role.USER) -> Message:
    return Message(message_id=message_id, role=role, parts=(TextPart(text=content),))


async def test_a_session_goes_on_in_another_process_with_plugin_state(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    for expected in (1, 2, 3):
        provider = ScriptedProvider(replies=[tool_call("count", {}), text(f"it is {expected}")])
        async with scripted_host(provider=provider, store=store, plugins=COUNTER) as host:
            async with host.session("s") as session:
                result = await session.turn("count")
                assert result.tool_calls[0].output.outcome.value == expected
                assert result.turn_index == expected
                assert len(provider.requests[0].messages) == 4 * (expected - 1) + 1


async def test_the_state_of_an_uninstalled_plugin_waits_for_it(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    async with scripted_host(tool_call("count", {}), text("1"), store=store, plugins=COUNTER) as host:
        await (await host.session("s")).turn("count")
    async with scripted_host(tool_call("count", {}), text("gone"), store=store) as host:
        async with host.session("s") as session:
            result = await session.turn("count")
            assert result.tool_calls[0].output.outcome.code == "tool_unavailable"
            assert session.tool_state().tools["counter.count"].orphaned
    async with scripted_host(tool_call("count", {}), text("2"), store=store, plugins=COUNTER) as host:
        async with host.session("s") as session:
            result = await session.turn("count")
            assert result.tool_calls[0].output.outcome.value == 2


async def test_a_model_given_at_opening_wins_over_the_recorded_one(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    async with scripted_host(text("a"), store=store) as host:
        await (await host.session("s")).turn("hi")
    async with scripted_host(text("b"), store=store) as host:
        async with host.session("s", model="offline/echo") as session:
            assert (await session.turn("say this")).text.startswith("say this")
        async with host.session("s") as session:
            assert str(session.read_view().policy.model) == "offline/echo"
        async with host.session("s", provider="scripted", model="other") as session:
            assert (await session.turn("hi")).text == "b"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"model": "nobody/x"}, UnknownProvider),
        ({"model": "offline/gpt"}, UnknownModel),
        ({"model": "justaname"}, UsageFault),
        ({"session_id": "  "}, UsageFault),
        ({"plugin_options": {"nobody": {}}}, UnknownPlugin),
        ({"plugin_options": {"protocol_default": {"tool_choice": "sometimes"}}}, InvalidPluginOptions),
        ({"plugin_options": {"protocol_default": {"nonsense": 1}}}, InvalidPluginOptions),
    ],
)
async def test_what_cannot_be_is_refused_when_the_session_opens(wrong: dict[str, object], error: type) -> None:
    async with scripted_host() as host:
        with pytest.raises(error):
            await host.session(**wrong)
        assert list(await host.sessions()) == []


async def test_config_changes_pass_the_mutators_and_are_stored_at_once(tmp_path: Path) -> None:
    events = []

    class Clamp(SessionPlugin[None]):
        @hookimpl
        async def lash_mutate_session_config(self, change, policy):
            return policy.model_copy(update={"max_turns": min(policy.max_turns or 5, 5)})

        @hookimpl
        async def lash_on_event(self, event):
            events.append(event)

    plugins = [host_plugin(Clamp)]
    async with scripted_host(text("a"), store=tmp_path / "s.duckdb", plugins=plugins) as host:
        async with host.session("s") as session:
            await session.turn("hi")
            policy = await session.update_session_config(model="offline/echo", max_turns=50)
            assert (policy.max_turns, str(policy.model)) == (5, "offline/echo")
        async with host.session("s") as session:
            assert session.read_view().policy == policy
    changes = [event for event in events if type(event).__name__ == "SessionConfigChanged"]
    assert [(change.previous.max_turns, change.current.max_turns) for change in changes] == [(100, 5)]


async def test_a_failing_mutator_is_skipped() -> None:
    class Broken(SessionPlugin[None]):
        @hookimpl
        async def lash_mutate_session_config(self, change, policy):
            raise RuntimeError("no")

    async with scripted_host(plugins=[host_plugin(Broken)]) as host, host.session("s") as session:
        assert (await session.update_session_config(max_turns=7)).max_turns == 7


async def test_lifecycle_events_come_in_order() -> None:
    seen = []

    class Watch(SessionPlugin[None]):
        @hookimpl
        async def lash_on_event(self, event):
            seen.append(type(event).__name__)

    async with scripted_host(text("a"), plugins=[host_plugin(Watch)]) as host, host.session("s") as session:
        await session.turn("hi")
    assert seen == ["SessionRestored", "TurnFinalized", "TurnPersisted"]


async def test_compaction_opens_a_frame_and_keeps_the_originals(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    replies = [*[text(f"answer {n}") for n in range(4)], text("They counted to three."), text("go on")]
    provider = ScriptedProvider(replies=replies)
    plugins = ["compaction_summary"]
    async with scripted_host(provider=provider, store=store, plugins=plugins) as host:
        async with host.session("s") as session:
            for n in range(4):
                await session.turn(f"question {n}")
            assert await session.compact_context("be brief") is True
            assert "be brief" in provider.requests[-1].messages[-1].text
            said = [m.text for m in session.read_view().messages]
            assert said[0].endswith("They counted to three.")
            assert said[1:] == ["question 2", "answer 2", "question 3", "answer 3"]
            frame = session.read_view().agent_frames[-1]
            assert (frame.reason, len(frame.caused_by["covered_node_ids"])) == ("compaction", 4)
            assert session.usage_report().by_source["compaction"].total_tokens == 168
    async with scripted_host(provider=provider, store=store, plugins=plugins) as host:
        async with host.session("s") as session:
            assert [m.text for m in session.read_view().messages] == said
            await session.turn("and now?")
            assert len(provider.requests[-1].messages) == 6
            assert session.usage_report().by_source["compaction"].total_tokens == 168
        texts = [row[0] for row in host.usage.sql("select text from usage.messages").fetchall()]
        assert {"question 0", "answer 0"} <= set(texts)


async def test_nothing_to_compact_does_nothing() -> None:
    provider = ScriptedProvider(replies=[text("a")])
    async with scripted_host(provider=provider, plugins=["compaction_summary"]) as host:
        async with host.session("s") as session:
            assert await session.compact_context() is False
            await session.turn("hi")
            assert await session.compact_context() is False
    assert len(provider.requests) == 1


async def test_without_a_compactor_nothing_happens() -> None:
    async with scripted_host(text("a")) as host, host.session("s") as session:
        await session.turn("hi")
        assert await session.compact_context() is False


async def test_a_failing_compaction_leaves_the_session_as_it_was() -> None:
    replies = [*[text(f"a{n}") for n in range(3)], ValueError("model gone"), text("fine")]
    async with scripted_host(*replies, plugins=["compaction_summary"]) as host, host.session("s") as session:
        for n in range(3):
            await session.turn(f"q{n}")
        before = session.read_view()
        with pytest.raises(CompactionError, match="model gone"):
            await session.compact_context()
        assert session.read_view().messages == before.messages
        assert (await session.turn("next")).text == "fine"


async def test_a_full_window_compacts_by_itself() -> None:
    big = TokenUsage(input_tokens=110_000, output_tokens=10)
    replies = [text("a"), text("b"), text("c", usage=big), text("short summary"), text("d")]
    provider = ScriptedProvider(replies=replies)
    async with scripted_host(provider=provider, plugins=["compaction_summary"]) as host:
        async with host.session("s") as session:
            for n in range(4):
                result = await session.turn(f"q{n}")
            assert result.text == "d"
            assert session.read_view().messages[0].text.endswith("short summary")
            assert [f.reason for f in session.read_view().agent_frames] == ["initial", "compaction"]


async def test_automatic_compaction_can_be_turned_off() -> None:
    big = TokenUsage(input_tokens=127_000, output_tokens=10)
    settings = Settings(model="scripted/test", compaction={"auto_share": 0})
    replies = [text("a"), text("b"), text("c", usage=big), text("d")]
    async with scripted_host(*replies, settings=settings, plugins=["compaction_summary"]) as host:
        async with host.session("s") as session:
            for n in range(4):
                assert (await session.turn(f"q{n}")).is_success


async def test_frames_open_once(tmp_path: Path) -> None:
    async with scripted_host(text("a"), text("b"), store=tmp_path / "s.duckdb") as host:
        async with host.session("s") as session:
            await session.turn("hi")
            assert await session.open_agent_frame("work", initial_messages=[message("seed", "start here")]) == (
                "work",
                True,
            )
            assert await session.open_agent_frame("work", initial_messages=[message("x", "y")]) == ("work", False)
            assert await session.open_agent_frame("  ") == ("work", False)
            with pytest.raises(UsageFault):
                await session.open_agent_frame("s:frame:initial")
        async with host.session("s") as session:
            assert [m.text for m in session.read_view().messages] == ["start here"]
            assert [f.status for f in session.read_view().agent_frames] == ["superseded", "active"]


async def test_nodes_can_be_appended_unless_the_branch_is_stale(tmp_path: Path) -> None:
    async with scripted_host(text("a"), text("b"), store=tmp_path / "s.duckdb") as host:
        async with host.session("s") as session:
            await session.turn("hi")
            first = session.read_view().graph.leaf_node_id
            (node_id,) = await session.append_session_nodes([message("m", "by the way")])
            await session.branch_to_node(first)
            with pytest.raises(StaleBranch):
                await session.append_session_nodes([message("n", "late")], requires_ancestor_node_id=node_id)
            await session.turn("again")
            assert [m.text for m in session.read_view().messages] == ["hi", "a", "again", "b"]
        rows = host.usage.sql("select text, on_active_path from usage.messages order by node_id").fetchall()
        assert ("by the way", False) in rows


async def test_fresh_starts_empty_and_replaces_what_is_stored(tmp_path: Path) -> None:
    async with scripted_host(text("a"), text("b"), store=tmp_path / "s.duckdb") as host:
        await (await host.session("s")).turn("old")
        async with host.session("s", fresh=True) as session:
            assert session.read_view().messages == ()
            await session.turn("new")
        async with host.session("s") as session:
            assert [m.text for m in session.read_view().messages] == ["new", "b"]
        assert ("old", False) in host.usage.sql("select text, on_active_path from usage.messages").fetchall()


async def test_tool_membership_is_stored_and_checked_by_generation(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    async with scripted_host(text("a"), store=store, plugins=COUNTER) as host:
        async with host.session("s") as session:
            await session.turn("hi")
            state = session.tool_state()
            generation = await session.set_tool_membership(["count"], present=False)
            assert generation == state.generation + 1
            assert [entry["name"] for entry in session.tool_catalog()] == ["other"]
            with pytest.raises(GenerationMismatch):
                await session.apply_tool_state(state)
    async with scripted_host(tool_call("count", {}), text("b"), store=store, plugins=COUNTER) as host:
        async with host.session("s") as session:
            assert session.tool_state().generation == generation
            result = await session.turn("count")
            assert result.tool_calls[0].output.outcome.code == "tool_unavailable"


async def test_persistence_state_is_replaced_whole_or_not_at_all() -> None:
    class Strict(CounterPlugin):
        @hookimpl
        def lash_restore_snapshot(self, meta, reader):
            if meta.state and meta.state["value"] == 1:
                raise ValueError("I will not")
            super().lash_restore_snapshot(meta, reader)

    replies = [tool_call("count", {}), text("1"), tool_call("count", {}), text("2"), tool_call("count", {}), text("3")]
    async with scripted_host(*replies, plugins=[host_plugin(Strict)]) as host, host.session("s") as session:
        await session.turn("count")
        one = session.export_persisted_state()
        await session.turn("count")
        two = session.export_persisted_state()
        with pytest.raises(PluginSnapshotError, match="I will not"):
            session.apply_persistence_state(one)
        assert session.read_view().turn_index == 2
        session.apply_persistence_state(two)
        result = await session.turn("count")
        assert result.tool_calls[0].output.outcome.value == 3


async def test_protocol_options_are_recorded_with_the_session(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    provider = ScriptedProvider(replies=[text("a"), text("b")])
    async with scripted_host(provider=provider, store=store, plugins=COUNTER) as host:
        options = {"protocol_default": {"instructions": "Be a pirate."}}
        async with host.session("s", plugin_options=options) as session:
            await session.turn("hi")
            assert "Be a pirate." in provider.requests[-1].system
        async with host.session("s") as session:
            assert session.protocol_turn_options.payload == {"instructions": "Be a pirate."}
            session.set_protocol_turn_options(ProtocolTurnOptions(payload={"tool_choice": "none"}))
            await session.turn("hi")
            assert provider.requests[-1].tool_choice == "none"


async def test_sessions_are_listed_and_deleted() -> None:
    async with scripted_host(text("a"), text("b")) as host:
        await (await host.session("one")).turn("first question here")
        await (await host.session("two")).turn("second")
        listed = await host.sessions()
        assert {info.session_id: info.title for info in listed} == {"one": "first question here", "two": "second"}
        report = await host.delete_session("one")
        assert (report.existed, report.nodes, report.turns) == (True, 2, 1)
        with pytest.raises(UnknownSession):
            await host.delete_session("one")
        assert [info.session_id for info in await host.sessions()] == ["two"]


async def test_a_closed_session_says_so() -> None:
    async with scripted_host() as host:
        async with host.session("s") as session:
            pass
        with pytest.raises(SessionClosed):
            await session.turn("hi")
