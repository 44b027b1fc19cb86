"""Switching agent frames from within turns, and images from the input to later prompts."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from lash_host import (
    EnqueueMessages,
    InputImage,
    InputText,
    ModelCallError,
    ModelResponse,
    PluginMessage,
    Role,
    SessionPlugin,
    StoreUnwritable,
    SwitchAgentFrame,
    SwitchFrameControl,
    TerminalReason,
    TokenUsage,
    ToolOutput,
    ToolSuccess,
    TurnAborted,
    TurnCommitConflict,
    TurnInput,
    UsageFault,
    hookimpl,
    tool,
)
from lash_host.domain.message import is_prompt_resume_safe
from lash_host.testing import ScriptedProvider, scripted_host, text, tool_call, tool_calls

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OTHER = b"\x89PNG another"


class Switching(SessionPlugin[None]):
    @tool
    async def switch(self, frame_id: str, task: str) -> ToolOutput:
        """Go on elsewhere."""
        return ToolOutput(outcome=ToolSuccess(), control=SwitchFrameControl(frame_id=frame_id, task=task))

    @tool
    async def look(self) -> str:
        """Look."""
        return "seen"


def said(session) -> list[str]:
    return [message.text for message in session.read_view().messages]


# --- frames -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame_id", "task", "code"),
    [
        ("s:frame:initial", "back", "frame_opened_before"),
        (" s:frame:initial ", "back", "frame_opened_before"),
        ("  ", "go", "invalid_frame_switch"),
        ("f3", "  ", "invalid_frame_switch"),
    ],
)
async def test_a_switch_that_cannot_be_ends_the_turn_and_is_told(frame_id, task, code, plugin_of, assert_sound) -> None:
    replies = [
        tool_call("switch", {"frame_id": "f2", "task": "first"}),
        tool_call("switch", {"frame_id": frame_id, "task": task}),
        text("on we go"),
    ]
    async with scripted_host(*replies, plugins=[plugin_of(Switching)]) as host, host.session("s") as session:
        result = await session.turn("go")
        assert (result.stop_reason, [issue.code for issue in result.issues]) == ("runtime_error", [code])
        assert (session.read_view().frame_id, session.read_view().turn_index) == ("f2", 2)
        assert said(session)[0] == "first"
        await assert_sound(host, session)
        assert (await session.turn("and now?")).text == "on we go"
        await assert_sound(host, session)


async def test_a_switch_to_the_frame_it_is_in_goes_on_there(plugin_of, assert_sound) -> None:
    replies = [tool_call("switch", {"frame_id": "s:frame:initial", "task": "and this"}), text("done")]
    provider = ScriptedProvider(replies=replies)
    async with scripted_host(provider=provider, plugins=[plugin_of(Switching)]) as host:
        async with host.session("s") as session:
            result = await session.turn("go")
            assert (result.text, result.turn_index) == ("done", 2)
            assert said(session) == ["go", "", "", "and this", "done"]
            assert [frame.frame_id for frame in session.read_view().agent_frames] == ["s:frame:initial"]
            await assert_sound(host, session)


async def test_of_two_switches_in_one_answer_the_first_counts(plugin_of, assert_sound) -> None:
    both = tool_calls(
        ("look", {}),
        ("switch", {"frame_id": "f2", "task": "first"}),
        ("switch", {"frame_id": "f3", "task": "second"}),
    )
    async with scripted_host(both, text("done"), plugins=[plugin_of(Switching)]) as host:
        async with host.session("s") as session:
            result = await session.turn("go")
            assert result.text == "done"
            assert [frame.frame_id for frame in session.read_view().agent_frames] == ["s:frame:initial", "f2"]
            assert said(session) == ["first", "done"]
            rows = host.usage.sql("select tool_name, status from usage.tool_calls").fetchall()
            assert sorted(rows) == [("look", "success"), ("switch", "success"), ("switch", "success")]
            await assert_sound(host, session)


async def test_the_protocol_may_switch_before_a_model_call_and_cannot_do_so_for_ever(assert_sound) -> None:
    async with scripted_host(text("done"), text("never")) as host, host.session("s") as session:
        protocol = session.plugin_session.protocol

        async def once(call):
            if call.state.frame_id == "s:frame:initial":
                return SwitchAgentFrame(frame_id="f2", task="in here")
            return None

        async def always(call):
            return SwitchAgentFrame(frame_id=call.state.frame_id, task="again")

        protocol.before_model_call = once
        assert (await session.turn("go")).text == "done"
        assert said(session) == ["in here", "done"]
        protocol.before_model_call = always
        result = await session.turn("and on")
        assert (result.stop_reason, result.issues[-1].code) == ("runtime_error", "too_many_frame_switches")
        await assert_sound(host, session)


async def test_a_full_frame_does_not_count_against_the_next(plugin_of, assert_sound) -> None:
    big = TokenUsage(input_tokens=127_000)
    switch = tool_call("switch", {"frame_id": "f2", "task": "go on"}, usage=big)
    async with scripted_host(switch, text("b"), plugins=["compaction_summary", plugin_of(Switching)]) as host:
        async with host.session("s") as session:

            def stop_in_between(activity):
                if activity.kind == "turn_finished" and activity.result is None:
                    session.cancel_running_turn()

            result = await session.turn("go", on_activity=stop_in_between)
            assert (result.stop_reason, result.turn_index) == ("cancelled", 2)
            assert session.read_view().last_prompt_usage is None
            assert said(session) == ["go on"]
            await assert_sound(host, session)


@pytest.mark.parametrize("as_error", [False, True])
async def test_after_a_prompt_that_did_not_fit_the_next_turn_compacts_first(as_error, assert_sound) -> None:
    too_long = ModelResponse(terminal_reason=TerminalReason.CONTEXT_OVERFLOW)
    if as_error:
        too_long = ModelCallError("too long", kind="context_overflow")
    replies = [text("a"), text("b"), text("c"), too_long, text("short"), text("d")]
    async with scripted_host(*replies, plugins=["compaction_summary"]) as host, host.session("s") as session:
        for n in range(3):
            await session.turn(f"q{n}")
        assert (await session.turn("q3")).stop_reason == "provider_error"
        assert (await session.turn("")).stop_reason == "invalid_input"  # tells nothing new of the context
        assert (await session.turn("q4")).text == "d"
        assert said(session)[0].endswith("short")
        await assert_sound(host, session)


async def test_what_plugins_put_in_between_keeps_every_message(plugin_of, assert_sound) -> None:
    class Noting(Switching):
        @hookimpl
        async def lash_after_tool_call(self, context):
            return [EnqueueMessages(messages=(PluginMessage.text("note"),))]

        @hookimpl
        async def lash_checkpoint(self, context):
            transient = PluginMessage.text("only now", transient=True)
            once = context.kind == "before_completion" and context.iteration == 3
            return [EnqueueMessages(messages=(transient,))] if once or context.iteration == 1 else []

        @hookimpl
        async def lash_after_turn(self, context):
            return [EnqueueMessages(messages=(PluginMessage.text("last", role=Role.SYSTEM),))]

    provider = ScriptedProvider(replies=[tool_call("look", {}), tool_call("look", {}), text("one"), text("two")])
    async with scripted_host(provider=provider, plugins=[plugin_of(Noting)]) as host, host.session("s") as session:
        await session.turn("go")
        messages = session.read_view().messages
        assert [m.text for m in messages] == ["go", "", "", "note", "", "", "note", "one", "last", "two"]
        assert len({m.message_id for m in messages}) == len(messages)
        assert len(messages) == len(session.read_view().graph)
        for request in provider.requests:
            assert is_prompt_resume_safe(request.messages)
            assert len({m.message_id for m in request.messages}) == len(request.messages)
        await assert_sound(host, session)


async def test_events_are_kept_and_not_shown_to_the_model(plugin_of, assert_sound) -> None:
    class Waking(SessionPlugin[None]):
        @hookimpl
        async def lash_checkpoint(self, context):
            if context.state.turn_index or len(context.new_messages) > 1:
                return []
            return [EnqueueMessages(messages=(PluginMessage.text("it rang", role=Role.EVENT),))]

    provider = ScriptedProvider(replies=[text("a"), text("b"), text("c")])
    async with scripted_host(provider=provider, plugins=[plugin_of(Waking)]) as host, host.session("s") as session:
        await session.turn("go")
        await session.turn("on")
        assert said(session) == ["go", "a", "it rang", "b", "on", "c"]
        assert all(m.role is not Role.EVENT for request in provider.requests for m in request.messages)
        await assert_sound(host, session)


# --- turn ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["resident", "compacted", "another runtime"])
async def test_a_repeated_turn_is_refused_before_the_model_is_asked(where, assert_sound) -> None:
    turn = TurnInput(items=(InputText(text="pay"),), turn_id="pay")
    provider = ScriptedProvider(replies=[text(f"a{n}") for n in range(4)])
    async with scripted_host(provider=provider, plugins=["compaction_summary"]) as host:
        async with host.session("s") as session:
            await session.turn(turn)
            if where == "compacted":
                await session.turn("two")
                await session.turn("three")
                assert await session.compact_context()
            asked = len(provider.requests)
            if where == "resident":
                with pytest.raises(TurnCommitConflict):
                    await session.turn(turn)
            else:
                async with host.session("s") as other:
                    with pytest.raises(TurnCommitConflict):
                        await other.turn(turn)
            assert len(provider.requests) == asked
            await assert_sound(host, session)


async def test_a_refused_input_may_not_be_repeated_under_its_id_either(assert_sound) -> None:
    async with scripted_host(text("a"), text("b")) as host, host.session("s") as session:
        assert (await session.turn(TurnInput(turn_id="t"))).stop_reason == "invalid_input"
        with pytest.raises(TurnCommitConflict):
            await session.turn(TurnInput(items=(InputText(text="hi"),), turn_id="t"))
        await assert_sound(host, session)
        assert (await session.turn("hi")).turn_index == 2


async def test_a_blank_turn_id_is_refused() -> None:
    async with scripted_host() as host, host.session("s") as session:
        with pytest.raises(UsageFault):
            await session.turn(TurnInput(items=(InputText(text="hi"),), turn_id="  "))


# --- images -----------------------------------------------------------------------------------------


async def test_an_image_reaches_the_model_in_later_turns_and_after_a_reopen(tmp_path: Path, assert_sound) -> None:
    store = tmp_path / "s.duckdb"
    image = InputImage(data=PNG, media_type="image/png")
    provider = ScriptedProvider(replies=[text("a"), text("b"), text("c")])
    async with scripted_host(provider=provider, store=store) as host:
        async with host.session("s") as session:
            await session.turn(["what is", " this?", image])
            assert [part.kind for part in session.read_view().messages[0].parts] == ["text", "image"]
            assert session.read_view().messages[0].text == "what is this?"
            await session.turn("and again?")
        async with host.session("t") as other:
            await other.turn([image])
            assert other.read_view().messages[0].text == ""
        assert host.store.info().blob_bytes >= len(PNG)
    provider.add(text("d"))
    async with scripted_host(provider=provider, store=store) as host:
        async with host.session("s") as session:
            await session.turn("still there?")
            await assert_sound(host, session)
    assert [list(request.blobs.values()) for request in provider.requests] == [[PNG]] * 4


@pytest.mark.parametrize("fails", ["hook", "commit"])
async def test_an_image_whose_turn_failed_is_not_stored(fails, plugin_of, monkeypatch, assert_sound) -> None:
    class Picky(SessionPlugin[None]):
        @hookimpl
        async def lash_after_turn(self, context):
            if context.text == "fail":
                raise RuntimeError("no")
            return []

    def full(commit):
        raise StoreUnwritable("here", problem="full")

    replies = [text("fail" if fails == "hook" else "a"), text("b")]
    provider = ScriptedProvider(replies=replies)
    async with scripted_host(provider=provider, plugins=[plugin_of(Picky)]) as host, host.session("s") as session:
        with monkeypatch.context() as broken:
            if fails == "commit":
                broken.setattr(host.store, "commit", full)
            with pytest.raises((TurnAborted, StoreUnwritable)):
                await session.turn([InputImage(data=OTHER, media_type="image/png")])
        await session.turn([InputImage(data=PNG, media_type="image/png")])
        ref = session.read_view().messages[0].parts[0].blob_ref
        assert host.store.load_blob(ref) == PNG
        stored = host.store.info().blobs
        assert stored == 1 + 2  # the tools' state and the plugins' besides
        assert list(provider.requests[-1].blobs.values()) == [PNG]
        await assert_sound(host, session)


async def test_images_that_are_shown_no_more_are_not_kept_in_memory() -> None:
    provider = ScriptedProvider(replies=[text(f"a{n}") for n in range(6)])
    async with scripted_host(provider=provider) as host, host.session("s") as session:
        await session.turn([InputImage(data=PNG, media_type="image/png")])
        await session.open_agent_frame("f2")
        await session.turn([InputImage(data=OTHER, media_type="image/png")])
        assert list(session._session.blobs.values()) == [OTHER]
        assert list(provider.requests[-1].blobs.values()) == [OTHER]


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (InputImage(data=PNG, media_type="image/tiff"), "unsupported_image"),
        (InputImage(data=b"", media_type="image/png"), "unsupported_image"),
    ],
)
async def test_an_image_nobody_can_take_is_refused(image, code, assert_sound) -> None:
    async with scripted_host() as host, host.session("s") as session:
        result = await session.turn(["look", image])
        assert (result.stop_reason, result.issues[0].code) == ("invalid_input", code)
        assert said(session) == []
        await assert_sound(host, session)
