"""What a session store promises. All of it lives in one transactional domain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from lash_host.contracts.attachments import AttachmentStore
from lash_host.contracts.maintenance import StoreMaintenance
from lash_host.contracts.queue import QueueStore, TurnInputStore
from lash_host.domain.commit import CommitResult, RuntimeCommit
from lash_host.domain.frame import AgentFrame
from lash_host.domain.graph import SessionGraph, SessionNode
from lash_host.domain.lease import LeaseAcquired, LeaseBusy, LeaseFence, LeaseOwner, SessionLease
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.session import CheckpointManifest, SessionInfo, SessionMeta
from lash_host.domain.usage import TokenLedgerEntry
from lash_host.domain.value import Value

__all__ = [
    "AnalyticsReader",
    "AttachmentStore",
    "BlobStore",
    "CommitStore",
    "DeletionReport",
    "HolderIsDead",
    "LeaseStore",
    "PersistedSession",
    "QueryResult",
    "QueueStore",
    "ReadScope",
    "SessionDirectory",
    "SessionStore",
    "StoreInfo",
    "StoreMaintenance",
    "TurnInputStore",
    "UsageView",
]


class ReadScope(StrEnum):
    """How much of a graph is loaded.

    `FULL_GRAPH`: every node that is not tombstoned, in insertion order. `ACTIVE_PATH`: the ancestry of the leaf, root
    first. `CURRENT_FRAME`: the active path back to where the current frame began; costs what the frame holds,
    whatever the session has lived.
    """

    FULL_GRAPH = "full_graph"
    ACTIVE_PATH = "active_path"
    CURRENT_FRAME = "current_frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistedSession:
    """A session as it was loaded, from one snapshot of the database.

    `tool_state` and `plugin_snapshot` are the bodies named by the checkpoint; None where the checkpoint names none.
    """

    session_id: str
    head_revision: int
    policy: SessionPolicy
    agent_frames: tuple[AgentFrame, ...]
    current_agent_frame_id: str
    graph: SessionGraph
    checkpoint_ref: str
    checkpoint: CheckpointManifest
    tool_state: bytes | None
    plugin_snapshot: bytes | None
    token_ledger: tuple[TokenLedgerEntry, ...]


class DeletionReport(Value):
    """What deleting a session removed."""

    session_id: str
    existed: bool
    nodes: int = 0
    turns: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    queued_batches: int = 0
    turn_inputs: int = 0
    attachments: int = 0


class StoreInfo(Value):
    """What a store is."""

    url: str
    dialect: str
    durability: Literal["durable", "ephemeral"]
    schema_version: int
    created_at_us: int
    size_bytes: int | None
    sessions: int
    nodes: int
    turns: int
    blobs: int
    blob_bytes: int


class CommitStore(ABC):
    """What is in a session: load, commit."""

    @abstractmethod
    def load_session(
        self, session_id: str, *, scope: ReadScope = ReadScope.FULL_GRAPH, leaf_node_id: str | None = None
    ) -> PersistedSession | None:
        """Load a session.

        Args:
            session_id: Which.
            scope: How much of its graph.
            leaf_node_id: With `ACTIVE_PATH`: the leaf to follow instead of the stored one. It becomes the leaf of the
                returned graph; the stored leaf does not move.

        Returns:
            The session, or None when nothing was ever committed for it; leases alone do not make one.

        Raises:
            RecordVersionError: A stored record is of a version this program does not read.
        """

    @abstractmethod
    def load_node(self, session_id: str, node_id: str) -> SessionNode | None:
        """Load one node; None when it is unknown or tombstoned."""

    @abstractmethod
    def commit(self, commit: RuntimeCommit) -> CommitResult:
        """Commit, durably: when it returns, the data has been synced to disk.

        Order of the checks: a stamp seen before, the lease's fence, the head's revision, the claims it settles, the
        graph's invariants. Any failure leaves everything as it was, the lease included.

        Raises:
            TurnCommitConflict: The turn was committed before with other content.
            SessionLeaseExpired: No fence, or not the live one.
            HeadRevisionConflict: Another writer was first.
            QueuedWorkClaimExpired: Queued work that it settles was claimed by somebody else, or is gone.
            TurnInputClaimExpired: So was turn input.
            SessionBindingMismatch: A claim that it settles is of another session.
            InvalidCommit: A parent or the leaf does not exist, or a node id is taken.
            StoreUnwritable: The disk is full or read-only.
        """


class SessionDirectory(ABC):
    """Sessions as a whole: made, described, listed, deleted."""

    @abstractmethod
    def create_session(self, meta: SessionMeta) -> SessionMeta:
        """Note a session before anything is committed to it. One that has metadata keeps them.

        Returns:
            The metadata the session has now: ``meta``, or what was there.
        """

    @abstractmethod
    def save_session_meta(self, meta: SessionMeta) -> None:
        """Write a session's metadata over what was there."""

    @abstractmethod
    def load_session_meta(self, session_id: str) -> SessionMeta | None:
        """Read a session's metadata; None when there are none. Leases, queued work and commits alone make none."""

    @abstractmethod
    def session_info(self, session_id: str) -> SessionInfo | None:
        """Tell what a session is without loading it; None when nothing was ever committed for it."""

    @abstractmethod
    def list_sessions(self, *, parent_session_id: str | None = None, limit: int | None = None) -> Sequence[SessionInfo]:
        """List sessions, the one with the latest turn first."""

    @abstractmethod
    def delete_session(self, session_id: str) -> DeletionReport:
        """Delete everything kept for a session; deleting twice is no error.

        Graph, turns, usage, stamps, metadata, queued work, turn input, receipts, references to attachments, the lease:
        a session made anew under its id begins with fencing token 1. Blobs and attachments are shared by content; those
        that nothing refers to any more are left to `StoreMaintenance`.
        """


