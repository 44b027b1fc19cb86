"""Named points on the way of a write: what tests of crashes hold on to."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["POINTS", "Reached", "reached", "watch"]

POINTS = (
    "before_sync",
    "after_sync",
    "in_fold",
    "after_fold",
    "before_upkeep",
    "after_upkeep",
    "in_reclaim",
    "in_migration",
    "in_backup",
    "after_backup",
    "in_copy",
)
"""Before a commit is made durable, after it; inside a fold's transaction, after it; before a transaction of upkeep is
committed, after it; between two steps of reclaiming attachments; inside a migration's transaction; between two steps of
a backup, when all of it is synced and has no name yet; between two steps of a copy."""

Reached = Callable[[str], None]


class _Watcher:
    def __init__(self) -> None:
        self.told: Reached | None = None


_watcher = _Watcher()


def watch(told: Reached | None) -> None:
    """Have a function told of each point this process comes by; None: nobody. For tests that kill their process."""
    _watcher.told = told


def reached(point: str) -> None:
    """Say that a point was reached."""
    if _watcher.told is not None:
        _watcher.told(point)
