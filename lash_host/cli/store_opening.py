"""Opening a store for a command, and telling where that changed its schema."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lash_host.cli.spinner import spinning

if TYPE_CHECKING:
    from lash_host.cli.invocation import Invocation
    from lash_host.cli.terminal import Terminal
    from lash_host.contracts.store import SessionStore
    from lash_host.store.migrations import MigrationReport

__all__ = ["open_for_upkeep", "opening_store", "store_of"]

_MIGRATIONS = "lash_host.store.migrations"


class _Reports(logging.Handler):
    """Keeps the reports of migrations."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.found: list[MigrationReport] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a report."""
        if isinstance(record.args, tuple):
            self.found += record.args  # type: ignore[arg-type]


@contextmanager
def opening_store(terminal: Terminal, *, says: bool = True) -> Iterator[list[MigrationReport]]:
    """Spin while the body opens a store; then say in a line whether that brought it to a new schema.

    Args:
        terminal: Where.
        says: Whether to say it.

    Yields:
        The reports of what was done, once the body has ended.
    """
    logger, reports = logging.getLogger(_MIGRATIONS), _Reports()
    before = logger.level
    logger.addHandler(reports)
    logger.setLevel(logging.INFO)
    try:
        with spinning(terminal, "opening the store"):
            yield reports.found
    finally:
        logger.removeHandler(reports)
        logger.setLevel(before)
    for report in reports.found if says else ():
        terminal.say(str(report), style="dim")


def store_of(invocation: Invocation) -> str | Path:
    """Say which store a command is about.

    Raises:
        SettingsError: A file or variable is wrong.
    """
    from lash_host.bootstrap import default_store_path
    from lash_host.cli.opening import settings_of

    return settings_of(invocation).store or default_store_path()


@contextmanager
def open_for_upkeep(invocation: Invocation) -> Iterator[SessionStore]:
    """Open the store for a command that looks after it; one that is not there is not made.

    Raises:
        LashError: The settings or the store.
    """
    from lash_host.store import open_store

    place = store_of(invocation)
    with opening_store(invocation.terminal):
        opened = open_store(place, create=False)
    with closing(opened):
        yield opened
