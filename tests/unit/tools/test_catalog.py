"""Which tools a model may call."""

from __future__ import annotations

import asyncio
import logging

import pytest

from lash_host.domain.directive import Owned
from lash_host.domain.policy import ToolAccess
from lash_host.domain.tool import ToolOutput, ToolSpec
from lash_host.errors import PluginHookError, ToolStateError
from lash_host.tools.catalog import CatalogCache, build_catalog, overlay_catalog
from lash_host.tools.registry import ToolRegistry


@pytest.fixture
def provider(make_provider):
    return make_provider().add("read", description="Reads.", bindings={"ui": {"icon": "r"}}).add("write").add("ask")


@pytest.fixture
def registry(provider):
    return ToolRegistry([Owned("files", provider)])


def build(registry, hooks, **access):
    return build_catalog(registry, hooks, tool_access=ToolAccess(**access))


def test_a_catalog_is_flat_and_holds_what_may_be_called(registry, hooks):
    registry.set_membership(["ask"], present=False)
    catalog = build(registry, hooks)
    assert [manifest.name for manifest in catalog.manifests] == ["read", "write"]
    assert catalog.names == {"read", "write"}
    assert catalog.get("read").description == "Reads."
    assert catalog.get("ask") is None


def test_orphans_are_not_in_it(registry, hooks, make_provider):
    stored = ToolRegistry([Owned("old", make_provider().add("gone"))]).export_state()
    registry.restore_state(stored)
    assert "gone" not in build(registry, hooks).names


@pytest.mark.parametrize(
    ("access", "names"),
    [
        ({"only": ("read", "unknown")}, {"read"}),
        ({"hidden": ("read",)}, {"ask", "write"}),
        ({"only": ("read", "write"), "hidden": ("read",)}, {"write"}),
    ],
)
def test_tool_access_restricts_it(registry, hooks, access, names):
    assert build(registry, hooks, **access).names == names


def test_plugins_can_only_remove_and_see_the_unfiltered_list(registry, hooks):
    hooks.removes = frozenset({"write", "unknown"})
    catalog = build_catalog(
        registry, hooks, tool_access=ToolAccess(hidden=("ask",)), extensions={"rules": ["no writing"]}
    )
    assert catalog.names == {"read"}
    (context,) = hooks.of("filter")
    assert [manifest.name for manifest in context.tools] == ["ask", "read", "write"]
    assert (context.session_id, context.extensions) == ("s1", {"rules": ["no writing"]})
    assert context.tool_access.hidden == ("ask",)


def test_a_failing_filter_fails_the_catalog(registry, hooks):
    hooks.removes = PluginHookError(plugin_id="p", hook="lash_filter_tool_catalog", problem="boom")
    with pytest.raises(PluginHookError):
        build(registry, hooks)


def test_specs_are_made_once_and_without_internal_tools(registry, provider, hooks):
    provider.add("inner", activation="internal").add("read", schema={"properties": {"path": {}}}, description="Reads.")
    registry.refresh([Owned("files", provider)])
    catalog = build(registry, hooks)
    assert provider.contracts_asked == []
    specs = catalog.specs()
    assert [spec.name for spec in specs] == ["ask", "read", "write"]
    assert specs[1] == ToolSpec(name="read", description="Reads.", input_schema={"properties": {"path": {}}})
    assert catalog.specs() is specs
    assert "inner" in catalog.names
    assert provider.contracts_asked == ["id:ask", "id:read", "id:write"]


def test_a_tool_without_contract_is_not_shown_and_that_is_logged(registry, provider, hooks, caplog):
    provider.add("ask", schema=OSError("server is down"))
    with caplog.at_level(logging.WARNING):
        specs = build(registry, hooks).specs()
    assert [spec.name for spec in specs] == ["read", "write"]
    assert "server is down" in caplog.text


def test_the_export_is_a_copy(registry, hooks):
    catalog = build(registry, hooks, only=("read",))
    exported = catalog.export()
    assert exported == [
        {
            "id": "id:read",
            "name": "read",
            "description": "Reads.",
            "bindings": {"ui": {"icon": "r"}},
            "activation": "always",
        }
    ]
    exported[0]["bindings"]["ui"]["icon"] = "changed"
    assert catalog.export()[0]["bindings"] == {"ui": {"icon": "r"}}


