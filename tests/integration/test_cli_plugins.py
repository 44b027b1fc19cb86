"""``lash plugins``, and commands that plugins add."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Install a plugin: a module, and the metadata of a distribution whose entry point is the module."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    names: list[str] = []

    def write(plugin_id: str, source: str) -> None:
        metadata = site / f"lash_{plugin_id}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lash-{plugin_id}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(f"[lash_host.plugins]\n{plugin_id} = lash_{plugin_id}\n")
        (site / f"lash_{plugin_id}.py").write_text(source)
        names.append(f"lash_{plugin_id}")
        importlib.invalidate_caches()

    yield write
    for name in names:
        sys.modules.pop(name, None)


_COMMANDS = """
import click
from lash_host import hookimpl

@hookimpl
def lash_register_commands(app):
    @app.command()
    @click.argument("who")
    @click.pass_obj
    def greet(invocation, who):
        click.echo(f"hello {who} {invocation.store}")

    @app.command()
    def fail():
        raise ZeroDivisionError("odd")

    @app.group()
    def many():
        pass

    @many.command()
    @click.pass_obj
    def inner(invocation):
        click.echo(f"inner {invocation.debug}")
"""


def test_a_list_names_each_plugin_with_its_hooks(lash, tmp_path):
    outcome = lash("plugins", "list", "--format", "json")

    found = {row["plugin_id"]: row for row in outcome.json}
    assert set(found) >= {"protocol_default", "tools_files", "compaction_summary", "provider_openai"}
    assert found["protocol_default"]["distribution"] == "lash-host-protocol-default"
    assert "lash_protocol" in found["protocol_default"]["session_hooks"]
    assert found["provider_openai"]["hooks"] == ["lash_register_providers"]
    assert outcome.err == ""
    assert not (tmp_path / "store.duckdb").exists()


def test_a_list_for_people(lash, monkeypatch):
    monkeypatch.setenv("LASH_PLUGINS__DISABLED", '["tools_files"]')

    lines = lash("plugins", "list").out.splitlines()

    assert lines[0].split() == ["plugin", "version", "distribution", "hooks", "enabled"]
    assert next(line for line in lines if line.startswith("tools_files")).split()[-2:] == ["0", "no"]


def test_a_plugin_is_shown_with_its_tools(lash):
    text = lash("plugins", "show", "tools_files").out
    document = lash("plugins", "show", "tools_files", "--format", "json").json

    assert "lash_export_tools" in text
    assert "read_file" in text
    assert "read_file" in [tool["name"] for tool in document["tools"]]
    assert document["findings"] == []


def test_an_unknown_plugin_is_wrong_usage(lash):
    outcome = lash("plugins", "show", "nope")

    assert outcome.status == 2
    assert outcome.err.startswith("error [unknown_plugin]: no plugin 'nope' is installed; installed: ")


def test_sound_plugins_pass_the_check(lash):
    outcome = lash("plugins", "check")

    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err.endswith("0 errors, 0 warnings\n")


@pytest.mark.parametrize(
    ("source", "code", "part"),
    [
        ("raise RuntimeError('at import')", "import_error", "RuntimeError: at import"),
        ("x = 1", "no_hooks", "implements no hook"),
        (
            "from lash_host import hookimpl\n@hookimpl\ndef lash_create_sesion_plugin(context): ...",
            "unknown_hook",
            "lash_create_session_plugin",
        ),
        (
            "from lash_host import hookimpl\n@hookimpl\ndef lash_create_session_plugin(context): raise KeyError('a')",
            "hook_failed",
            "KeyError",
        ),
        (
            "from lash_host import hookimpl\n@hookimpl\ndef lash_register_commands(app):\n    raise KeyError('b')",
            "hook_failed",
            "KeyError",
        ),
    ],
)  # fmt: skip
def test_the_check_says_what_is_wrong_and_where(lash, install, source, code, part):
    install("broken", source)

    outcome = lash("plugins", "check")
    findings = lash("plugins", "check", "--format", "json").json

    assert outcome.status == 1
    (line,) = outcome.out.splitlines()
    assert line.startswith(f"error [{code}] broken (lash-broken, ")
    assert part in line
    assert [(each["code"], each["plugin_id"], each["severity"]) for each in findings] == [(code, "broken", "error")]
    assert "lash_broken" in findings[0]["place"]


def test_the_check_looks_at_the_whole(lash, monkeypatch):
    monkeypatch.setenv("LASH_PLUGINS__DISABLED", '["protocol_default"]')

    outcome = lash("plugins", "check")

    assert outcome.status == 1
    assert outcome.out.startswith("error [missing_protocol]: missing protocol: install a plugin")


def test_a_broken_plugin_is_warned_of_once_and_can_be_fatal(lash, install):
    install("broken", "raise RuntimeError('at import')")

    going_on = lash("run", "hello")
    strict = lash("run", "hello", "--strict-plugins")
    listed = lash("plugins", "list", "--format", "json")

    assert going_on.status == 0
    assert going_on.err.count("warning [import_error]: plugin 'broken' of lash-broken: cannot be imported") == 1
    assert strict.status == 1
    assert strict.err.startswith("error [plugin_load]: plugin 'broken' of lash-broken: cannot be imported")
    assert "Traceback" not in going_on.err + strict.err
    assert "broken" not in [row["plugin_id"] for row in listed.json]
    assert listed.err.startswith("warning [import_error]: ")


def test_commands_of_plugins_are_commands(lash, install):
    install("more", _COMMANDS)

    greeted = lash("--store", "x.duckdb", "greet", "you")

    assert (greeted.status, greeted.out) == (0, "hello you x.duckdb\n")
    assert lash("greet", "you", "--store", "y.duckdb").out == "hello you y.duckdb\n"
    assert lash("many", "inner", "--debug").out == "inner True\n"
    assert "Did you mean 'greet'?" in lash("greeet").err
    assert lash("plugins", "list").out.splitlines()[0].split()[-1] == "commands"
    assert lash("plugins", "show", "more", "--format", "json").json["commands"] == ["greet", "fail", "many"]
    assert "  lash greet\n" in lash("plugins", "show", "more").out


def test_a_failing_command_of_a_plugin_is_contained(lash, install):
    install("more", _COMMANDS)

    outcome = lash("fail")

    assert outcome.status == 1
    assert outcome.err == (
        "error [plugin]: the command 'fail', which a plugin added, failed: ZeroDivisionError: odd "
        "(--debug shows the traceback)\n"
    )
    assert "Traceback" in lash("fail", "--debug").err


def test_a_plugin_cannot_replace_a_built_in_command(lash, install):
    source = (
        "from lash_host import hookimpl\n@hookimpl\ndef lash_register_commands(app):\n    app.command('usage')(print)"
    )
    install("greedy", source)

    outcome = lash("frob")

    assert outcome.status == 2
    assert "warning [duplicate_registration]: plugin 'greedy'" in outcome.err
    assert lash("usage").status == 0


def test_help_does_not_load_plugins(lash, install):
    install("broken", "raise SystemExit('imported')")

    assert lash("--help").status == 0
    assert lash("run", "--help").status == 0
