"""Applying the protocol's options when a session is opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from lash_host.contracts.protocol import ProtocolMaterialization
from lash_host.domain.policy import PluginOptions, ProtocolTurnOptions
from lash_host.domain.session import RuntimeSessionState
from lash_host.errors import LashError, PluginHookError
from lash_host.runtime.resident import ResidentSession

__all__ = ["ResidentProtocolContext", "materialize_protocol", "protocol_failures"]


class ResidentProtocolContext:
    """`ProtocolRuntimeContext` of an open session."""

    def __init__(self, session: ResidentSession) -> None:
        self._session = session

    @property
    def session_id(self) -> str:
        """The session."""
        return self._session.session_id

    @property
    def protocol_turn_options(self) -> ProtocolTurnOptions:
        """The options recorded on the session."""
        return self._session.state.protocol_turn_options

    def set_protocol_turn_options(self, options: ProtocolTurnOptions) -> None:
        """Record options on the session and its current frame."""
        self._session.amend(partial(RuntimeSessionState.with_protocol_options, options=options, all_frames=False))

    def set_protocol_turn_options_all_frames(self, options: ProtocolTurnOptions) -> None:
        """Record options on the session and every frame."""
        self._session.amend(partial(RuntimeSessionState.with_protocol_options, options=options, all_frames=True))


def materialize_protocol(session: ResidentSession, options: PluginOptions, *, is_root_session: bool) -> None:
    """Run the protocol's `materialize`.

    Raises:
        PluginHookError: It failed; names the plugin.
    """
    materialization = ProtocolMaterialization(plugin_options=options, is_root_session=is_root_session)
    with protocol_failures(session, "materialize"):
        session.plugins.protocol.materialize(ResidentProtocolContext(session), materialization)


@contextlib.contextmanager
def protocol_failures(session: ResidentSession, method: str) -> Iterator[None]:
    """Name the plugin whose protocol fails outside of a turn. What it says to the user passes as it is.

    Raises:
        PluginHookError: The protocol failed.
    """
    try:
        yield
    except LashError:
        raise
    except Exception as exc:
        plugin_id = session.plugins.protocol_plugin_id
        problem = f"{method}: {type(exc).__name__}: {exc}"
        raise PluginHookError(plugin_id=plugin_id, hook="lash_protocol", problem=problem) from exc
