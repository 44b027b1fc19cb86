"""The part of a store's handle that is about its upkeep."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from lash_host.contracts.maintenance import Progress, StoreMaintenance
from lash_host.domain.maintenance import CheckReport, GcReport, Retention, RetentionReport, VacuumReport
from lash_host.store.work import Engine

__all__ = ["UpkeepHandle"]


class UpkeepHandle(StoreMaintenance):
    """Upkeep, through the engine. Its modules are imported when they are needed: no turn needs them."""

    @property
    @abstractmethod
    def _engine(self) -> Engine:
        """The engine; an error where the handle was closed."""

    def tombstone_nodes(self, session_id: str, node_ids: Sequence[str]) -> int:
        """Hide nodes from every read."""
        from lash_host.store.maintenance import tombstone_nodes

        return tombstone_nodes(self._engine, session_id, node_ids)

    def vacuum(self) -> VacuumReport:
        """Remove tombstoned and replaced nodes, and settled turn inputs, for good."""
        from lash_host.store.maintenance import vacuum

        return vacuum(self._engine)

    def collect_garbage(self) -> GcReport:
        """Delete blobs that nothing refers to."""
        from lash_host.store.gc import collect_garbage

        return collect_garbage(self._engine)

    def apply_retention(self, retention: Retention) -> RetentionReport:
        """Remove what is older than it shall be."""
        from lash_host.store.retention import apply_retention

        return apply_retention(self._engine, retention)

    def check(self, *, progress: Progress | None = None) -> CheckReport:
        """Read everything and say exactly what is wrong with it."""
        from lash_host.store.checking import check_store

        return check_store(self._engine, progress=progress)
