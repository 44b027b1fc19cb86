"""What is found on a plugin, and what is wrong with it, without running anything of it."""

from __future__ import annotations

import functools

import pluggy
import pytest

from lash_host.hookspecs.turn import lash_on_event
from lash_host.markers import PROJECT_NAME, hookimpl
from lash_host.plugin.inspection import HookInspector
from lash_host.plugin.session_plugin import SessionPlugin


def inspect(plugin: object, scope: str = "session"):
    return HookInspector().inspect(plugin, scope=scope)


def problem(plugin: object, scope: str = "session") -> str:
    (found,) = inspect(plugin, scope).problems
    assert (found.code, found.severity) == ("invalid_hook", "error")
    assert inspect(plugin, scope).marks == ()
    return found.message


def test_marks_are_found_wherever_pluggy_calls_them():
    class Base:
        @hookimpl(priority=3)
        def lash_export_tools(self):
            return []

    class Plugin(Base):
        @staticmethod
        @hookimpl
        async def lash_before_turn(context): ...

        @hookimpl(specname="lash_on_event", tryfirst=True)
        @classmethod
        async def hear(cls, event): ...

    found = inspect(Plugin())
    assert found.hooks == ("lash_export_tools", "lash_before_turn", "lash_on_event")
    assert [mark.priority for mark in found.marks] == [3, 0, 0]
    assert found.marks[2].attribute == "hear"
    assert found.problems == ()


def test_functions_on_the_object_itself_count():
    class Plugin: ...

    @hookimpl
    async def hear(event): ...

    plugin = Plugin()
    plugin.lash_on_event = hear
    assert inspect(plugin).hooks == ("lash_on_event",)
    assert inspect(Plugin()).hooks == ()


def test_properties_are_not_evaluated():
    class Plugin:
        @property
        def explosive(self):
            raise AssertionError

        @hookimpl
        def lash_export_tools(self):
            return []

    assert inspect(Plugin()).hooks == ("lash_export_tools",)


def test_an_argument_the_hook_does_not_give_names_the_nearest():
    class Plugin:
        @hookimpl
        async def lash_before_turn(self, contex): ...

    assert problem(Plugin()) == ("lash_before_turn does not give an argument 'contex'; did you mean 'context'?")


def test_fewer_arguments_and_own_defaults_are_fine():
    class Plugin:
        @hookimpl
        async def lash_before_turn(self): ...

        @hookimpl
        async def lash_on_event(self, event=None, *, own=1): ...

        @hookimpl
        async def lash_session_ready(self, cache={}): ...  # noqa: B006

    assert inspect(Plugin()).problems == ()
    assert len(inspect(Plugin()).marks) == 3


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda self, *arguments: None, "lash_export_tools takes *arguments, but its arguments must be named: none"),
        (lambda self, *, needed: None, "lash_export_tools takes 'needed' by keyword only"),
    ],
)
def test_arguments_that_cannot_be_given_are_refused(function, said):
    function.__name__ = "lash_export_tools"
    cls = type("Plugin", (), {"lash_export_tools": hookimpl(function)})
    assert problem(cls()).startswith(said)


def test_an_async_implementation_of_a_sync_hook_is_refused():
    class Plugin:
        @hookimpl
        async def lash_export_tools(self):
            return []

    assert "lash_export_tools is declared def" in problem(Plugin())


def test_generators_are_refused():
    class Plugin:
        @hookimpl
        async def lash_before_turn(self, context):
            yield

    class Plain:
        @hookimpl
        def lash_export_tools(self):
            yield

    assert "is a generator" in problem(Plugin())
    assert "is a generator" in problem(Plain())


def test_a_hook_wrapper_is_refused():
    class Plugin:
        @pluggy.HookimplMarker(PROJECT_NAME)(wrapper=True)
        def lash_export_tools(self):
            return (yield)

    assert "hook wrapper" in problem(Plugin())


def test_hooks_of_the_other_scope_are_refused():
    class Plugin:
        @hookimpl
        def lash_export_tools(self):
            return []

    class Host:
        @hookimpl
        def lash_register_model_prices(self):
            return []

    assert "implement it on what lash_create_session_plugin returns" in problem(Plugin(), "host")
    assert "implement it on what the entry point loads" in problem(Host())


def test_a_hook_that_must_come_once_may_not_come_twice():
    class Plugin:
        @hookimpl
        def lash_snapshot_revision(self):
            return 0

        @hookimpl(specname="lash_snapshot_revision")
        def count(self):
            return 1

    (found,) = inspect(Plugin()).problems
    assert found.message == "lash_snapshot_revision is implemented twice, by lash_snapshot_revision and count"


def test_a_mark_on_something_else_than_a_function_is_told():
    plugin = type("Plugin", (), {})()
    call = functools.partial(print)
    type(plugin).lash_on_event = hookimpl(call)
    assert problem(plugin) == "lash_on_event is marked with @hookimpl but is a partial, not a function"


def test_overriding_without_the_mark_is_a_warning():
    class Plugin(SessionPlugin):
        def lash_export_tools(self):
            return []

    (found,) = inspect(Plugin.__new__(Plugin)).problems
    assert (found.code, found.severity) == ("unmarked_hook", "warning")
    assert "lash_export_tools" not in inspect(Plugin.__new__(Plugin)).hooks


def test_a_declaration_that_was_imported_is_no_implementation():
    plugin = type("Plugin", (), {"lash_on_event": lash_on_event})()
    assert inspect(plugin).problems == ()


def test_a_decorated_function_is_seen_through():
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*arguments, **named):
            return function(*arguments, **named)

        return wrapper

    class Plugin:
        @hookimpl
        @decorate
        def lash_export_tools(self):
            return []

    assert inspect(Plugin()).problems == ()


def test_a_class_is_looked_at_once():
    class Plugin:
        @hookimpl
        def lash_export_tools(self):
            return []

    inspector = HookInspector()
    assert inspector.inspect(Plugin(), scope="session") is inspector.inspect(Plugin(), scope="session")
