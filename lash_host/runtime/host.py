"""The host: the plugins, the store, and the sessions an application opens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping, Sequence
from types import TracebackType
from typing import Any
from weakref import WeakSet

from lash_host.contracts.store import DeletionReport, SessionStore
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.session import Residency, SessionInfo
from lash_host.domain.value import JsonObject
from lash_host.errors import UnknownSession
from lash_host.plugin.host import PluginHost
from lash_host.runtime.lease_keeper import hold_lease
from lash_host.runtime.opening import OpenRequest, open_resident_session
from lash_host.runtime.resident import ResidentSession
from lash_host.runtime.runtime import LashRuntime
from lash_host.runtime.services import HostServices
from lash_host.settings import Settings

__all__ = ["HostCore", "OpenSessions", "SessionOpening"]

_log = logging.getLogger("lash_host")


class OpenSessions:
    """The sessions that are open in a host, as long as somebody uses them."""

    def __init__(self) -> None:
        self._sessions: WeakSet[ResidentSession] = WeakSet()
        self._runtimes: WeakSet[LashRuntime] = WeakSet()

    def add(self, session: ResidentSession, runtime: LashRuntime) -> None:
        """Take note of one."""
        self._sessions.add(session)
        self._runtimes.add(runtime)

    def note_deleted(self, session_id: str) -> None:
        """Have those who have a session open look again before they use it."""
        for session in [*self._sessions]:
            if session.session_id == session_id:
                session.needs_reload = True

    async def close(self) -> None:
        """Close them all, running turns cancelled and committed."""
        closing = (runtime.close() for runtime in [*self._runtimes])
        for failure in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(failure, Exception):
                _log.warning("a session did not close: %s", failure)


class SessionOpening:
    """A session about to be opened: await it, or use it as an async context manager that closes it again."""

    def __init__(self, services: HostServices, request: OpenRequest, open_sessions: OpenSessions) -> None:
        self._services = services
        self._request = request
        self._open_sessions = open_sessions
        self._runtime: LashRuntime | None = None

    def __await__(self) -> Generator[Any, None, LashRuntime]:
        return self._open().__await__()

    async def __aenter__(self) -> LashRuntime:
        self._runtime = await self._open()
        return self._runtime

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runtime is not None:
            await self._runtime.close()

    async def _open(self) -> LashRuntime:
        session = await open_resident_session(self._services, self._request)
        runtime = LashRuntime(session)
        self._open_sessions.add(session, runtime)
        return runtime


class HostCore:
    """What a host is without analytics: plugins, store, sessions. `LashHost` adds those."""

    def __init__(self, services: HostServices) -> None:
        self._services = services
        self._open_sessions = OpenSessions()
        self._closing: asyncio.Future[None] | None = None

    @property
    def plugins(self) -> PluginHost:
        """The plugins, and what was found wrong with any."""
        return self._services.plugins

    @property
    def store(self) -> SessionStore:
        """The store. Its methods block."""
        return self._services.store.store

    @property
    def settings(self) -> Settings:
        """The settings the host was opened with."""
        return self._services.settings

    def session(
        self,
        session_id: str | None = None,
        *,
        model: str | ModelSpec | None = None,
        provider: str | None = None,
        policy: SessionPolicy | None = None,
        plugin_options: Mapping[str, JsonObject] | None = None,
        parent: str | None = None,
        fresh: bool = False,
        residency: Residency = Residency.ACTIVE_PATH,
    ) -> SessionOpening:
        """Open a session, or create it. Nothing is stored before its first turn.

        Args:
            session_id: Which; a new id where None.
            model: ``provider/model``, or a model id of ``provider``. Wins over the recorded one.
            provider: Provider id.
            policy: The whole configuration. Wins over the recorded one.
            plugin_options: Options by plugin id, laid over the recorded ones.
            parent: The session it is a child of.
            fresh: Start empty; the first commit replaces what is stored.
            residency: How much of its history is kept in memory.

        Returns:
            Await it for a `LashRuntime`, or use it with ``async with``, which closes it again.
        """
        request = OpenRequest(
            session_id=session_id,
            model=model,
            provider=provider,
            policy=policy,
            plugin_options=plugin_options,
            parent=parent,
            fresh=fresh,
            residency=residency,
        )
        return SessionOpening(self._services, request, self._open_sessions)

    async def sessions(self, *, parent: str | None = None, limit: int | None = None) -> Sequence[SessionInfo]:
        """List sessions, the one with the latest turn first."""
        store = self._services.store
        return await store.call(store.store.list_sessions, parent_session_id=parent, limit=limit)

    async def session_info(self, session_id: str) -> SessionInfo:
        """Tell what a session is without opening it.

        Raises:
            UnknownSession: Nothing was ever committed for it.
        """
        store = self._services.store
        info = await store.call(store.store.session_info, session_id)
        if info is None:
            raise UnknownSession(session_id)
        return info

    async def delete_session(self, session_id: str) -> DeletionReport:
        """Delete everything stored of a session.

        Raises:
            UnknownSession: Nothing was ever committed for it.
            SessionBusy: A turn runs in it.
        """
        await self.session_info(session_id)
        services = self._services
        store = services.store
        async with hold_lease(services, session_id, services.new_owner()) as lease:
            report, cancelled = await store.settle(store.store.delete_session, session_id)
            lease.mark_released()
            self._open_sessions.note_deleted(session_id)
        if cancelled:
            raise asyncio.CancelledError
        return report

    async def close(self) -> None:
        """Close the sessions that are open, running turns cancelled and committed, then providers and store.

        Closing twice is no error.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await self._open_sessions.close()
            closing = (provider.close() for provider in self._services.providers.values())
            for failure in await asyncio.gather(*closing, return_exceptions=True):
                if isinstance(failure, Exception):
                    _log.warning("a provider did not close: %s", failure)
        finally:
            await self._services.store.close()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
