"""Suites that show whether a store keeps the contract: subclass them and say how your store is opened.

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def backend(self, clock, tmp_path):
            return Backend(lambda owners: open_my_store(tmp_path, clock=clock, holder_is_dead=owners.is_dead), ...)

The suites use pytest, which comes with the development tools and not with lash-host.
"""

from __future__ import annotations

from lash_host.testing.conformance.analytics import AnalyticsConformance
from lash_host.testing.conformance.backend import Backend, DeadOwners, StoreSuite
from lash_host.testing.conformance.commit_graph import GraphCommitConformance
from lash_host.testing.conformance.commits import CommitStoreConformance
from lash_host.testing.conformance.leases import LeaseStoreConformance
from lash_host.testing.conformance.loading import LoadConformance
from lash_host.testing.conformance.samples import SampleSession, message_nodes, owner
from lash_host.testing.conformance.sessions import SessionsConformance

__all__ = [
    "AnalyticsConformance",
    "Backend",
    "CommitStoreConformance",
    "DeadOwners",
    "GraphCommitConformance",
    "LeaseStoreConformance",
    "LoadConformance",
    "SampleSession",
    "SessionsConformance",
    "StoreConformance",
    "StoreSuite",
    "message_nodes",
    "owner",
]


class StoreConformance(
    CommitStoreConformance,
    GraphCommitConformance,
    LoadConformance,
    LeaseStoreConformance,
    SessionsConformance,
    AnalyticsConformance,
):
    """Everything a session store promises."""
