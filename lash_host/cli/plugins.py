"""``lash plugins``: which plugins there are, what each does, and what is wrong with any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from lash_host.cli.invocation import Invocation, LashGroup
from lash_host.cli.output import format_option, output_to, write_document, write_objects
from lash_host.cli.render import counted
from lash_host.cli.tables import Column, print_table
from lash_host.cli.terminal import Terminal, one_line

if TYPE_CHECKING:
    from lash_host.plugin.discovery import InstalledPlugin
    from lash_host.plugin.findings import PluginFinding
    from lash_host.plugin.host import PluginHost
    from lash_host.settings import Settings

__all__ = ["plugins"]

_FORMATS = ("table", "json")


@click.group("plugins", cls=LashGroup, short_help="List, show and check plugins.")
def plugins() -> None:
    """List, show and check plugins. The store is not opened."""


@plugins.command("list", short_help="List installed plugins.")
@format_option(*_FORMATS)
@click.pass_obj
def list_plugins(invocation: Invocation, *, format_name: str | None) -> None:
    """List installed plugins in plugin order. What is wrong with any is told on standard error."""
    output = output_to(format_name, known=_FORMATS)
    host, settings = _load(invocation)
    described = [_describe(host, settings, plugin) for plugin in host.installed]
    terminal = invocation.terminal
    if output.format == "json":
        columns = [*(described[0] if described else ())]
        write_objects(terminal, columns, [[*each.values()] for each in described])
    elif described:
        headings = ["plugin", "version", "distribution", "hooks", "enabled"]
        headings += ["commands"] if any(each["commands"] for each in described) else []
        columns = [Column(heading, is_number=heading == "hooks") for heading in headings]
        print_table(terminal, columns, [_row(each)[: len(headings)] for each in described])
    else:
        terminal.say("no plugins are installed", style="dim")
    _tell_findings(invocation, host)


@plugins.command("show", short_help="Show what a plugin does.")
@click.argument("plugin_id", metavar="ID")
@format_option(*_FORMATS)
@click.pass_obj
def show(invocation: Invocation, *, plugin_id: str, format_name: str | None) -> None:
    """Show where a plugin comes from, which hooks it implements, and which tools it brings."""
    from lash_host.cli.plugin_hooks import session_tools
    from lash_host.errors import LashError, UnknownPlugin

    output = output_to(format_name, known=_FORMATS)
    host, settings = _load(invocation)
    plugin = next((plugin for plugin in host.installed if plugin.plugin_id == plugin_id), None)
    findings = [finding for finding in host.findings if finding.plugin_id == plugin_id]
    if plugin is None and not findings:
        raise UnknownPlugin(plugin_id, known=tuple(plugin.plugin_id for plugin in host.installed))
    document: dict[str, Any] = {"plugin_id": plugin_id} if plugin is None else _describe(host, settings, plugin)
    try:
        tools = session_tools(host).get(plugin_id, [])
    except LashError:
        tools = []
    document["tools"] = [{"name": tool.name, "description": tool.description} for tool in tools]
    document["findings"] = [_finding(finding) for finding in findings]
    if output.format == "json":
        write_document(invocation.terminal, document)
    else:
        _print_plugin(invocation.terminal, document)


@plugins.command("check", short_help="Import and validate every plugin.")
@format_option(*_FORMATS)
@click.pass_obj
def check(invocation: Invocation, *, format_name: str | None) -> None:
    """Import every plugin, make its part of a session, and say what is wrong and where.

    The exit status is 1 if anything is an error.
    """
    from lash_host.cli.main import BUILTIN_COMMANDS
    from lash_host.cli.plugin_hooks import session_faults

    output = output_to(format_name, known=_FORMATS)
    host, _ = _load(invocation)
    host.register_commands(click.Group("lash"), reserved=[*BUILTIN_COMMANDS])
    found = [_finding(finding) for finding in host.check()]
    blamed = {each["plugin_id"] for each in found if each["severity"] == "error"}
    for fault in session_faults(host):
        plugin_id = getattr(fault, "plugin_id", None)
        if plugin_id is None or plugin_id not in blamed:
            found.append(_fault(plugin_id, fault.code, str(fault)))
    terminal = invocation.terminal
    if output.format == "json":
        columns = [*_fault(None, "", "")]
        write_objects(terminal, columns, [[each[column] for column in columns] for each in found])
    else:
        for each in found:
            terminal.write(_check_line(each) + "\n")
    errors = sum(each["severity"] == "error" for each in found)
    warnings = counted(len(found) - errors, "warning")
    terminal.say(f"{counted(len(host.installed), 'plugin')}, {counted(errors, 'error')}, {warnings}", style="dim")
    if errors:
        raise click.exceptions.Exit(1)


def _load(invocation: Invocation) -> tuple[PluginHost, Settings]:
    from lash_host.bootstrap import load_plugins
    from lash_host.cli.opening import log_quietly, settings_of
    from lash_host.cli.spinner import spinning

    log_quietly(invocation)
    settings = settings_of(invocation)
    with spinning(invocation.terminal, "loading plugins"):
        host = load_plugins(settings)
    if invocation.strict_plugins:
        host.raise_if_strict()
    return host, settings


def _describe(host: PluginHost, settings: Settings, plugin: InstalledPlugin) -> dict[str, Any]:
    from lash_host.cli.plugin_hooks import plugin_commands, session_hooks

    return {
        "plugin_id": plugin.plugin_id,
        "version": plugin.version,
        "distribution": plugin.distribution or None,
        "location": plugin.location,
        "enabled": plugin.enabled,
        "hooks": plugin.hooks,
        "session_hooks": session_hooks(host, settings, plugin),
        "commands": plugin_commands(plugin),
    }


def _row(described: dict[str, Any]) -> Sequence[str]:
    session_hooks = described["session_hooks"]
    hooks = len(described["hooks"]) + len(session_hooks or ())
    return (
        described["plugin_id"],
        described["version"],
        described["distribution"] or "",
        f"{hooks}+?" if session_hooks is None else str(hooks),
        "yes" if described["enabled"] else "no",
        ", ".join(described["commands"] or ()),
    )


def _print_plugin(terminal: Terminal, document: dict[str, Any]) -> None:
    from lash_host.hookspecs.table import HOOKS

    for name in ("plugin_id", "version", "distribution", "location", "enabled"):
        if document.get(name) is not None:
            value = {True: "yes", False: "no"}.get(document[name], document[name])
            terminal.write(f"{terminal.styled_out(name.removesuffix('_id').ljust(14), 'dim')}{value}\n")
    for heading, names in (("hooks", document.get("hooks")), ("session hooks", document.get("session_hooks"))):
        if names:
            terminal.write(terminal.styled_out(f"\n{heading}\n", "bold"))
            for name in names:
                purpose = (HOOKS[name].spec.__doc__ or "").partition("\n")[0]
                terminal.write(f"  {name.ljust(29)} {purpose}\n")
    if document.get("commands"):
        terminal.write(terminal.styled_out("\ncommands\n", "bold"))
        for name in document["commands"]:
            terminal.write(f"  lash {name}\n")
    if document["tools"]:
        terminal.write(terminal.styled_out("\ntools\n", "bold"))
        for tool in document["tools"]:
            room = max(terminal.columns - 33, 20) if terminal.out_is_terminal else None
            purpose = one_line(tool["description"].partition("\n")[0], limit=room)
            terminal.write(f"  {tool['name'].ljust(29)} {purpose}\n")
    if document["findings"]:
        terminal.write(terminal.styled_out("\nwrong with it\n", "bold"))
        for each in document["findings"]:
            terminal.write(f"  {_check_line(each)}\n")


def _finding(finding: PluginFinding) -> dict[str, Any]:
    return {
        "severity": finding.severity,
        "code": finding.code,
        "plugin_id": finding.plugin_id,
        "distribution": finding.distribution,
        "place": finding.place or None,
        "message": finding.message,
    }


def _fault(plugin_id: str | None, code: str, message: str) -> dict[str, Any]:
    return {
        "severity": "error",
        "code": code,
        "plugin_id": plugin_id,
        "distribution": None,
        "place": None,
        "message": message,
    }


def _check_line(finding: dict[str, Any]) -> str:
    origin = ", ".join(part for part in (finding["distribution"], finding["place"]) if part)
    where = f" ({origin})" if origin else ""
    plugin = f" {finding['plugin_id']}" if finding["plugin_id"] else ""
    return one_line(f"{finding['severity']} [{finding['code']}]{plugin}{where}: {finding['message']}")


def _tell_findings(invocation: Invocation, host: PluginHost) -> None:
    from lash_host.cli.opening import FindingsTold

    FindingsTold(invocation.terminal).tell(host.findings)
