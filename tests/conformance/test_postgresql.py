"""PostgreSQL keeps the store's contract, on a real server."""

from __future__ import annotations

import pytest

from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import Backend, DeadOwners, StoreConformance


class TestPostgreSQL(StoreConformance):
    """A database of a server; each handle has connections of its own."""

    @pytest.fixture
    def backend(self, clock: ManualClock, dead: DeadOwners, postgres_url: str) -> Backend:
        return Backend(
            open=lambda: open_store(postgres_url, clock=clock, holder_is_dead=dead.is_dead),
            durability="durable",
            shares_storage=True,
        )
