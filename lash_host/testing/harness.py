"""A host whose model is scripted, for tests of plugins and applications."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from lash_host.bootstrap import LashHost
from lash_host.bootstrap import open as open_host
from lash_host.contracts.clock import Clock
from lash_host.contracts.store import SessionStore
from lash_host.hookspecs.host import PluginSessionContext
from lash_host.markers import hookimpl
from lash_host.settings import Settings
from lash_host.testing.scripted_provider import Reply, ScriptedProvider

__all__ = ["host_plugin", "scripted_host"]


@contextlib.asynccontextmanager
async def scripted_host(
    *replies: Reply,
    plugins: Sequence[object] = (),
    store: str | Path | SessionStore = "duckdb:///:memory:",
    settings: Settings | None = None,
    provider: ScriptedProvider | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[LashHost]:
    """Open a host whose sessions talk to a script.

    Args:
        replies: What the model answers, in order; see `ScriptedProvider`.
        plugins: The plugins under test, besides the default protocol, which must be installed.
        store: Where sessions live; in memory unless said otherwise.
        settings: Settings; the model is set to ``scripted/test`` unless they name another.
        provider: The scripted provider, where the test wants to look at its requests.
        clock: The time.
    """
    given = Settings() if settings is None else settings
    if given.model == Settings().model:
        given = given.model_copy(update={"model": "scripted/test"})
    script = ScriptedProvider(replies=list(replies)) if provider is None else provider
    opening = open_host(store, settings=given, plugins=["protocol_default", *plugins], providers=[script], clock=clock)
    async with opening as host:
        yield host


class _HostPlugin:
    """Makes one kind of session plugin, and nothing else."""

    version = "1"

    def __init__(self, make: Callable[[PluginSessionContext], object | None], *, plugin_id: str) -> None:
        self.plugin_id = plugin_id
        self._make = make

    @hookimpl
    def lash_create_session_plugin(self, context: PluginSessionContext) -> object | None:
        """Make it."""
        return self._make(context)


def host_plugin(make: Callable[[PluginSessionContext], object | None], *, plugin_id: str = "test") -> object:
    """Give a host plugin for a session plugin under test.

    Args:
        make: The session plugin's class, or what makes one.
        plugin_id: The id it shall have.
    """
    return _HostPlugin(make, plugin_id=plugin_id)
