"""Plugins to find, to build sessions of, and to break."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lash_host.contracts.protocol import TurnProtocol
from lash_host.contracts.tool import ToolCallContext
from lash_host.hookspecs.host import PluginSessionContext
from lash_host.markers import hookimpl
from lash_host.plugin.discovery import Discovery, discover, explicit
from lash_host.plugin.host import PluginHost, SessionRequest
from lash_host.plugin.session import PluginSession
from lash_host.settings import PluginSettings, Settings
from lash_host.testing import ManualClock


class FakeProtocol(TurnProtocol):
    def build_driver(self, driver_input):
        return SimpleNamespace(driver_input=driver_input)


class ProtocolPart:
    @hookimpl
    def lash_protocol(self):
        return FakeProtocol()


class HostPlugin:
    """A host plugin whose sessions get what a function makes."""

    def __init__(self, plugin_id: str, make: Callable[[PluginSessionContext], object | None], version: str = "1.0"):
        self.plugin_id, self.version = plugin_id, version
        self._make = make

    @hookimpl
    def lash_create_session_plugin(self, context):
        return self._make(context)


@pytest.fixture
def protocol() -> HostPlugin:
    return HostPlugin("protocol", lambda _context: ProtocolPart())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def host_plugin() -> type[HostPlugin]:
    return HostPlugin


@pytest.fixture
def make_host(clock: ManualClock) -> Callable[..., PluginHost]:
    def make(*plugins: object, **settings: Any) -> PluginHost:
        read = Settings(**settings)
        return PluginHost(explicit(plugins, read.plugins), read, clock)

    return make


@pytest.fixture
def make_session(make_host: Callable[..., PluginHost], protocol: HostPlugin) -> Callable[..., PluginSession]:
    """Build a session of session plugins by plugin id, and of a protocol."""

    def make(parts: dict[str, object], **settings: Any) -> PluginSession:
        plugins = [HostPlugin(plugin_id, lambda _context, part=part: part) for plugin_id, part in parts.items()]
        return make_host(*plugins, protocol, **settings).build_session(SessionRequest(session_id="s"))

    return make


@pytest.fixture
def implement() -> Callable[..., Any]:
    """Make a marked implementation of a hook that calls ``answer`` with what it is given."""

    def make(hook: Any, answer: Callable[..., Any], *, is_async: bool | None = None, **options: Any) -> Any:
        names = ", ".join(hook.spec.__code__.co_varnames[: hook.spec.__code__.co_argcount])
        keyword = "async def" if (hook.is_async if is_async is None else is_async) else "def"
        awaited = "await answer" if keyword == "async def" and is_async is None else "answer"
        scope: dict[str, Any] = {"answer": answer}
        exec(f"{keyword} {hook.name}({names}):\n    return {awaited}({names})\n", scope)  # noqa: S102
        return hookimpl(**options)(scope[hook.name])

    return make


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install a distribution: a folder with its metadata, and a module, on the path."""
    before = set(sys.modules)

    def make(
        distribution: str,
        *,
        entry_points: dict[str, str] | str,
        modules: dict[str, str] | None = None,
        version: str = "1.0",
        site: str = "site",
        metadata: bool = True,
    ) -> Path:
        folder = tmp_path / site
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        if isinstance(entry_points, dict):
            entry_points = "\n".join(f"{name} = {value}" for name, value in entry_points.items())
        (info / "entry_points.txt").write_text(f"[lash_host.plugins]\n{entry_points}\n")
        for name, source in (modules or {}).items():
            (folder / f"{name}.py").write_text(textwrap.dedent(source))
        if str(folder) not in sys.path:
            monkeypatch.syspath_prepend(str(folder))
        return folder

    yield make
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def discover_only(install: Any) -> Callable[..., Discovery]:
    """Discover, and leave out what else is installed where the tests run."""

    def make(**settings: Any) -> Discovery:
        found = discover(PluginSettings(**settings))
        ours = [plugin for plugin in found.plugins if plugin.distribution.startswith(("acme", "unknown"))]
        findings = [
            finding for finding in found.findings if (finding.distribution or "acme").startswith(("acme", "unknown"))
        ]
        return Discovery(plugins=tuple(ours), findings=tuple(findings))

    return make


@pytest.fixture
def call_context() -> ToolCallContext:
    return ToolCallContext(
        session_id="s",
        frame_id="f",
        turn_id="t",
        call_id="c",
        state=None,
        attempt=1,
        max_attempts=1,
        replay_key="r",
        cancelled=asyncio.Event(),
        completions=None,
    )
