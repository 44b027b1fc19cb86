"""What a store promises of its upkeep. Nothing of it happens by itself; each method reports what it did."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from lash_host.domain.maintenance import CheckReport, GcReport, Retention, RetentionReport, VacuumReport

__all__ = ["Progress", "StoreMaintenance"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and how many there are."""


class StoreMaintenance(ABC):
    """Upkeep. Safe while sessions run; readers see what was there before or after, never between."""

    @abstractmethod
    def tombstone_nodes(self, session_id: str, node_ids: Sequence[str]) -> int:
        """Hide nodes from every read and give how many; unknown ids are ignored, and the leaf does not move."""

    @abstractmethod
    def vacuum(self) -> VacuumReport:
        """Remove tombstoned and replaced nodes, and settled turn inputs, for good; give the space back."""

    @abstractmethod
    def collect_garbage(self) -> GcReport:
        """Delete blobs that nothing refers to.

        Raises:
            StoreError: A record that may refer to blobs cannot be read; nothing was deleted.
        """

    @abstractmethod
    def apply_retention(self, retention: Retention) -> RetentionReport:
        """Remove what is older than it shall be."""

    @abstractmethod
    def check(self, *, progress: Progress | None = None) -> CheckReport:
        """Read everything and say exactly what is wrong with it. Changes nothing."""
