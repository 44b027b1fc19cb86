"""Building the plugins of a session: what they are given, and what keeps a session from opening."""

from __future__ import annotations

import pytest

from lash_host.contracts.protocol import TurnProtocol
from lash_host.domain.policy import ToolAccess
from lash_host.errors import (
    InvalidPluginOptions,
    MissingProtocol,
    PluginHookError,
    PluginLoadError,
    SingletonConflict,
    UnknownPlugin,
)
from lash_host.hookspecs.operation import PluginOperation
from lash_host.markers import hookimpl
from lash_host.plugin.host import SessionRequest
from lash_host.plugin.session_plugin import SessionPlugin

REQUEST = SessionRequest(session_id="s")


def part(**hooks):
    """Make a session plugin of functions by hook name."""
    return type("Part", (), {name: staticmethod(hookimpl(function)) for name, function in hooks.items()})()


def giving(answer):
    """Make a hook that takes nothing and gives ``answer``."""

    def give():
        return answer

    return give


@pytest.fixture
def contexts():
    return []


@pytest.fixture
def notes(host_plugin, contexts):
    return host_plugin("notes", contexts.append, version="2.0")


def test_a_session_plugin_is_told_of_its_session(make_host, notes, protocol, contexts):
    class Extended:
        plugin_id = "extended"

        @hookimpl
        def lash_contribute_extensions(self):
            return [("greeting", "hello")]

    host = make_host(notes, protocol, Extended())
    access = ToolAccess(hidden=("secret",))
    host.build_session(SessionRequest(session_id="child", parent_session_id="root", tool_access=access))
    (context,) = contexts
    assert (context.plugin_id, context.plugin_version) == ("notes", "2.0")
    assert (context.session_id, context.parent_session_id, context.is_root_session) == ("child", "root", False)
    assert (context.tool_access, context.extensions) == (access, {"greeting": ("hello",)})


def test_options_of_the_opening_lie_over_those_of_the_settings(make_host, notes, protocol, contexts):
    settings = {"options": {"notes": {"size": 1, "deep": {"a": 1}}, "other": {"x": 1}}}
    host = make_host(notes, protocol, plugins=settings)
    host.build_session(SessionRequest(session_id="s", plugin_options={"notes": {"deep": {"b": 2}}}))
    assert contexts[0].plugin_options == {"size": 1, "deep": {"b": 2}}
    contexts[0].plugin_options["deep"]["b"] = 3
    contexts[0].plugin_options["size"] = 2
    host.build_session(REQUEST)
    assert contexts[1].plugin_options == {"size": 1, "deep": {"a": 1}}


def test_options_for_nobody_are_refused_unless_they_were_recorded(make_host, notes, protocol):
    host = make_host(notes, protocol)
    with pytest.raises(UnknownPlugin, match="no plugin 'gone'"):
        host.build_session(SessionRequest(session_id="s", plugin_options={"gone": {}}))
    request = SessionRequest(session_id="s", plugin_options={"gone": {}}, strict_options=False)
    assert host.build_session(request).session_id == "s"


def test_options_must_be_a_table(make_host, notes, protocol):
    with pytest.raises(InvalidPluginOptions, match="options of plugin 'notes': they are a list"):
        make_host(notes, protocol).build_session(SessionRequest(session_id="s", plugin_options={"notes": []}))


def test_a_plugin_may_refuse_its_options(make_host, host_plugin, protocol):
    def refuse(context):
        raise InvalidPluginOptions(context.plugin_id, "size must be positive")

    with pytest.raises(InvalidPluginOptions, match="options of plugin 'notes': size must be positive"):
        make_host(host_plugin("notes", refuse), protocol).build_session(REQUEST)


@pytest.mark.parametrize(("error", "said"), [(ValueError("no"), "ValueError: no"), (SystemExit(2), "SystemExit: 2")])
def test_a_failure_names_the_plugin_and_the_hook(make_host, host_plugin, protocol, error, said):
    def fail(_context):
        raise error

    with pytest.raises(PluginHookError) as caught:
        make_host(host_plugin("notes", fail), protocol).build_session(REQUEST)
    assert str(caught.value) == f"plugin 'notes' failed in lash_create_session_plugin: {said}"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (part(lash_before_turns=lambda context: []), "there is no hook lash_before_turns; did you mean"),
        (part(lash_before_turn=lambda contexts: []), "does not give an argument 'contexts'; did you mean 'context'?"),
        (part(lash_register_model_prices=giving([])), "is a hook of host plugins"),
        (object(), "returned a object, which has no function marked with @hookimpl"),
        (SessionPlugin, "returned the class SessionPlugin; return one of it"),
    ],
)
def test_a_session_plugin_with_anything_wrong_keeps_the_session_closed(make_session, made, said):
    with pytest.raises(PluginLoadError, match="plugin 'notes'") as caught:
        make_session({"notes": made})
    assert said in str(caught.value)