def test_a_catalog_goes_on_with_what_it_was_made_from(registry, hooks, make_provider):
    catalog = build(registry, hooks)
    registry.refresh([Owned("other", make_provider().add("new"))])
    output = asyncio.run(catalog.tool("read").execute({"path": "x"}, None))
    assert output == ToolOutput.success({"path": "x"})


# --- the cache ----------------------------------------------------------------------------------


def test_an_unchanged_catalog_is_the_same_object_and_asks_no_plugin(registry, hooks):
    cache = CatalogCache()
    first = cache.get(registry, hooks, tool_access=ToolAccess())
    assert all(cache.get(registry, hooks, tool_access=ToolAccess()) is first for _ in range(5))
    assert len(hooks.of("filter")) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda registry, _hooks: registry.set_membership(["read"], present=False),
        lambda registry, _hooks: registry.restore_state(registry.export_state()),
        lambda registry, _hooks: registry.refresh([]),
        lambda _registry, hooks: setattr(hooks, "fingerprint", 2),
    ],
)
def test_whatever_a_catalog_depends_on_makes_it_anew(registry, hooks, change):
    cache = CatalogCache()
    first = cache.get(registry, hooks, tool_access=ToolAccess())
    change(registry, hooks)
    assert cache.get(registry, hooks, tool_access=ToolAccess()) is not first


def test_other_access_other_extensions_and_clearing_make_it_anew(registry, hooks):
    cache = CatalogCache()
    first = cache.get(registry, hooks, tool_access=ToolAccess())
    hidden = cache.get(registry, hooks, tool_access=ToolAccess(hidden=("read",)))
    assert hidden.names == {"ask", "write"}
    extended = cache.get(registry, hooks, tool_access=ToolAccess(hidden=("read",)), extensions={"x": [1]})
    assert extended is not hidden
    cache.clear()
    assert cache.get(registry, hooks, tool_access=ToolAccess()) is not first


def test_a_refresh_that_changes_nothing_but_the_providers_makes_it_anew(registry, provider, hooks):
    cache = CatalogCache()
    first = cache.get(registry, hooks, tool_access=ToolAccess())
    assert registry.refresh([Owned("files", provider)]) is False
    assert cache.get(registry, hooks, tool_access=ToolAccess()) is not first


# --- a turn's own tools -------------------------------------------------------------------------


async def _from_overlay(_arguments, _context):
    return ToolOutput.success("from the turn")


def test_a_turns_tools_replace_those_of_the_same_name_or_id(registry, hooks, make_provider):
    overlay = (
        make_provider().add("read", _from_overlay, tool_id="other").add("store", _from_overlay, tool_id="id:write")
    )
    catalog = overlay_catalog(build(registry, hooks), [overlay])
    assert catalog.names == {"ask", "read", "store"}
    assert (catalog.tool("read").plugin_id, catalog.tool("ask").plugin_id) == (None, "files")
    assert asyncio.run(catalog.tool("read").execute({}, None)) == ToolOutput.success("from the turn")
    assert asyncio.run(catalog.tool("ask").execute({}, None)) == ToolOutput.success({})
    assert set(registry.state.tools) == {"id:ask", "id:read", "id:write"}


def test_a_turn_may_do_without_the_sessions_tools(registry, hooks, make_provider):
    catalog = overlay_catalog(build(registry, hooks), [make_provider().add("solo")], include_base=False)
    assert catalog.names == {"solo"}


def test_a_turns_tools_are_restricted_like_all_others(registry, hooks, make_provider):
    hooks.removes = lambda context: frozenset(m.name for m in context.tools if m.name.startswith("bad"))
    base = build(registry, hooks, hidden=("secret",))
    overlay = make_provider().add("bad_one").add("secret").add("fine")
    assert overlay_catalog(base, [overlay]).names == {"ask", "fine", "read", "write"}


def test_the_same_turn_gets_the_same_catalog_again(registry, hooks, make_provider):
    base, overlay = build(registry, hooks), make_provider().add("fine")
    catalog = overlay_catalog(base, [overlay])
    assert overlay_catalog(base, [overlay]) is catalog
    assert overlay_catalog(base, [overlay], include_base=False) is not catalog
    assert overlay_catalog(base, [make_provider().add("fine")]) is not catalog


def test_two_tools_of_one_turn_must_not_share_a_name(registry, hooks, make_provider):
    overlays = [make_provider().add("x", tool_id="1"), make_provider().add("x", tool_id="2")]
    with pytest.raises(ToolStateError, match="tool name 'x' is brought twice by 'turn context'"):
        overlay_catalog(build(registry, hooks), overlays)
