"""The suites of a session store, and their sum."""

from __future__ import annotations

from lash_host.testing.conformance.analytics import AnalyticsConformance
from lash_host.testing.conformance.attachments import AttachmentConformance
from lash_host.testing.conformance.clock_jumps import ClockJumpConformance
from lash_host.testing.conformance.commit_graph import GraphCommitConformance
from lash_host.testing.conformance.commits import CommitStoreConformance
from lash_host.testing.conformance.concurrency import ConcurrencyConformance
from lash_host.testing.conformance.deferral import DeferralConformance
from lash_host.testing.conformance.fences import FenceConformance
from lash_host.testing.conformance.leases import LeaseStoreConformance
from lash_host.testing.conformance.loading import LoadConformance
from lash_host.testing.conformance.maintenance import CheckConformance, MaintenanceConformance
from lash_host.testing.conformance.metadata import SessionMetaConformance
from lash_host.testing.conformance.queue import QueueConformance, WaitingSessionsConformance
from lash_host.testing.conformance.queue_claims import QueueClaimConformance, QueueSelectionConformance
from lash_host.testing.conformance.racing_work import RacingWorkConformance
from lash_host.testing.conformance.reclaiming import ReclaimConformance
from lash_host.testing.conformance.reopening import ReopenConformance
from lash_host.testing.conformance.retention import RetentionConformance
from lash_host.testing.conformance.sessions import SessionsConformance
from lash_host.testing.conformance.settling import SettlingConformance
from lash_host.testing.conformance.turn_input_claims import TurnInputClaimConformance
from lash_host.testing.conformance.turn_inputs import TurnInputConformance

__all__ = [
    "AnalyticsConformance",
    "AttachmentConformance",
    "CheckConformance",
    "ClockJumpConformance",
    "CommitStoreConformance",
    "ConcurrencyConformance",
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
    "SessionMetaConformance",
    "SessionsConformance",
    "SettlingConformance",
    "StoreConformance",
    "TurnInputClaimConformance",
    "TurnInputConformance",
    "WaitingSessionsConformance",
]


class StoreConformance(
    CommitStoreConformance,
    GraphCommitConformance,
    LoadConformance,
    LeaseStoreConformance,
    FenceConformance,
    SessionsConformance,
    SessionMetaConformance,
    TurnInputConformance,
    TurnInputClaimConformance,
    DeferralConformance,
    QueueConformance,
    QueueClaimConformance,
    QueueSelectionConformance,
    WaitingSessionsConformance,
    SettlingConformance,
    AttachmentConformance,
    ReclaimConformance,
    MaintenanceConformance,
    CheckConformance,
    RetentionConformance,
    ReopenConformance,
    ConcurrencyConformance,
    RacingWorkConformance,
    ClockJumpConformance,
    AnalyticsConformance,
):
    """Everything a session store promises."""
