"""Calling a hook with ten implementations: ours, timed and checked, beside bare pluggy."""

from __future__ import annotations

import timeit

import pluggy

from bench.tables import milliseconds, print_table
from lash_host.contracts.clock import SystemClock
from lash_host.domain.policy import ToolAccess
from lash_host.hookspecs.catalog import ToolCatalogContext, lash_filter_tool_catalog
from lash_host.markers import hookimpl
from lash_host.plugin.discovery import explicit
from lash_host.plugin.host import PluginHost, SessionRequest
from lash_host.settings import Settings

PLUGINS, CALLS = 10, 20_000
CONTEXT = ToolCatalogContext(session_id="s", tools=(), tool_access=ToolAccess(), extensions={})


class SessionPart:
    """Implements one hook."""

    @hookimpl
    def lash_filter_tool_catalog(self, context):
        return ()


class HostPart:
    """Makes one session part."""

    def __init__(self, number: int) -> None:
        self.plugin_id = f"p{number}"

    @hookimpl
    def lash_create_session_plugin(self, context):
        return SessionPart()


def bare() -> float:
    """Time bare pluggy."""

    class Spec:
        lash_filter_tool_catalog = staticmethod(lash_filter_tool_catalog)

    manager = pluggy.PluginManager("lash_host")
    manager.add_hookspecs(Spec)
    for _ in range(PLUGINS):
        manager.register(SessionPart())
    call = manager.hook.lash_filter_tool_catalog
    return timeit.timeit(lambda: call(context=CONTEXT), number=CALLS) / CALLS


def ours() -> float:
    """Time the plugin session's typed method."""
    parts: list[object] = ["protocol_default", *(HostPart(number) for number in range(PLUGINS))]
    settings = Settings()
    host = PluginHost(explicit(parts, settings.plugins), settings, SystemClock())
    session = host.build_session(SessionRequest(session_id="s"))
    return timeit.timeit(lambda: session.filter_tool_catalog(CONTEXT), number=CALLS) / CALLS


def main(*, quick: bool = False) -> None:
    """Measure both, some times in turn, and show the best of each."""
    measured = [(ours(), bare()) for _ in range(1 if quick else 3)]
    mine, theirs = min(m for m, _ in measured), min(t for _, t in measured)
    rows = [
        ("lash_host: ordered, timed per plugin, answers checked", milliseconds(mine), f"{mine / theirs:.2f}"),
        ("bare pluggy", milliseconds(theirs), "1.00"),
    ]
    print_table(f"One hook call, {PLUGINS} implementations", ["", "ms", "ratio"], rows)