def test_an_async_implementation_of_a_sync_hook_is_refused(make_session):
    async def lash_export_tools():
        return []

    with pytest.raises(PluginLoadError, match=r"must not be async \(.*test_building.py:\d+\)"):
        make_session({"notes": part(lash_export_tools=lash_export_tools)})


def test_an_unmarked_hook_of_a_session_plugin_is_a_finding(make_host, host_plugin, protocol):
    class Part(SessionPlugin):
        def lash_export_tools(self):
            return ()

    host = make_host(host_plugin("notes", Part), protocol)
    host.build_session(REQUEST)
    host.build_session(REQUEST)
    (finding,) = host.findings
    assert (finding.code, finding.severity, finding.plugin_id) == ("unmarked_hook", "warning", "notes")


def test_two_plugins_must_not_share_a_session_plugin(make_session):
    shared = part(lash_export_tools=giving([]))
    with pytest.raises(PluginLoadError, match="shares its session plugin"):
        make_session({"a": shared, "b": shared})


def test_a_session_needs_a_protocol(make_host, notes):
    with pytest.raises(MissingProtocol, match="missing protocol"):
        make_host(notes).build_session(REQUEST)


def test_the_setting_chooses_among_protocols(make_host, host_plugin, protocol):
    class Other(TurnProtocol):
        def build_driver(self, driver_input): ...

    other = host_plugin("other", lambda _context: part(lash_protocol=giving(Other())))
    with pytest.raises(SingletonConflict, match=r"duplicate protocol \(the setting `protocol` chooses one\)"):
        make_host(protocol, other).build_session(REQUEST)
    session = make_host(protocol, other, protocol="other").build_session(REQUEST)
    assert isinstance(session.protocol, Other)
    assert session.protocol_plugin_id == "other"
    assert session.plugin_ids == ("protocol", "other")


def test_a_chosen_protocol_that_is_not_there_is_named(make_host, notes, protocol):
    with pytest.raises(UnknownPlugin, match="no plugin 'gone' is installed; installed: protocol"):
        make_host(notes, protocol, protocol="gone").build_session(REQUEST)


@pytest.mark.parametrize(
    ("made", "said"),
    [(object(), "returned a object, not a TurnProtocol"), (TurnProtocol(), "which does not define build_driver")],
)
def test_a_protocol_must_be_one(make_host, host_plugin, made, said):
    bad = host_plugin("bad", lambda _context: part(lash_protocol=giving(made)))
    with pytest.raises(PluginHookError, match=f"'bad' failed in lash_protocol: .*{said}"):
        make_host(bad).build_session(REQUEST)


def test_a_code_executor_is_taken_or_refused(make_session):
    class Executor:
        async def execute_code(self, request): ...
        def capture_state(self): ...
        def restore_state(self, state): ...

    executor = Executor()
    assert make_session({"a": part(lash_code_executor=giving(executor))}).code_executor is executor
    assert make_session({}).code_executor is None
    with pytest.raises(PluginHookError, match="lash_code_executor: returned a object without execute_code"):
        make_session({"a": part(lash_code_executor=giving(object()))})


def test_operations_of_one_name_are_refused(make_session):
    async def run(_arguments, _context): ...

    def operation(kind):
        made = PluginOperation(name="count", kind=kind, description="Count.", input_schema={}, run=run)
        return part(lash_register_operations=giving([made]))

    with pytest.raises(SingletonConflict, match="duplicate plugin operation name 'count': 'b' conflicts with 'a'"):
        make_session({"a": operation("query"), "b": operation("task")})


def test_all_plugins_of_the_host_are_seen(make_host, notes, protocol):
    session = make_host(notes, protocol).build_session(REQUEST)
    assert [(seen.plugin_id, seen.version) for seen in session.seen] == [("notes", "2.0"), ("protocol", "1.0")]
    assert session.plugin_ids == ("protocol",)


def test_a_session_knows_which_hooks_it_has(make_session):
    session = make_session({"a": part(lash_transform_stream=lambda context: context)})
    assert session.has_stream_transform
    assert session.has_hook("lash_transform_stream")
    assert not session.has_hook("lash_before_turn")
    assert not make_session({}).has_stream_transform


def test_two_sessions_of_one_id_have_each_their_own_plugins(make_host, host_plugin, protocol):
    class Part(SessionPlugin): ...

    made = []
    host = make_host(host_plugin("notes", lambda context: made.append(Part(context)) or made[-1]), protocol)
    first, second = host.build_session(REQUEST), host.build_session(REQUEST)
    assert first is not second
    assert made[0] is not made[1]
