"""Commands that plugins add to the command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import click

from lash_host.cli.invocation import Invocation
from lash_host.cli.opening import FindingsTold, log_quietly, settings_of

__all__ = ["load_plugin_commands"]


def load_plugin_commands(invocation: Invocation, *, builtin: Collection[str]) -> Mapping[str, click.Command]:
    """Load the plugins and gather the commands they add. A plugin that fails adds none, and a warning says so.

    Raises:
        LashError: The settings are wrong; or with ``--strict-plugins``, a plugin.
    """
    from lash_host.bootstrap import load_plugins
    from lash_host.cli.spinner import spinning

    log_quietly(invocation)
    with spinning(invocation.terminal, "loading plugins"):
        host = load_plugins(settings_of(invocation))
        gathered = click.Group("lash")
        host.register_commands(gathered, reserved=builtin)
    if invocation.strict_plugins:
        host.raise_if_strict()
    FindingsTold(invocation.terminal).tell(host.findings)
    return gathered.commands
