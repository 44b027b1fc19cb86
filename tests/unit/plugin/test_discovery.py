"""Installed plugins: which are found, in which order, and what is said of broken ones."""

from __future__ import annotations

import pytest

SOUND = """
    from lash_host.markers import hookimpl

    @hookimpl
    def lash_contribute_extensions():
        return [("greeting", "hello")]
"""


def test_an_entry_point_is_a_plugin(install, discover_only):
    install("acme-notes", entry_points={"notes": "acme_notes"}, modules={"acme_notes": SOUND}, version="2.3")
    found = discover_only()
    (plugin,) = found.plugins
    assert (plugin.plugin_id, plugin.version, plugin.distribution) == ("notes", "2.3", "acme-notes")
    assert (plugin.location, plugin.hooks, plugin.enabled) == ("acme_notes", ("lash_contribute_extensions",), True)
    assert plugin.host_plugin.__name__ == "acme_notes"
    assert found.findings == ()


def test_an_entry_point_may_load_an_object_or_a_class(install, discover_only):
    source = """
        from lash_host.markers import hookimpl

        class Plugin:
            @hookimpl
            def lash_contribute_extensions(self):
                return []

        plugin = Plugin()
    """
    install(
        "acme-both", entry_points={"one": "acme_both:plugin", "two": "acme_both:Plugin"}, modules={"acme_both": source}
    )
    found = discover_only()
    assert [type(plugin.host_plugin).__name__ for plugin in found.plugins] == ["Plugin", "Plugin"]
    assert found.findings == ()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("class E(Exception): ...\nraise E('two\\nlines')", "E: two lines"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_left_out(install, discover_only, source, said):
    folder = install("acme-bad", entry_points={"bad": "acme_bad"}, modules={"acme_bad": source})
    install("acme-good", entry_points={"good": "acme_good"}, modules={"acme_good": SOUND})
    found = discover_only()
    assert [plugin.plugin_id for plugin in found.plugins] == ["good"]
    (finding,) = found.findings
    assert (finding.code, finding.severity) == ("import_error", "error")
    assert (finding.plugin_id, finding.distribution) == ("bad", "acme-bad")
    assert said in finding.message
    assert "\n" not in str(finding)
    assert finding.place.startswith(str(folder / "acme_bad.py:"))


def test_a_keyboard_interrupt_is_not_held_up(install, discover_only):
    install("acme-stop", entry_points={"stop": "acme_stop"}, modules={"acme_stop": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        discover_only()


def test_a_missing_module_or_attribute_is_told_with_the_entry_point(install, discover_only):
    install(
        "acme-gone",
        entry_points={"gone": "acme_nowhere", "half": "acme_gone:plugin"},
        modules={"acme_gone": ""},
    )
    found = discover_only()
    assert found.plugins == ()
    assert {finding.plugin_id: finding.place for finding in found.findings} == {
        "gone": "acme_nowhere",
        "half": "acme_gone:plugin",
    }


def test_a_module_without_hooks_is_no_plugin(install, discover_only):
    source = "def lash_contribute_extensions():\n    return []\n"
    install("acme-bare", entry_points={"bare": "acme_bare"}, modules={"acme_bare": source})
    found = discover_only()
    assert found.plugins == ()
    warning, error = found.findings
    assert (warning.code, warning.severity) == ("unmarked_hook", "warning")
    assert "lash_contribute_extensions is not marked with @hookimpl" in warning.message
    assert warning.place.endswith("acme_bare.py:1")
    assert (error.code, error.severity) == ("no_hooks", "error")


def test_an_unknown_hook_names_the_nearest(install, discover_only):
    source = SOUND + "\n    @hookimpl\n    def lash_register_provider(settings):\n        return []\n"
    folder = install("acme-typo", entry_points={"typo": "acme_typo"}, modules={"acme_typo": source})
    found = discover_only()
    assert found.plugins == ()
    (finding,) = found.findings
    assert finding.code == "unknown_hook"
    assert "no hook lash_register_provider" in finding.message
    assert "did you mean 'lash_register_providers'?" in finding.message
    assert finding.place == f"{folder / 'acme_typo.py'}:8"


def test_two_distributions_of_one_id_are_both_left_out(install, discover_only):
    install("acme-first", entry_points={"notes": "acme_first"}, modules={"acme_first": SOUND})
    install("acme-second", entry_points={"notes": "acme_second"}, modules={"acme_second": SOUND}, version="0.2")
    found = discover_only()
    assert found.plugins == ()
    (finding,) = found.findings
    assert (finding.code, finding.plugin_id) == ("duplicate_plugin_id", "notes")
    assert "acme-first 1.0 (acme_first)" in finding.message
    assert "acme-second 0.2 (acme_second)" in finding.message


def test_one_distribution_found_twice_is_one_plugin(install, discover_only):
    install("acme-notes", entry_points={"notes": "acme_notes"}, modules={"acme_notes": SOUND}, site="wheel")
    install("acme-notes", entry_points={"notes": "acme_notes"}, modules={"acme_notes": SOUND}, site="editable")
    found = discover_only()
    assert [plugin.plugin_id for plugin in found.plugins] == ["notes"]
    assert found.findings == ()


def test_order_is_that_of_the_settings_and_then_of_the_ids(install, discover_only):
    names = ("delta", "alpha", "charlie", "bravo")
    install("acme-many", entry_points=dict.fromkeys(names, "acme_many"), modules={"acme_many": SOUND})
    assert [plugin.plugin_id for plugin in discover_only().plugins] == ["alpha", "bravo", "charlie", "delta"]
    ordered = discover_only(order=("delta", "bravo"))
    assert [plugin.plugin_id for plugin in ordered.plugins] == ["delta", "bravo", "alpha", "charlie"]


@pytest.mark.parametrize("settings", [{"enabled": ("good",)}, {"disabled": ("bad",)}])
def test_a_disabled_plugin_is_listed_but_not_imported(install, discover_only, settings):
    install("acme-good", entry_points={"good": "acme_good"}, modules={"acme_good": SOUND})
    install("acme-bad", entry_points={"bad": "acme_bad"}, modules={"acme_bad": "raise SystemExit"})
    found = discover_only(**settings)
    assert {plugin.plugin_id: plugin.enabled for plugin in found.plugins} == {"good": True, "bad": False}
    assert next(plugin for plugin in found.plugins if plugin.plugin_id == "bad").host_plugin is None
    assert found.findings == ()


@pytest.mark.parametrize(
    ("settings", "severity"),
    [
        ({"enabled": ("notes", "nots")}, "error"),
        ({"options": {"nots": {"size": 1}}}, "error"),
        ({"disabled": ("nots",)}, "warning"),
        ({"order": ("nots",)}, "warning"),
    ],
)
def test_an_unknown_id_in_the_settings_is_told_with_the_nearest(install, discover_only, settings, severity):
    install("acme-notes", entry_points={"notes": "acme_notes"}, modules={"acme_notes": SOUND})
    (finding,) = discover_only(**settings).findings
    assert (finding.code, finding.severity, finding.plugin_id) == ("unknown_plugin_in_settings", severity, "nots")
    assert "did you mean 'notes'?" in finding.message
    assert finding.place == f"plugins.{next(iter(settings))}"


def test_a_class_that_needs_arguments_is_told(install, discover_only):
    source = """
        from lash_host.markers import hookimpl
        from lash_host.plugin.session_plugin import SessionPlugin

        class Needy:
            def __init__(self, size): ...

        class Part(SessionPlugin): ...
    """
    install(
        "acme-made",
        entry_points={"needy": "acme_made:Needy", "part": "acme_made:Part"},
        modules={"acme_made": source},
    )
    needy, part = discover_only().findings
    assert "Needy cannot be made without arguments: TypeError" in needy.message
    assert "Part is a session plugin" in part.message
    assert "lash_create_session_plugin" in part.message


def test_an_unreadable_entry_points_file_hides_nobody_else(install, discover_only):
    install("acme-good", entry_points={"good": "acme_good"}, modules={"acme_good": SOUND})
    install("acme-torn", entry_points="this is no entry point")
    found = discover_only()
    assert [plugin.plugin_id for plugin in found.plugins] == ["good"]
    (finding,) = found.findings
    assert (finding.code, finding.distribution) == ("import_error", "acme-torn")
    assert "entry points cannot be read" in finding.message


def test_a_distribution_without_metadata_still_works(install, discover_only):
    install("acme-anon", entry_points={"anon": "acme_anon"}, modules={"acme_anon": SOUND}, metadata=False)
    (plugin,) = discover_only().plugins
    assert (plugin.plugin_id, plugin.version) == ("anon", "0")
