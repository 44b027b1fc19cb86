"""The session store over SQL: one handle, which lets the modules beside it do the work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lash_host.contracts.clock import Clock, SystemClock
from lash_host.contracts.store import (
    DeletionReport,
    HolderIsDead,
    PersistedSession,
    QueryResult,
    ReadScope,
    SessionStore,
    StoreInfo,
    UsageView,
)
from lash_host.domain.commit import CommitResult, RuntimeCommit
from lash_host.domain.graph import SessionNode
from lash_host.domain.lease import LeaseAcquired, LeaseBusy, LeaseFence, LeaseOwner, SessionLease
from lash_host.domain.session import SessionInfo, SessionMeta
from lash_host.errors import HeadRevisionConflict, StoreError
from lash_host.store import analytics, leases, loading, metadata, sessions
from lash_host.store.commits import check_shape, commit_runtime_state
from lash_host.store.copy_mark import refuse_unfinished_copy
from lash_host.store.dialects import TransactionConflict, parse_store_url
from lash_host.store.handle_attachments import AttachmentHandle
from lash_host.store.handle_queues import QueueHandle
from lash_host.store.handle_upkeep import UpkeepHandle
from lash_host.store.liveness import is_dead
from lash_host.store.opening import open_engine
from lash_host.store.rows import checkpoint_parts
from lash_host.store.surroundings import Surroundings, random_token
from lash_host.store.work import Engine

__all__ = ["SqlSessionStore"]


class SqlSessionStore(QueueHandle, AttachmentHandle, UpkeepHandle, SessionStore):
    """A handle on an open store. Handles of one process on one file see the same store; the last one closes it."""

    def __init__(
        self,
        url: str | Path,
        *,
        clock: Clock | None = None,
        holder_is_dead: HolderIsDead | None = None,
        create: bool = True,
        token_factory: Callable[[], str] | None = None,
    ) -> None:
        self._url = parse_store_url(url)
        surroundings = Surroundings(
            clock=clock or SystemClock(),
            owner_is_dead=holder_is_dead or is_dead,
            new_token=token_factory or random_token,
        )
        self._opened = open_engine(self._url, surroundings, create=create)
        try:
            with self._opened.read() as transaction:
                refuse_unfinished_copy(transaction, place=self._url.text)
        except BaseException:
            self._opened.close()
            raise
        self._is_open = True
        self._closing = threading.Lock()

    @property
    def durability(self) -> Literal["durable", "ephemeral"]:
        """Whether commits outlive the process."""
        return "ephemeral" if self._url.is_in_memory else "durable"

    def load_session(
        self, session_id: str, *, scope: ReadScope = ReadScope.FULL_GRAPH, leaf_node_id: str | None = None
    ) -> PersistedSession | None:
        """Load a session."""
        return loading.load_session(self._engine, session_id, scope=scope, leaf_node_id=leaf_node_id)

    def load_node(self, session_id: str, node_id: str) -> SessionNode | None:
        """Load one node."""
        return loading.load_node(self._engine, session_id, node_id)

    def load_blob(self, ref: str) -> bytes | None:
        """Load bytes by their SHA-256."""
        return loading.load_blob(self._engine, ref)

    def commit(self, commit: RuntimeCommit) -> CommitResult:
        """Commit, durably."""
        check_shape(commit)
        checkpoint = checkpoint_parts(commit)
        try:
            return self._engine.run(lambda work: commit_runtime_state(work, commit, checkpoint=checkpoint))
        except TransactionConflict as exc:
            expected, now = commit.expected_head_revision, self.session_info(commit.session_id)
            if expected is None:
                raise
            actual = 0 if now is None else now.head_revision or 0
            raise HeadRevisionConflict(session_id=commit.session_id, expected=expected, actual=actual) from exc

    def create_session(self, meta: SessionMeta) -> SessionMeta:
        """Note a session before anything is committed to it."""
        return self._engine.run(lambda work: metadata.create_session(work, meta))

    def save_session_meta(self, meta: SessionMeta) -> None:
        """Write a session's metadata over what was there."""
        self._engine.run(lambda work: metadata.save_meta(work, meta))

    def load_session_meta(self, session_id: str) -> SessionMeta | None:
        """Read a session's metadata."""
        return self._engine.run(lambda work: metadata.load_meta(work, session_id))

    def session_info(self, session_id: str) -> SessionInfo | None:
        """Tell what a session is."""
        return sessions.session_info(self._engine, session_id)

    def list_sessions(self, *, parent_session_id: str | None = None, limit: int | None = None) -> Sequence[SessionInfo]:
        """List sessions, the one with the latest turn first."""
        return sessions.list_sessions(self._engine, parent_session_id=parent_session_id, limit=limit)

    def delete_session(self, session_id: str) -> DeletionReport:
        """Delete everything kept for a session."""
        return sessions.delete_session(self._engine, session_id)

    def claim_lease(self, session_id: str, owner: LeaseOwner, *, ttl_ms: int) -> LeaseAcquired | LeaseBusy:
        """Claim a session."""
        return self._engine.run(lambda work: leases.claim(work, session_id, owner, ttl_ms=ttl_ms))

    def reclaim_lease(
        self, session_id: str, owner: LeaseOwner, *, observed: LeaseFence, ttl_ms: int
    ) -> LeaseAcquired | LeaseBusy:
        """Take over from a holder that is provably dead."""
        return self._engine.run(lambda work: leases.reclaim(work, session_id, owner, observed=observed, ttl_ms=ttl_ms))

    def renew_lease(self, fence: LeaseFence, *, ttl_ms: int) -> SessionLease:
        """Extend a lease."""
        return self._engine.run(lambda work: leases.renew(work, fence, ttl_ms=ttl_ms))

    def release_lease(self, fence: LeaseFence) -> None:
        """Give a lease up."""
        self._engine.run(lambda work: leases.release(work, fence))

    def install_views(self, views: Sequence[UsageView]) -> None:
        """Create or replace the views of schema ``usage``."""
        analytics.install_views(self._engine.database, views)

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> QueryResult:
        """Run one read-only statement."""
        return analytics.run_query(self._engine.database, sql, params)

    def info(self) -> StoreInfo:
        """Tell what the store is and how much it holds."""
        engine = self._engine
        size_bytes = engine.database.dialect.size_bytes(self._url)
        return sessions.store_info(engine, url=self._url, size_bytes=size_bytes)

    def close(self) -> None:
        """Let go of the database."""
        with self._closing:
            if self._is_open:
                self._is_open = False
                self._opened.close()

    @property
    def _engine(self) -> Engine:
        if not self._is_open:
            raise StoreError(f"{self._url.text} was closed; open it again with open_store")
        return self._opened
