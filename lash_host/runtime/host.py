"""The host: the plugins, the store, and the sessions an application opens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping, Sequence
from types import TracebackType
from typing import Any

from lash_host.contracts.store import DeletionReport, SessionStore
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.session import Residency, SessionInfo
from lash_host.domain.value import JsonObject
from lash_host.errors import UnknownSession
from lash_host.plugin.host import PluginHost
from lash_host.runtime.lease_keeper import hold_lease
from lash_host.runtime.opening import OpenRequest, open_resident_session
from lash_host.runtime.runtime import LashRuntime
from lash_host.runtime.services import HostServices
from lash_host.settings import Settings

__all__ = ["HostCore", "SessionOpening"]

_log = logging.getLogger("lash_host")


class SessionOpening:
    """A session about to be opened: await it, or use it as an async context manager that closes it again."""

    def __init__(self, services: HostServices, request: OpenRequest) -> None:
        self._services = services
        self._request = request
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
        return LashRuntime(await open_resident_session(self._services, self._request))


class HostCore:
    """What a host is without analytics: plugins, store, sessions. `LashHost` adds those."""

    def __init__(self, services: HostServices) -> None:
        self._services = services
        self._closed = False

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
        return SessionOpening(self._services, request)

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
        owner = services.new_owner()
        async with hold_lease(services, session_id, owner) as lease:
            report = await services.store.call(services.store.store.delete_session, session_id)
            lease.mark_released()
        return report

    async def close(self) -> None:
        """Close providers and store. Closing twice is no error."""
        if self._closed:
            return
        self._closed = True
        closing = (provider.close() for provider in self._services.providers.values())
        for failure in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(failure, Exception):
                _log.warning("a provider did not close: %s", failure)
        await self._services.store.close()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
