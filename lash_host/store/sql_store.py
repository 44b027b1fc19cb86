"""The session store over SQL: one handle, which lets the modules beside it do the work."""

from __future__ import annotations

import secrets
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
from lash_host.domain.session import SessionInfo
from lash_host.store import analytics, leases, loading, sessions
from lash_host.store.commits import commit_runtime_state
from lash_host.store.dialects import parse_store_url
from lash_host.store.liveness import is_dead
from lash_host.store.opening import open_shared
from lash_host.store.sharing import SharedStore, release

__all__ = ["SqlSessionStore"]


def _random_token() -> str:
    return secrets.token_hex(16)


class SqlSessionStore(SessionStore):
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
        self._clock = clock or SystemClock()
        self._holder_is_dead = holder_is_dead or is_dead
        self._new_token = token_factory or _random_token
        self._shared = open_shared(parse_store_url(url), create=create, now_us=self._clock.now_us())
        self._is_open = True
        self._closing = threading.Lock()

    @property
    def durability(self) -> Literal["durable", "ephemeral"]:
        """Whether commits outlive the process."""
        return "ephemeral" if self._shared.database.url.path is None else "durable"

    def load_session(
        self, session_id: str, *, scope: ReadScope = ReadScope.FULL_GRAPH, leaf_node_id: str | None = None
    ) -> PersistedSession | None:
        """Load a session."""
        return loading.load_session(self._store, session_id, scope=scope, leaf_node_id=leaf_node_id)

    def load_node(self, session_id: str, node_id: str) -> SessionNode | None:
        """Load one node."""
        return loading.load_node(self._store, session_id, node_id)

    def load_blob(self, ref: str) -> bytes | None:
        """Load bytes by their SHA-256."""
        return loading.load_blob(self._store, ref)

    def commit(self, commit: RuntimeCommit) -> CommitResult:
        """Commit, durably."""
        return commit_runtime_state(self._store, commit, now_us=self._clock.now_us())

    def session_info(self, session_id: str) -> SessionInfo | None:
        """Tell what a session is."""
        return sessions.session_info(self._store, session_id)

    def list_sessions(self, *, parent_session_id: str | None = None, limit: int | None = None) -> Sequence[SessionInfo]:
        """List sessions, the one with the latest turn first."""
        return sessions.list_sessions(self._store, parent_session_id=parent_session_id, limit=limit)

    def delete_session(self, session_id: str) -> DeletionReport:
        """Delete everything kept for a session."""
        return sessions.delete_session(self._store, session_id)

    def claim_lease(self, session_id: str, owner: LeaseOwner, *, ttl_ms: int) -> LeaseAcquired | LeaseBusy:
        """Claim a session."""
        return leases.claim(
            self._store,
            session_id,
            owner,
            ttl_ms=ttl_ms,
            new_token=self._new_token(),
            now_us=self._clock.now_us(),
        )

    def reclaim_lease(
        self, session_id: str, owner: LeaseOwner, *, observed: LeaseFence, ttl_ms: int
    ) -> LeaseAcquired | LeaseBusy:
        """Take over from a holder that is provably dead."""
        return leases.reclaim(
            self._store,
            session_id,
            owner,
            observed=observed,
            holder_is_dead=self._holder_is_dead,
            ttl_ms=ttl_ms,
            new_token=self._new_token(),
            now_us=self._clock.now_us(),
        )

    def renew_lease(self, fence: LeaseFence, *, ttl_ms: int) -> SessionLease:
        """Extend a lease."""
        return leases.renew(self._store, fence, ttl_ms=ttl_ms, now_us=self._clock.now_us())

    def release_lease(self, fence: LeaseFence) -> None:
        """Give a lease up."""
        leases.release(self._store, fence, now_us=self._clock.now_us())

    def install_views(self, views: Sequence[UsageView]) -> None:
        """Create or replace the views of schema ``usage``."""
        analytics.install_views(self._store, views)

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> QueryResult:
        """Run one read-only statement."""
        return analytics.run_query(self._store, sql, params)

    def info(self) -> StoreInfo:
        """Tell what the store is and how much it holds."""
        return sessions.store_info(self._store)

    def close(self) -> None:
        """Let go of the database."""
        with self._closing:
            if self._is_open:
                self._is_open = False
                release(self._shared)

    @property
    def _store(self) -> SharedStore:
        if not self._is_open:
            raise self._shared.database.closed()
        return self._shared
