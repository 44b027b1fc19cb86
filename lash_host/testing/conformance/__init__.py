"""Suites that show whether a store keeps the contract: subclass them and say how your store is opened.

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def backend(self, clock, dead, tmp_path):
            return Backend(
                open=lambda: open_my_store(tmp_path / "file", clock=clock, holder_is_dead=dead.is_dead),
                durability="durable",
                shares_storage=True,
            )

The suites use pytest, which comes with the development tools and not with lash-host.
"""

from __future__ import annotations

from lash_host.testing.conformance.backend import Backend, DeadOwners, StoreSuite
from lash_host.testing.conformance.samples import SampleSession, message_nodes, owner
from lash_host.testing.conformance.store import (
    AnalyticsConformance,
    AttachmentConformance,
    CheckConformance,
    ClockJumpConformance,
    CommitStoreConformance,
    ConcurrencyConformance,
    DeferralConformance,
    FenceConformance,
    GraphCommitConformance,
    LeaseStoreConformance,
    LoadConformance,
    MaintenanceConformance,
    QueueClaimConformance,
    QueueConformance,
    QueueSelectionConformance,
    RacingWorkConformance,
    ReclaimConformance,
    ReopenConformance,
    RetentionConformance,
    SessionMetaConformance,
    SessionsConformance,
    SettlingConformance,
    StoreConformance,
    TurnInputClaimConformance,
    TurnInputConformance,
    WaitingSessionsConformance,
)

__all__ = [
    "AnalyticsConformance",
    "AttachmentConformance",
    "Backend",
    "CheckConformance",
    "ClockJumpConformance",
    "CommitStoreConformance",
    "ConcurrencyConformance",
    "DeadOwners",
    "DeferralConformance",
    "FenceConformance",
    "GraphCommitConformance",
    "LeaseStoreConformance",
    "LoadConformance",
    "MaintenanceConformance",
    "QueueClaimConformance",
    "QueueConformance",
    "QueueSelectionConformance",
    "RacingWorkConformance",
    "ReclaimConformance",
    "ReopenConformance",
    "RetentionConformance",
    "SampleSession",
    "SessionMetaConformance",
    "SessionsConformance",
    "SettlingConformance",
    "StoreConformance",
    "StoreSuite",
    "TurnInputClaimConformance",
    "TurnInputConformance",
    "WaitingSessionsConformance",
    "message_nodes",
    "owner",
]
