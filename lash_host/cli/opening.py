"""Opening a host for a command: settings, store, plugins, and what is wrong with any of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lash_host.bootstrap import LashHost, default_store_path
from lash_host.bootstrap import open as open_host
from lash_host.cli.failures import say_warning
from lash_host.cli.invocation import Invocation
from lash_host.cli.store_opening import opening_store
from lash_host.cli.terminal import Terminal
from lash_host.plugin.findings import PluginFinding
from lash_host.settings import Settings, load_settings

__all__ = [
    "BlockingHost",
    "FindingsTold",
    "log_quietly",
    "open_for_turns",
    "open_to_look",
    "settings_of",
    "store_path",
]

T = TypeVar("T")


def settings_of(invocation: Invocation) -> Settings:
    """Read the settings that a command runs with.

    Raises:
        SettingsError: A file or variable is wrong.
    """
    config = None if invocation.config is None else Path(invocation.config)
    return load_settings(config=config, overrides={"store": invocation.store})


def store_path(settings: Settings) -> Path | None:
    """Say which file the store is; None where it is no file.

    Raises:
        UsageFault: The settings name something that is no store.
    """
    from lash_host.store.dialects import parse_store_url

    return parse_store_url(settings.store or default_store_path()).path


class FindingsTold:
    """Tells what is wrong with plugins, each thing once."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._told: set[PluginFinding] = set()

    def tell(self, findings: Iterable[PluginFinding]) -> None:
        """Warn of what is new among ``findings``."""
        for finding in findings:
            if finding not in self._told:
                self._told.add(finding)
                say_warning(self._terminal, finding.code, str(finding))


@asynccontextmanager
async def open_for_turns(invocation: Invocation) -> AsyncIterator[LashHost]:
    """Open the host for a command that runs turns; a store that is not there is made.

    What is wrong with plugins is told, before and after.

    Raises:
        LashError: The settings, the store, or with ``--strict-plugins`` a plugin.
    """
    log_quietly(invocation)
    told = FindingsTold(invocation.terminal)
    with opening_store(invocation.terminal):
        host = await _opened(invocation, settings_of(invocation), store=None)
    async with host:
        told.tell(host.plugins.findings)
        yield host
        told.tell(host.plugins.findings)


class BlockingHost:
    """An open host outside of any event loop, so that Ctrl-C ends a long query at once.

    Attributes:
        host: The host. Call its blocking methods directly.
        run: Runs a coroutine of it to its end.
    """

    def __init__(self, host: LashHost, runner: asyncio.Runner) -> None:
        self.host, self._runner = host, runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. Ctrl-C cancels it."""
        return self._runner.run(work)


@contextmanager
def open_to_look(invocation: Invocation, *, tells_findings: bool = False) -> Iterator[BlockingHost]:
    """Open the host for a command that looks at what is there.

    A file that is not there is not made: what is shown then is an empty store.

    Args:
        invocation: What was asked for.
        tells_findings: Whether to tell what is wrong with plugins.

    Raises:
        LashError: The settings, the store, or with ``--strict-plugins`` a plugin.
    """
    log_quietly(invocation)
    settings = settings_of(invocation)
    path = store_path(settings)
    is_missing = path is not None and not path.exists()
    with asyncio.Runner() as runner:
        with opening_store(invocation.terminal):
            host = runner.run(_opened(invocation, settings, store=":memory:" if is_missing else None))
        try:
            if is_missing:
                invocation.terminal.say(f"there is no store at {path} yet", style="dim")
            if tells_findings:
                FindingsTold(invocation.terminal).tell(host.plugins.findings)
            yield BlockingHost(host, runner)
        finally:
            runner.run(host.close())


async def _opened(invocation: Invocation, settings: Settings, *, store: str | None) -> LashHost:
    host: LashHost = await open_host(store, settings=settings, strict_plugins=invocation.strict_plugins)
    return host


def log_quietly(invocation: Invocation) -> None:
    """Keep the log off the terminal: findings and issues tell people what it says. ``-v`` shows it, a line a record.

    With ``--debug`` records show their traceback.
    """
    logger = logging.getLogger("lash_host")
    logger.handlers = [_LogLines(invocation)]
    logger.setLevel(logging.DEBUG if invocation.debug else logging.INFO)
    logger.propagate = False
    logging.getLogger().handlers = [_LogLines(invocation)]


class _LogLines(logging.Handler):
    """Writes log records as single lines to standard error, if anybody wants them."""

    def __init__(self, invocation: Invocation) -> None:
        super().__init__()
        self._invocation = invocation
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if not (self._invocation.verbose or self._invocation.debug):
            return
        text = self.format(record)
        lines = text.splitlines() if self._invocation.debug else text.splitlines()[:1]
        for line in lines:
            self._invocation.terminal.say(line, style="dim")
