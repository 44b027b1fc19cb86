from __future__ import annotations

import asyncio
import threading
from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest

import lash_host_tools_files
from lash_host import FailureClass
from lash_host.errors import InvalidPluginOptions
from lash_host.hookspecs.host import PluginSessionContext
from lash_host_tools_files import plugin as plugin_module

TOOLS = ["list_files", "read_file", "search_files", "write_file"]


def open_plugin(**options):
    context = PluginSessionContext(
        plugin_id="tools_files", plugin_version="0.1.0", session_id="s", plugin_options=options
    )
    return lash_host_tools_files.lash_create_session_plugin(context)


def provider(plugin):
    (only,) = plugin.lash_export_tools()
    return only


def manifests(plugin):
    return {manifest.name: manifest for manifest in provider(plugin).manifests()}


def call(plugin, name, **arguments):
    async def run():
        return await provider(plugin).execute(f"tools_files.{name}", arguments, SimpleNamespace())

    return asyncio.run(run()).outcome


def test_the_entry_point_is_the_module():
    (point,) = entry_points(group="lash_host.plugins", name="tools_files")
    assert point.load() is lash_host_tools_files


def test_tools_are_exported_with_what_a_model_needs(folder):
    plugin = open_plugin(root=str(folder))
    assert list(manifests(plugin)) == TOOLS
    for name, manifest in manifests(plugin).items():
        assert manifest.description
        assert manifest.scheduling == ("serial" if name == "write_file" else "parallel")
        schema = provider(plugin).contract(manifest.tool_id).input_schema
        assert all(told.get("description") for told in schema["properties"].values())
    schemas = {name: provider(plugin).contract(f"tools_files.{name}").input_schema for name in TOOLS}
    assert {name: schema.get("required", []) for name, schema in schemas.items()} == {
        "list_files": [],
        "read_file": ["path"],
        "search_files": ["pattern"],
        "write_file": ["path", "content"],
    }


def test_a_session_works_on_files(folder):
    plugin = open_plugin(root=str(folder))
    assert call(plugin, "write_file", path="a/b.txt", content="one\ntwo\n").value == "created a/b.txt (8 bytes)"
    assert call(plugin, "list_files", recursive=True).value == "a/\na/b.txt (8 bytes)"
    assert call(plugin, "read_file", path="a/b.txt", offset=1).value == "two\n"
    assert call(plugin, "search_files", pattern="T.O", regex=True, ignore_case=True).value == "a/b.txt:2: two"
    assert call(plugin, "write_file", path="a/b.txt", content="", overwrite=True).value == "replaced a/b.txt (0 bytes)"


@pytest.mark.parametrize(
    ("name", "arguments", "code", "failure_class"),
    [
        ("read_file", {"path": "../x"}, "outside_root", FailureClass.PERMISSION),
        ("read_file", {"path": "nope"}, "not_found", FailureClass.EXECUTION),
        ("read_file", {"path": "a\0"}, "invalid_path", FailureClass.INVALID_REQUEST),
        ("read_file", {"path": "x", "limit": "many"}, "invalid_tool_args", FailureClass.INVALID_REQUEST),
        ("read_file", {"file": "x"}, "invalid_tool_args", FailureClass.INVALID_REQUEST),
        ("search_files", {"pattern": "[", "regex": True}, "invalid_pattern", FailureClass.INVALID_REQUEST),
        ("write_file", {"path": ".git/config", "content": ""}, "protected_path", FailureClass.PERMISSION),
    ],
)
def test_failures_have_a_code(folder, name, arguments, code, failure_class):
    outcome = call(open_plugin(root=str(folder)), name, **arguments)
    assert (outcome.status, outcome.code, outcome.failure_class) == ("failure", code, failure_class)


def test_a_session_that_may_not_write_has_no_tool_for_it(folder):
    plugin = open_plugin(root=str(folder), writable=False)
    assert list(manifests(plugin)) == [name for name in TOOLS if name != "write_file"]
    with pytest.raises(KeyError):
        call(plugin, "write_file", path="a.txt", content="x")
    assert list(folder.iterdir()) == []


def test_the_root_is_the_working_directory_of_the_opening(folder, tmp_path, make, monkeypatch):
    make("a.txt", "inside")
    monkeypatch.chdir(folder)
    plugin = open_plugin()
    monkeypatch.chdir(tmp_path)
    assert call(plugin, "read_file", path="a.txt").value == "inside"


def test_a_root_may_be_relative_or_at_home(folder, tmp_path, make, monkeypatch):
    make("a.txt", "inside")
    monkeypatch.chdir(tmp_path)
    assert call(open_plugin(root="root"), "read_file", path="a.txt").value == "inside"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert call(open_plugin(root="~/root"), "read_file", path="a.txt").value == "inside"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"roots": "."}, "roots"),
        ({"root": 5}, "root"),
        ({"root": ""}, "root"),
        ({"root": "nowhere"}, "does not exist"),
        ({"root": "a.txt"}, "is not a folder"),
        ({"root": "a\0b"}, "root"),
        ({"root": "~nobody-of-this-name/x"}, "cannot be used"),
        ({"writable": "perhaps"}, "writable"),
        ({"writable": None}, "writable"),
    ],
)
def test_options_that_cannot_be_used_keep_the_session_from_opening(folder, make, monkeypatch, options, words):
    make("a.txt", "x")
    monkeypatch.chdir(folder)
    with pytest.raises(InvalidPluginOptions, match=words) as caught:
        open_plugin(**options)
    assert caught.value.plugin_id == "tools_files"


def test_a_cancelled_call_tells_its_thread_to_stop(folder, monkeypatch):
    started, ended = threading.Event(), threading.Event()

    def search(root, query, path, *, allowance):
        started.set()
        allowance._stop.wait(5)
        if allowance.is_over:
            ended.set()
        return ""

    monkeypatch.setattr(plugin_module, "search_files", search)

    async def run():
        task = asyncio.create_task(open_plugin(root=str(folder)).search_files("x"))
        await asyncio.to_thread(started.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert ended.wait(5)
