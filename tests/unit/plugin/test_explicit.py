"""Plugins that are given as objects, or by id."""

from __future__ import annotations

from types import ModuleType

import pytest

from lash_host.errors import DuplicatePluginId, UnknownPlugin
from lash_host.markers import hookimpl
from lash_host.plugin.discovery import explicit
from lash_host.settings import PluginSettings

SOUND = """
    from lash_host.markers import hookimpl

    @hookimpl
    def lash_contribute_extensions():
        return []
"""


@hookimpl
def lash_contribute_extensions():
    return []


class Plugin:
    lash_contribute_extensions = staticmethod(lash_contribute_extensions)

    def __init__(self, plugin_id: str = "plain", version: object = "1.2"):
        self.plugin_id, self.version = plugin_id, version


def module(name: str) -> ModuleType:
    made = ModuleType(name)
    made.lash_contribute_extensions = lash_contribute_extensions
    return made


def ids(*plugins: object, **settings) -> list[str]:
    return [plugin.plugin_id for plugin in explicit(plugins, PluginSettings(**settings)).plugins]


def test_ids_come_from_the_object_its_name_or_its_class():
    class Nameless:
        lash_contribute_extensions = staticmethod(lash_contribute_extensions)

    assert ids(Plugin("given"), module("acme.plugin"), Nameless()) == ["given", "acme.plugin", "Nameless"]


def test_versions_come_from_the_object():
    found = explicit([Plugin("a"), Plugin("b", version=3), module("c")], PluginSettings()).plugins
    assert [plugin.version for plugin in found] == ["1.2", "0", "0"]
    assert found[0].location.endswith(":Plugin")


def test_the_given_order_stands_but_for_the_setting():
    assert ids(Plugin("b"), Plugin("c"), Plugin("a")) == ["b", "c", "a"]
    assert ids(Plugin("b"), Plugin("c"), Plugin("a"), order=("a",)) == ["a", "b", "c"]


def test_exactly_what_is_given_takes_part():
    found = explicit([Plugin("a")], PluginSettings(disabled=("a",), enabled=("z",)))
    assert [(plugin.plugin_id, plugin.enabled) for plugin in found.plugins] == [("a", True)]
    assert found.findings == ()


def test_a_class_is_made():
    (plugin,) = explicit([Plugin], PluginSettings()).plugins
    assert isinstance(plugin.host_plugin, Plugin)


def test_two_of_one_id_are_refused_with_both_named():
    with pytest.raises(DuplicatePluginId, match=r"claimed by .*:Plugin and acme"):
        ids(Plugin("acme"), module("acme"))


def test_text_names_an_installed_plugin(install):
    install("acme-notes", entry_points={"notes": "acme_notes"}, modules={"acme_notes": SOUND})
    assert ids(Plugin("a"), "notes") == ["a", "notes"]
    with pytest.raises(UnknownPlugin, match=r"no plugin 'nots' is installed; installed: .*notes"):
        ids("nots")


def test_text_that_two_distributions_claim_is_refused(install):
    install("acme-first", entry_points={"notes": "acme_first"}, modules={"acme_first": SOUND})
    install("acme-second", entry_points={"notes": "acme_second"}, modules={"acme_second": SOUND})
    with pytest.raises(DuplicatePluginId, match=r"acme-first.* and acme-second"):
        ids("notes")


def test_a_broken_object_is_left_out_with_a_finding():
    found = explicit([object(), Plugin("fine")], PluginSettings())
    assert [plugin.plugin_id for plugin in found.plugins] == ["fine"]
    assert [(finding.code, finding.plugin_id) for finding in found.findings] == [("no_hooks", "object")]