class LeaseStore(ABC):
    """The session execution lease. Rules: `lash_host.domain.lease`. Times are the store's, not the caller's."""

    @abstractmethod
    def claim_lease(self, session_id: str, owner: LeaseOwner, *, ttl_ms: int) -> LeaseAcquired | LeaseBusy:
        """Claim a session. The same incarnation gets its own lease again, with a new expiry.

        A new holder gets what the one before left stranded: turn input that was accepted and never settled is
        next-turn input again, in its old order.
        """

    @abstractmethod
    def reclaim_lease(
        self, session_id: str, owner: LeaseOwner, *, observed: LeaseFence, ttl_ms: int
    ) -> LeaseAcquired | LeaseBusy:
        """Take over from a holder that is provably dead and still the one observed."""

    @abstractmethod
    def renew_lease(self, fence: LeaseFence, *, ttl_ms: int) -> SessionLease:
        """Extend a lease.

        Raises:
            SessionLeaseExpired: It is not the live one any more.
        """

    @abstractmethod
    def release_lease(self, fence: LeaseFence) -> None:
        """Give a lease up. The fencing token stays. Releasing what is not held changes nothing."""


class BlobStore(ABC):
    """Content-addressed bytes. They are written by commits only."""

    @abstractmethod
    def load_blob(self, ref: str) -> bytes | None:
        """Load bytes by their SHA-256 (hex); None when they are not here."""


class UsageView(Value):
    """A view to install in schema ``usage``. `sql` is the SELECT behind it, in the store's own dialect."""

    name: str
    sql: str
    description: str


class QueryResult(ABC):
    """The rows of a read-only query. Read once, in one of the ways."""

    @property
    @abstractmethod
    def columns(self) -> Sequence[str]:
        """The column names."""

    @abstractmethod
    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give all rows as tuples."""

    def batches(self, *, rows: int = 10_000) -> Iterator[Sequence[tuple[Any, ...]]]:  # noqa: ARG002
        """Give all rows as tuples, at most ``rows`` at a time where the database can, so that none piles up."""
        yield self.fetchall()

    @abstractmethod
    def arrow(self) -> Any:
        """Give a `pyarrow.Table`. Needs the extra ``arrow``."""

    @abstractmethod
    def df(self) -> Any:
        """Give a `pandas.DataFrame`. Needs pandas."""

    @abstractmethod
    def pl(self) -> Any:
        """Give a `polars.DataFrame`. Needs polars."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the rows that were not read."""


class AnalyticsReader(ABC):
    """Read-only SQL over the views."""

    @abstractmethod
    def install_views(self, views: Sequence[UsageView]) -> None:
        """Create or replace the views of schema ``usage``; costs nothing when they are installed already."""

    @abstractmethod
    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> QueryResult:
        """Run one read-only statement.

        It can neither change the database nor reach files, the network or other databases.

        Raises:
            QueryRefused: Not exactly one statement, or not a read-only one.
            QueryFailed: The database refused it; the message is the database's own.
        """


class SessionStore(
    CommitStore,
    SessionDirectory,
    LeaseStore,
    TurnInputStore,
    QueueStore,
    BlobStore,
    AttachmentStore,
    StoreMaintenance,
    AnalyticsReader,
):
    """Everything the runtime needs of a store, in one transactional domain.

    Methods are synchronous and may be called from any thread. What a method writes is durable when it returns, but for
    leases, which need only outlive their holder. The effect journal and the process registry will be further parts.
    """

    @property
    @abstractmethod
    def durability(self) -> Literal["durable", "ephemeral"]:
        """Whether commits outlive the process."""

    @abstractmethod
    def info(self) -> StoreInfo:
        """Tell what the store is and how much it holds."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the database. Closing twice is no error."""


HolderIsDead = Callable[[LeaseOwner], bool]
"""Says whether the holder of a lease is provably dead; time alone never proves it."""
