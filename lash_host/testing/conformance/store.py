"""The suites of a session store, and their sum."""

from __future__ import annotations

from lash_host.testing.conformance.analytics import AnalyticsConformance
from lash_host.testing.conformance.commit_graph import GraphCommitConformance
from lash_host.testing.conformance.commits import CommitStoreConformance
from lash_host.testing.conformance.leases import LeaseStoreConformance
from lash_host.testing.conformance.loading import LoadConformance
from lash_host.testing.conformance.sessions import SessionsConformance

__all__ = [
    "AnalyticsConformance",
    "CommitStoreConformance",
    "GraphCommitConformance",
    "LeaseStoreConformance",
    "LoadConformance",
    "SessionsConformance",
    "StoreConformance",
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
