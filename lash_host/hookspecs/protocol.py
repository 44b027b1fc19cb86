"""Hooks of the protocol and of the code executor: the singletons of a session."""

from __future__ import annotations

from typing import Protocol

from lash_host.contracts.protocol import TurnProtocol
from lash_host.domain.value import JsonObject
from lash_host.markers import hookspec

__all__ = ["CodeExecutor", "lash_code_executor", "lash_protocol"]


class CodeExecutor(Protocol):
    """Runs code for protocols that need it."""

    async def execute_code(self, request: JsonObject) -> JsonObject:
        """Run code; the shapes are the protocol's."""
        ...

    def capture_state(self) -> bytes | None:
        """Give the execution state to store with the turn; None where there is none."""
        ...

    def restore_state(self, state: bytes | None) -> None:
        """Take the execution state back; None resets it."""
        ...


@hookspec
def lash_protocol() -> TurnProtocol:
    """Bring the protocol: how the session talks with its model.

    Called once when a session opens. Exactly one plugin of a session must implement it; the setting ``protocol``
    chooses where several are installed.

    Returns:
        The protocol of this session.

    Raises:
        Anything: The session is not opened; the error names the plugin.
    """
    raise AssertionError


@hookspec
def lash_code_executor() -> CodeExecutor:
    """Bring the code executor.

    Called once when a session opens. At most one plugin may implement it.

    Returns:
        The executor of this session.

    Raises:
        Anything: The session is not opened; the error names the plugin.
    """
    raise AssertionError
