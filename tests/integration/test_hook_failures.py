"""Each hook fails in a real session, and what its contract says of that comes true."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
from pydantic import BaseModel

from lash_host import (
    CompactionError,
    EnqueueMessages,
    InvalidPluginOptions,
    PluginError,
    PluginHookError,
    PluginMessage,
    PluginSnapshotError,
    ReplaceToolArguments,
    SessionPlugin,
    SettingsError,
    TurnAborted,
    hookimpl,
    tool,
)
from lash_host.bootstrap import open as open_host
from lash_host.hookspecs.table import HOOKS
from lash_host.testing import ScriptedProvider, scripted_host, text, tool_call


class Count(BaseModel):
    value: int = 0


class Worker(SessionPlugin[Count]):
    """A plugin that works; what fails is added to it."""

    @tool
    async def count(self) -> int:
        """Count."""
        self.state.value += 1
        return self.state.value


def parameters(hook: str) -> list[str]:
    code = HOOKS[hook].spec.__code__
    return list(code.co_varnames[: code.co_argcount])


def failing(hook: str, *, when: str = "True", with_: str = "raise RuntimeError('as asked')") -> type:
    """Make a session plugin whose ``hook`` counts in its state, then fails."""
    names = ["self", *parameters(hook)]
    keyword = "async def" if HOOKS[hook].is_async else "def"
    source = (
        f"{keyword} {hook}({', '.join(names)}):\n    if {when}:\n        self.state.value += 100\n        {with_}\n"
    )
    source += f"    return {names[-1] if HOOKS[hook].mode == 'chain' else 'None'}\n"
    scope = {"EnqueueMessages": EnqueueMessages, "PluginMessage": PluginMessage, "Replace": ReplaceToolArguments}
    exec(source, scope)  # noqa: S102
    return types.new_class("Failing", (Worker,), {}, lambda body: body.update({hook: hookimpl(scope[hook])}))


def counted(session) -> int:
    return session.export_persisted_state().plugin_snapshot.plugins["p"].state["value"]


def findings(host, hook: str) -> list[str]:
    return [finding.message for finding in host.plugins.findings if finding.hook == hook]


# --- the turn fails, and nothing of it is committed -------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "code"),
    [
        ("lash_transform_turn_context", "context_prepare_turn"),
        ("lash_before_turn", "plugin_prepare_turn"),
        ("lash_after_turn", "plugin_finalize_turn"),
    ],
)
async def test_a_turn_that_a_hook_fails_leaves_nothing(hook, code, plugin_of, assert_sound) -> None:
    plugin = failing(hook, when="context.state.turn_index == 1 and self.state.value < 50")
    async with scripted_host(text("a"), text("b"), text("c"), plugins=[plugin_of(plugin)]) as host:
        async with host.session("s") as session:
            await session.turn("one")
            with pytest.raises(TurnAborted, match=f"plugin 'p' failed in {hook}: RuntimeError: as asked") as caught:
                await session.turn("two")
            assert caught.value.code == code
            assert (counted(session), session.read_view().turn_index) == (0, 1)
            await assert_sound(host, session)
            assert host.usage.sql("select count(*) from usage.turns").fetchall() == [(1,)]


async def test_a_catalog_that_cannot_be_made_fails_the_turn(plugin_of, assert_sound) -> None:
    plugin = failing("lash_filter_tool_catalog", when="self.state.value == 0")
    async with scripted_host(text("a"), plugins=[plugin_of(plugin)]) as host, host.session("s") as session:
        with pytest.raises(TurnAborted, match="plugin 'p' failed in lash_filter_tool_catalog") as caught:
            await session.turn("one")
        assert caught.value.code == "plugin_tool_catalog"
        assert list(await host.sessions()) == []


async def test_a_catalog_that_breaks_within_a_turn_ends_it(plugin_of, assert_sound) -> None:
    plugin = failing("lash_filter_tool_catalog", when="self.state.value == 1")
    async with scripted_host(tool_call("count", {}), plugins=[plugin_of(plugin)]) as host:
        async with host.session("s") as session:
            result = await session.turn("one")
            assert (result.stop_reason, result.issues[-1].code) == ("runtime_error", "plugin_tool_catalog")
            assert (result.issues[-1].plugin_id, len(result.tool_calls)) == ("p", 1)
            await assert_sound(host, session)


# --- the turn ends, and what it did is committed ----------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "code", "reason"),
    [
        ("lash_contribute_prompt", "plugin_prompt", "runtime_error"),
        ("lash_checkpoint", "plugin_checkpoint", "runtime_error"),
        ("lash_transform_stream", "plugin_assistant_stream", "provider_error"),
        ("lash_transform_response", "plugin_assistant_response", "provider_error"),
    ],
)
async def test_a_turn_that_a_hook_ends_is_committed(hook, code, reason, plugin_of, assert_sound) -> None:
    plugin = failing(hook, when="self.state.value == 1")
    provider = ScriptedProvider(replies=[tool_call("count", {}), text("never told"), text("b")])
    async with scripted_host(provider=provider, plugins=[plugin_of(plugin)]) as host, host.session("s") as session:
        result = await session.turn("one")
        assert (result.stop_reason, result.issues[-1].code) == (reason, code)
        assert f"plugin 'p' failed in {hook}" in result.issues[-1].message
        assert (result.text, len(result.tool_calls), result.issues[-1].retryable) == ("", 1, False)
        assert "never told" not in [m.text for m in session.read_view().messages]
        assert counted(session) == 101
        await assert_sound(host, session)
        provider.add(text("b"))
        assert (await session.turn("two")).is_success
        await assert_sound(host, session)


# --- one tool call fails ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "code", "ran"),
    [
        ("lash_before_tool_call", "before_tool_call_failed", 100),
        ("lash_after_tool_call", "after_tool_call_failed", 101),
    ],
)
async def test_a_hook_around_a_call_fails_that_call(hook, code, ran, plugin_of, assert_sound) -> None:
    plugin = failing(hook, when="self.state.value < 50")
    async with scripted_host(tool_call("count", {}), text("ok"), plugins=[plugin_of(plugin)]) as host:
        async with host.session("s") as session:
            result = await session.turn("one")
            assert (result.text, result.tool_calls[0].output.outcome.code) == ("ok", code)
            assert counted(session) == ran
            await assert_sound(host, session)


async def test_a_projector_that_fails_shows_the_model_why(plugin_of, assert_sound) -> None:
    provider = ScriptedProvider(replies=[tool_call("count", {}), text("ok")])
    plugin = failing("lash_project_tool_result")
    async with scripted_host(provider=provider, plugins=[plugin_of(plugin)]) as host, host.session("s") as session:
        result = await session.turn("one")
        assert result.tool_calls[0].output.outcome.value == 1
        shown = provider.requests[-1].messages[-1].parts[0]
        assert (shown.is_error, "as asked" in shown.text) == (True, True)
        await assert_sound(host, session)


# --- nothing fails, and a finding says what happened ------------------------------------------------


@pytest.mark.parametrize("hook", ["lash_stream_finished", "lash_on_event", "lash_mutate_session_config"])
async def test_a_hook_that_is_only_told_harms_nothing(hook, plugin_of, assert_sound) -> None:
    async with scripted_host(text("a"), text("b"), plugins=[plugin_of(failing(hook))]) as host:
        async with host.session("s") as session:
            assert (await session.turn("one")).issues == ()
            assert (await session.update_session_config(max_turns=7)).max_turns == 7
            assert (await session.turn("two")).is_success
            assert any("as asked" in message for message in findings(host, hook))
            errors = host.usage.sql("select sum(errors) from usage.hook_calls where hook = ?", [hook]).fetchall()
            assert errors[0][0] > 0
            async with host.session("s") as again:
                assert again.read_view().policy.max_turns == 7


async def test_a_state_that_cannot_be_captured_is_stored_by_the_next_commit(plugin_of, assert_sound) -> None:
    class Sometimes(Worker):
        broken = False

        @hookimpl
        def lash_capture_snapshot(self, writer):
            if self.broken:
                raise RuntimeError("as asked")
            super().lash_capture_snapshot(writer)

    replies = [tool_call("count", {}), text("a"), tool_call("count", {}), text("b"), text("c")]
    async with scripted_host(*replies, plugins=[plugin_of(Sometimes)]) as host, host.session("s") as session:
        await session.turn("one")
        Sometimes.broken = True
        result = await session.turn("two")
        assert (result.is_success, [issue.code for issue in result.issues]) == (True, ["plugin_snapshot"])
        assert any("as asked" in message for message in findings(host, "lash_capture_snapshot"))
        Sometimes.broken = False
        async with host.session("s") as other:
            assert counted(other) == 1
        assert (await session.turn("three")).issues == ()
        assert counted(session) == 2
        await assert_sound(host, session)


async def test_a_revision_that_cannot_be_told_counts_as_a_change(plugin_of, assert_sound) -> None:
    def revision(self):
        raise RuntimeError("as asked")

    plugin = types.new_class(
        "Unsure", (Worker,), {}, lambda body: body.update(lash_snapshot_revision=hookimpl(revision))
    )
    replies = [tool_call("count", {}), text("a"), tool_call("count", {}), text("b")]
    async with scripted_host(*replies, plugins=[plugin_of(plugin)]) as host, host.session("s") as session:
        for expected in (1, 2):
            assert (await session.turn("count")).issues == ()
            await assert_sound(host, session)
            assert counted(session) == expected


async def test_a_compactor_that_fails_leaves_the_session_as_it_was(plugin_of, assert_sound) -> None:
    plugin = failing("lash_compact_context", when="self.state.value < 50")
    async with scripted_host(text("a"), plugins=[plugin_of(plugin)]) as host, host.session("s") as session:
        await session.turn("one")
        with pytest.raises(CompactionError, match="plugin 'p' failed in lash_compact_context"):
            await session.compact_context()
        assert counted(session) == 0
        await assert_sound(host, session)


# --- the session is not opened ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "hook",
    ["lash_export_tools", "lash_session_ready", "lash_protocol", "lash_code_executor", "lash_register_operations"],
)
async def test_a_session_that_a_hook_fails_is_not_opened(hook, plugin_of) -> None:
    plugin = failing(hook)
    protocols = [] if hook == "lash_protocol" else ["protocol_default"]
    provider = ScriptedProvider()
    opening = open_host("duckdb:///:memory:", plugins=[*protocols, plugin_of(plugin)], providers=[provider])
    async with opening as host:
        with pytest.raises(PluginError, match="as asked") as caught:
            await host.session("s")
        assert caught.value.plugin_id == "p"


async def test_a_maker_that_fails_does_not_open_the_session() -> None:
    class Maker:
        plugin_id = "p"
        error: Exception = RuntimeError("as asked")

        @hookimpl
        def lash_create_session_plugin(self, context):
            raise self.error

    async with scripted_host(plugins=[Maker()]) as host:
        with pytest.raises(PluginHookError, match="plugin 'p' failed in lash_create_session_plugin"):
            await host.session("s")
        Maker.error = InvalidPluginOptions("p", "not those")
        with pytest.raises(InvalidPluginOptions):
            await host.session("s")


async def test_a_state_that_is_refused_does_not_open_the_session_and_stays_stored(plugin_of, tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    async with scripted_host(tool_call("count", {}), text("a"), plugins=[plugin_of(Worker)], store=store) as host:
        await (await host.session("s")).turn("one")
    plugin = failing("lash_restore_snapshot", when="meta.state")
    async with scripted_host(plugins=[plugin_of(plugin)], store=store) as host:
        with pytest.raises(PluginSnapshotError, match="as asked"):
            await host.session("s")
    async with scripted_host(plugins=[plugin_of(Worker)], store=store) as host, host.session("s") as session:
        assert counted(session) == 1


async def test_tools_that_cannot_be_exported_again_leave_those_there_are(plugin_of, assert_sound) -> None:
    class Once(Worker):
        asked = 0

        @hookimpl
        def lash_export_tools(self):
            Once.asked += 1
            if Once.asked > 1:
                raise RuntimeError("as asked")
            return super().lash_export_tools()

    async with scripted_host(tool_call("count", {}), text("a"), plugins=[plugin_of(Once)]) as host:
        async with host.session("s") as session:
            with pytest.raises(PluginHookError, match="lash_export_tools"):
                await session.refresh_tool_catalog()
            assert (await session.turn("one")).tool_calls[0].output.outcome.value == 1


# --- the plugin, or what it brought, is left out of the host ----------------------------------------


@pytest.mark.parametrize(
    "hook",
    [
        "lash_register_providers",
        "lash_register_effect_hosts",
        "lash_register_process_engines",
        "lash_register_usage_views",
        "lash_register_model_prices",
        "lash_contribute_extensions",
    ],
)
async def test_what_a_plugin_fails_to_bring_is_left_out(hook) -> None:
    scope: dict[str, object] = {}
    exec(f"def {hook}({', '.join(['self', *parameters(hook)])}):\n    raise RuntimeError('as asked')", scope)  # noqa: S102
    plugin = type("HostPlugin", (), {"plugin_id": "p", hook: hookimpl(scope[hook])})()
    async with scripted_host(text("a"), plugins=[plugin]) as host, host.session("s") as session:
        assert (await session.turn("one")).text == "a"
        assert any("as asked" in message for message in findings(host, hook))


async def test_wrong_settings_of_a_provider_keep_the_host_from_opening() -> None:
    class Provider:
        plugin_id = "p"

        @hookimpl
        def lash_register_providers(self, settings):
            raise SettingsError("wrong", source="here")

    with pytest.raises(SettingsError, match="here: wrong"):
        async with scripted_host(plugins=[Provider()]):
            pass


# --- answers that a hook must not give --------------------------------------------------------------


async def test_a_directive_that_is_not_allowed_fails_like_an_error(plugin_of, assert_sound) -> None:
    illegal = "return [Replace(arguments={})]"
    plugin = failing("lash_before_turn", with_=illegal)
    async with scripted_host(plugins=[plugin_of(plugin)]) as host, host.session("s") as session:
        with pytest.raises(TurnAborted, match="must not answer replace_tool_args"):
            await session.turn("one")


@pytest.mark.parametrize("answer", ["return 7", "return ['x']", "raise SystemExit(3)"])
async def test_an_answer_of_another_shape_fails_like_an_error(answer, plugin_of, assert_sound) -> None:
    plugin = failing("lash_checkpoint", when="self.state.value < 50", with_=answer)
    async with scripted_host(text("a"), text("b"), plugins=[plugin_of(plugin)]) as host, host.session("s") as session:
        result = await session.turn("one")
        assert (result.stop_reason, result.issues[-1].code) == ("runtime_error", "plugin_checkpoint")
        await assert_sound(host, session)
        assert (await session.turn("two")).is_success


def test_every_hook_with_a_contract_for_failures_is_failed_here() -> None:
    here = Path(__file__).read_text()
    elsewhere = {"lash_register_commands": "tests/unit/plugin"}
    assert [hook for hook in HOOKS if f'"{hook}"' not in here and hook not in here and hook not in elsewhere] == []
