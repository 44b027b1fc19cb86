"""What plugins bring to a host, and what becomes of a plugin that fails in it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lash_host.contracts.effect_host import EffectHost
from lash_host.contracts.store import UsageView
from lash_host.domain.model import ModelPrice
from lash_host.errors import PluginLoadError, SettingsError
from lash_host.markers import hookimpl
from lash_host.plugin.discovery import PluginFinding, discover
from lash_host.plugin.host import PluginHost, SessionRequest
from lash_host.settings import PluginSettings, Settings
from lash_host.testing import ScriptedProvider


class Engine:
    def __init__(self, kind: str):
        self.kind = kind


class FakeEffectHost:
    def __init__(self, name: str):
        self.name, self.is_durable = name, False

    async def execute(self, envelope, run, *, result_type): ...


def failing():
    """Make a function that fails, each time another, because marking one changes it."""

    def fail():
        raise ValueError("broken")

    return fail


def plugin(plugin_id: str, **hooks):
    """Make a host plugin of functions by hook name; their arguments are left out."""
    made = type("Plugin", (), {name: staticmethod(hookimpl(function)) for name, function in hooks.items()})()
    made.plugin_id = plugin_id
    return made


def price(amount: float) -> ModelPrice:
    return ModelPrice(
        provider_id="p", model_id="m", input_per_mtok=amount, output_per_mtok=amount, source="s", as_of="2026-01-01"
    )


def test_hooks_are_asked_once(make_host):
    asked = []
    host = make_host(plugin("a", lash_register_providers=lambda: asked.append("a") or [ScriptedProvider()]))
    assert asked == []
    assert host.providers().keys() == host.providers().keys()
    host.effect_hosts()
    assert asked == ["a"]


def test_of_two_providers_of_one_id_the_first_stays(make_host):
    first, second = ScriptedProvider(), ScriptedProvider()
    host = make_host(
        plugin("a", lash_register_providers=lambda: [first]), plugin("b", lash_register_providers=lambda: [second])
    )
    assert host.providers() == {first.provider_id: first}
    (finding,) = host.findings
    assert (finding.code, finding.severity, finding.plugin_id) == ("duplicate_registration", "error", "b")
    assert "'a' brings one of that name already" in finding.message
    with pytest.raises(PluginLoadError, match="'a' brings one"):
        host.raise_if_strict()


def test_effect_hosts_and_engines_come_by_name(make_host):
    inline, loud = FakeEffectHost("loud"), FakeEffectHost("loud")
    assert isinstance(inline, EffectHost)
    host = make_host(
        plugin("a", lash_register_effect_hosts=lambda: [inline], lash_register_process_engines=lambda: [Engine("k")]),
        plugin("b", lash_register_effect_hosts=lambda: [loud], lash_register_process_engines=lambda: [Engine("k")]),
    )
    assert host.effect_hosts() == {"loud": inline}
    assert [*host.process_engines()] == ["k"]
    messages = [finding.message.split(" is left out")[0] for finding in host.findings]
    assert messages == ["effect host 'loud'", "process engine kind 'k'"]


def test_engines_are_made_with_what_plugins_contributed(make_host):
    seen = []

    @hookimpl
    def lash_register_process_engines(context):
        seen.append(context.extensions)
        return []

    engines = plugin("a")
    type(engines).lash_register_process_engines = staticmethod(lash_register_process_engines)
    host = make_host(
        engines,
        plugin("b", lash_contribute_extensions=lambda: [("tags", {"n": 1}), ("tags", 2)]),
        plugin("c", lash_contribute_extensions=lambda: [["tags", 3]]),
    )
    assert host.extensions() == {"tags": ({"n": 1}, 2, 3)}
    assert seen == [host.extensions()]


@pytest.mark.parametrize("given", [[("tags", {1, 2})], ["tags"], [("a", "b", "c")], "tags"])
def test_contributions_that_are_none_are_refused(make_host, given):
    host = make_host(plugin("a", lash_contribute_extensions=lambda: given))
    assert host.extensions() == {}
    assert [finding.hook for finding in host.findings] == ["lash_contribute_extensions"]


def test_views_are_named_for_their_plugin(make_host):
    views = [UsageView(name=name, sql="SELECT 1", description="One.") for name in ("daily", "daily", "a-b")]
    host = make_host(plugin("my-notes", lash_register_usage_views=lambda: views))
    assert [view.name for view in host.usage_views()] == ["my_notes_daily"]
    assert len(host.findings) == 2


def test_prices_stay_in_plugin_order(make_host):
    host = make_host(
        plugin("b", lash_register_model_prices=lambda: [price(1)]),
        plugin("a", lash_register_model_prices=lambda: [price(2)]),
    )
    assert [found.input_per_mtok for found in host.model_prices()] == [1, 2]


def test_settings_errors_of_a_provider_keep_the_host_from_opening(make_host):
    def refuse():
        raise SettingsError("unknown key", source="lash.toml")

    host = make_host(plugin("a", lash_register_providers=refuse))
    with pytest.raises(SettingsError, match="unknown key"):
        host.providers()


def test_a_plugin_that_fails_in_bringing_providers_is_left_out_whole(make_host, host_plugin, protocol):
    made = []
    broken = host_plugin("broken", made.append)
    broken.lash_register_providers = hookimpl(failing())
    broken.lash_register_model_prices = hookimpl(lambda: [price(1)])
    host = make_host(broken, protocol)
    assert host.providers() == {}
    assert host.model_prices() == ()
    assert [found.plugin_id for found in host.plugins] == ["protocol"]
    assert [found.plugin_id for found in host.installed] == ["broken", "protocol"]
    host.build_session(SessionRequest(session_id="s"))
    assert made == []


def test_a_plugin_that_fails_in_views_or_prices_goes_without_them(make_host):
    host = make_host(
        plugin("a", lash_register_usage_views=failing(), lash_register_model_prices=lambda: [price(1)]),
    )
    assert host.usage_views() == ()
    assert len(host.model_prices()) == 1
    assert [found.plugin_id for found in host.plugins] == ["a"]


def test_a_wrong_answer_is_a_failure(make_host):
    host = make_host(plugin("a", lash_register_providers=lambda: [object()]))
    assert host.providers() == {}
    (finding,) = host.findings
    assert finding.message == (
        "failed in lash_register_providers: returned a list with a object in it, not a ModelProvider"
    )


def test_one_object_is_one_plugin(make_host):
    class Twice:
        lash_register_model_prices = staticmethod(hookimpl(lambda: [price(1)]))

        @property
        def plugin_id(self):
            return f"id{next(ids)}"

    ids = iter(range(9))
    shared = Twice()
    host = make_host(shared, shared)
    assert len(host.plugins) == 1
    (finding,) = host.findings
    assert finding.message == "cannot be registered: it is the same object as another plugin"


def test_strictness_holds_everything_that_is_wrong(make_host, host_plugin, clock):
    host = make_host(object(), plugin("a", lash_register_effect_hosts=failing()))
    with pytest.raises(PluginLoadError) as caught:
        host.raise_if_strict()
    assert "implements no hook" in str(caught.value)
    assert "failed in lash_register_effect_hosts: ValueError: broken" in str(caught.value)
    make_host(host_plugin("fine", lambda _context: None)).raise_if_strict()


def test_warnings_are_no_reason_to_be_strict(install, clock):
    read = Settings(plugins=PluginSettings(enabled=(), disabled=("gone",)))
    host = PluginHost(discover(read.plugins), read, clock)
    assert [finding.severity for finding in host.findings] == ["warning"]
    host.raise_if_strict()


def test_findings_are_kept_once_and_failures_of_a_hook_as_the_last(make_host):
    host = make_host()

    def finding(message, hook=None):
        return PluginFinding(
            code="hook_failed",
            severity="error",
            plugin_id="a",
            distribution=None,
            place="",
            message=message,
            hook=hook,
        )

    for found in (finding("x"), finding("x"), finding("1", "lash_on_event"), finding("2", "lash_on_event")):
        host.add_finding(found)
    assert [found.message for found in host.findings] == ["x", "2"]


def test_commands_are_added_but_none_is_replaced(make_host, caplog):
    def command(name):
        def lash_register_commands(app):
            app.commands[name] = f"command of {name}"

        return lash_register_commands

    def replace_all(app):
        app.commands.clear()
        app.commands["run"] = "mine"
        app.commands["sql"] = "mine"
        app.commands["notes"] = "mine"
        app.commands["extra"] = "mine"

    def break_off(app):
        app.commands["half"] = "half"
        raise ValueError("broken")

    app = SimpleNamespace(commands={"run": "built in"})
    plugins = [
        plugin("a", lash_register_commands=command("notes")),
        plugin("b", lash_register_commands=replace_all),
        plugin("c", lash_register_commands=break_off),
    ]
    host = make_host(*plugins)
    host.register_commands(app, reserved=("sql",))
    assert app.commands == {"run": "built in", "notes": "command of notes", "extra": "mine"}
    assert [finding.message for finding in host.findings] == [
        "command 'run' is lash's already",
        "command 'sql' is lash's already",
        "command 'notes' is a's already",
        "failed in lash_register_commands: ValueError: broken",
    ]


def test_a_check_makes_every_session_plugin(make_host, host_plugin):
    host = make_host(
        host_plugin("raising", lambda _context: failing()()),
        host_plugin("empty", lambda _context: object()),
        host_plugin("fine", lambda _context: None),
    )
    found = {finding.plugin_id: (finding.code, finding.message) for finding in host.check()}
    assert found["raising"] == ("hook_failed", "failed in lash_create_session_plugin: ValueError: broken")
    assert found["empty"][0] == "invalid_hook"
    assert found["empty"][1].startswith("lash_create_session_plugin returned a object")
    assert "fine" not in found


def test_what_plugins_do_for_the_host_is_counted(make_host):
    host = make_host(plugin("a", lash_register_model_prices=lambda: [price(1)]))
    host.model_prices()
    (fact,) = host.hook_calls()
    assert (fact.plugin_id, fact.hook, fact.calls, fact.errors) == ("a", "lash_register_model_prices", 1, 0)
