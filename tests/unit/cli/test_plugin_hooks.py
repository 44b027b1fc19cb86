"""What plugins do in a session, found out without one."""

from __future__ import annotations

from lash_host import SessionPlugin, hookimpl, tool
from lash_host.bootstrap import load_plugins
from lash_host.cli.plugin_hooks import plugin_commands, session_faults, session_hooks, session_tools
from lash_host.settings import Settings


class Notes(SessionPlugin[None]):
    @tool
    async def add_note(self, text: str) -> str:
        """Remember one line.

        More about it.
        """
        return text

    @hookimpl
    async def lash_before_turn(self, context):
        raise AssertionError


class NotesHost:
    plugin_id = "notes"

    @hookimpl
    def lash_create_session_plugin(self, context):
        return Notes(context)


class Quiet:
    plugin_id = "quiet"

    @hookimpl
    def lash_create_session_plugin(self):
        return None


class Broken:
    plugin_id = "broken"

    @hookimpl
    def lash_create_session_plugin(self, context):
        raise RuntimeError("no")


class Prices:
    plugin_id = "prices"

    @hookimpl
    def lash_register_model_prices(self):
        return []


def _host(*plugins):
    settings = Settings()
    host = load_plugins(settings, plugins=plugins)
    return host, settings


def test_session_hooks_are_found_by_making_the_plugins_part():
    host, settings = _host(NotesHost(), Quiet(), Broken(), Prices())

    found = {plugin.plugin_id: session_hooks(host, settings, plugin) for plugin in host.installed}

    assert found["notes"][0] == "lash_export_tools"
    assert "lash_before_turn" in found["notes"]
    assert (found["quiet"], found["broken"], found["prices"]) == ((), None, ())


def test_tools_are_listed_by_plugin():
    host, _ = _host("protocol_default", NotesHost())

    tools = session_tools(host)

    assert [(line.name, line.description.splitlines()[0]) for line in tools["notes"]] == [
        ("add_note", "Remember one line.")
    ]


def test_plugins_that_work_together_have_no_faults():
    assert session_faults(_host("protocol_default", NotesHost())[0]) == []


def test_what_is_wrong_with_the_whole_is_a_fault():
    assert [fault.code for fault in session_faults(_host(NotesHost())[0])] == ["missing_protocol"]


class Commands:
    plugin_id = "commands"

    @hookimpl
    def lash_register_commands(self, app):
        app.command("greet")(print)


class BrokenCommands:
    plugin_id = "broken_commands"

    @hookimpl
    def lash_register_commands(self, app):
        raise SystemExit(3)


def test_commands_are_named_by_letting_the_plugin_add_them():
    host, _ = _host(Commands(), BrokenCommands(), Prices())

    found = {plugin.plugin_id: plugin_commands(plugin) for plugin in host.installed}

    assert found == {"commands": ("greet",), "broken_commands": None, "prices": ()}
