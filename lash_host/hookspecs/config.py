"""The hook of config mutation: plugins may rewrite a change of a session's policy."""

from __future__ import annotations

from dataclasses import dataclass

from lash_host.domain.policy import SessionPolicy
from lash_host.domain.session import SessionReadView
from lash_host.markers import hookspec

__all__ = ["SessionConfigChange", "lash_mutate_session_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfigChange:
    """A change of a session's policy. All plugins see the same one.

    Attributes:
        session_id: The session.
        previous: The policy before.
        current: The policy asked for.
        state: The session.
    """

    session_id: str
    previous: SessionPolicy
    current: SessionPolicy
    state: SessionReadView


@hookspec
async def lash_mutate_session_config(change: SessionConfigChange, policy: SessionPolicy) -> SessionPolicy:
    """Rewrite a change of configuration.

    Called by `LashRuntime.update_session_config` when the policy really differs. Plugins are asked one after another;
    each gets what the one before gave.

    Args:
        change: The change as it was asked for.
        policy: The policy as the plugins before this one left it.

    Returns:
        The policy to go on with.

    Raises:
        Anything: This plugin is skipped and the failure logged; its input goes on to the next.
    """
    raise AssertionError
