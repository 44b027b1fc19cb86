"""DuckDB keeps the store's contract, in a file and in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import Backend, DeadOwners, StoreConformance


class TestDuckDBFile(StoreConformance):
    """A file, its lock beside it."""

    @pytest.fixture
    def backend(self, clock: ManualClock, dead: DeadOwners, tmp_path: Path) -> Backend:
        return Backend(
            open=lambda: open_store(tmp_path / "lash.duckdb", clock=clock, holder_is_dead=dead.is_dead),
            durability="durable",
            shares_storage=True,
        )


class TestDuckDBInMemory(StoreConformance):
    """A database that ends with its handle."""

    @pytest.fixture
    def backend(self, clock: ManualClock, dead: DeadOwners) -> Backend:
        return Backend(
            open=lambda: open_store("duckdb:///:memory:", clock=clock, holder_is_dead=dead.is_dead),
            durability="ephemeral",
            shares_storage=False,
        )
