"""The tools of a session."""

from __future__ import annotations

import asyncio

import pytest

from lash_host.domain.directive import Owned
from lash_host.domain.tool import ToolOutput
from lash_host.errors import GenerationMismatch, PluginHookError, ToolStateError
from lash_host.tools.registry import ToolRegistry


@pytest.fixture
def provider(make_provider):
    return make_provider().add("read").add("write")


@pytest.fixture
def registry(provider):
    return ToolRegistry([Owned("files", provider)])


def test_exported_tools_are_members_of_generation_one(registry):
    assert registry.generation == registry.state.generation == 1
    assert [manifest.name for manifest in registry.state.callable_manifests] == ["read", "write"]
    assert registry.owner("id:read") == "files"


def test_a_name_brought_twice_names_both_plugins(make_provider, provider):
    other = make_provider().add("read", tool_id="other")
    with pytest.raises(ToolStateError, match="name 'read' is brought by both 'files' and 'more'"):
        ToolRegistry([Owned("files", provider), Owned("more", other)])


def test_an_id_brought_twice_names_both_plugins(make_provider, provider):
    other = make_provider().add("other", tool_id="id:read")
    with pytest.raises(ToolStateError, match="id 'id:read' is brought by both 'files' and 'more'"):
        ToolRegistry([Owned("files", provider), Owned("more", other)])


def test_a_provider_that_cannot_list_its_tools_is_named(make_provider):
    broken = make_provider()
    broken.manifests = lambda: 1 / 0
    with pytest.raises(PluginHookError, match=r"'files' failed in lash_export_tools.*division by zero"):
        ToolRegistry([Owned("files", broken)])


def test_a_provider_must_list_manifests(make_provider):
    broken = make_provider()
    broken.manifests = lambda: [{"name": "read"}]
    with pytest.raises(PluginHookError, match="gave a dict, not a ToolManifest"):
        ToolRegistry([Owned("files", broken)])


def test_an_edit_is_applied_once(registry):
    edited = registry.export_state()
    edited.tools["id:write"] = edited.tools["id:write"].model_copy(update={"member": False})
    assert registry.apply_state(edited) == registry.generation == 2
    assert [manifest.name for manifest in registry.state.callable_manifests] == ["read"]
    with pytest.raises(GenerationMismatch):
        registry.apply_state(edited)


def test_an_export_shares_nothing_with_the_registry(registry):
    exported = registry.export_state()
    exported.tools["id:read"].manifest.bindings["x"] = 1
    exported.tools.clear()
    assert registry.state.tools["id:read"].manifest.bindings == {}
    applied = registry.export_state()
    registry.apply_state(applied)
    applied.tools.clear()
    assert set(registry.state.tools) == {"id:read", "id:write"}


def test_a_restore_tells_the_orphans(registry, make_provider):
    stored = ToolRegistry([Owned("old", make_provider().add("read").add("gone"))]).export_state()
    assert registry.restore_state(stored) == ("id:gone",)
    assert registry.generation == 2
    assert [manifest.name for manifest in registry.state.callable_manifests] == ["read", "write"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda registry, state: registry.apply_state(state.model_copy(update={"generation": 7})),
        lambda registry, state: registry.restore_state(
            state.model_copy(update={"tools": {"x": state.tools["id:read"]}})
        ),
        lambda registry, _: registry.set_membership(["read", "nope"], present=False),
        lambda registry, _: registry.refresh([Owned("a", _broken()), Owned("b", _broken())]),
    ],
)
def test_a_failed_edit_changes_nothing(registry, edit):
    state, source = registry.state, registry.source
    with pytest.raises((ToolStateError, PluginHookError)):
        edit(registry, registry.export_state())
    assert registry.state is state
    assert registry.source is source


def _broken():
    class Broken:
        def manifests(self):
            raise OSError("server is down")

    return Broken()


def test_a_refresh_reads_the_providers_again(registry, provider):
    assert registry.refresh([Owned("files", provider)]) is False
    assert registry.generation == 1
    provider.add("move")
    assert registry.refresh([Owned("files", provider)]) is True
    assert registry.generation == 2
    assert registry.manifest("move").tool_id == "id:move"


def test_a_refresh_asks_for_contracts_again(registry, provider):
    registry.contract("id:read")
    provider.add("read", schema={"properties": {"path": {}}})
    registry.refresh([Owned("files", provider)])
    assert registry.contract("id:read").input_schema == {"properties": {"path": {}}}


def test_membership_by_names(registry):
    assert registry.set_membership(["read", "write"], present=False) == 2
    assert registry.state.callable_manifests == ()
    assert registry.manifest("read").name == "read"
    assert registry.set_membership(["read"], present=True) == 3


def test_a_contract_is_asked_for_once_and_only_when_needed(registry, provider):
    assert provider.contracts_asked == []
    assert registry.contract("id:read") is registry.contract("id:read")
    assert provider.contracts_asked == ["id:read"]


def test_a_contract_that_cannot_be_had_names_plugin_and_tool(make_provider):
    provider = make_provider().add("read", schema=KeyError("lost"))
    registry = ToolRegistry([Owned("files", provider)])
    with pytest.raises(ToolStateError, match="plugin 'files' gave no contract of tool 'read': KeyError: 'lost'"):
        registry.contract("id:read")


def test_a_contract_must_be_one(registry, provider):
    provider.contract = lambda _: {"type": "object"}
    with pytest.raises(ToolStateError, match="gave a dict as contract of tool 'read'"):
        registry.contract("id:read")


def test_an_unknown_tool_has_no_owner_and_no_name(registry):
    assert registry.manifest("nope") is None
    with pytest.raises(ToolStateError, match="Unknown tool id: nope"):
        registry.owner("nope")


def test_execution_goes_to_the_provider(registry, provider):
    output = asyncio.run(registry.execute("id:read", {"path": "x"}, None))
    assert output == ToolOutput.success({"path": "x"})
    assert provider.executed == [("id:read", {"path": "x"}, None)]


@pytest.mark.parametrize(
    ("tool_id", "problem"),
    [
        ("nope", "Unknown tool id: nope"),
        ("id:write", "Tool id `id:write` is unavailable"),
        ("id:gone", "no plugin that brings it is installed"),
    ],
)
def test_what_may_not_be_called_is_not(registry, provider, make_provider, tool_id, problem):
    stored = ToolRegistry([Owned("files", make_provider().add("read").add("write").add("gone"))])
    stored.set_membership(["write"], present=False)
    registry.restore_state(stored.export_state())
    with pytest.raises(ToolStateError, match=problem):
        asyncio.run(registry.execute(tool_id, {}, None))
    assert provider.executed == []
