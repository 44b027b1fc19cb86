"""Hooks of plugin snapshots: how a session plugin's state is stored with each turn and given back."""

from __future__ import annotations

from typing import Protocol

from lash_host.domain.plugin_state import PluginSnapshotMeta
from lash_host.domain.value import JsonValue
from lash_host.markers import hookspec

__all__ = [
    "SnapshotReader",
    "SnapshotWriter",
    "lash_capture_snapshot",
    "lash_restore_snapshot",
    "lash_snapshot_revision",
]


class SnapshotWriter(Protocol):
    """Takes a plugin's state."""

    def write_state(self, state: JsonValue) -> None:
        """Set the JSON part. The last call counts."""
        ...

    def write_blob(self, name: str, data: bytes) -> None:
        """Add bytes under a name; the same name again replaces them."""
        ...


class SnapshotReader(Protocol):
    """Gives a plugin's stored bytes."""

    def read_blob(self, name: str) -> bytes | None:
        """Give bytes by name; None when there are none."""
        ...


@hookspec
def lash_capture_snapshot(writer: SnapshotWriter) -> None:
    """Write down this plugin's state.

    Called before a commit, and only if `lash_snapshot_revision` says that something changed, and whenever the state
    is exported. What is written lands in the same transaction as the turn.

    Args:
        writer: Takes JSON and named blobs. Nothing written means: no state.

    Raises:
        Anything: The whole capture fails; the state stored before is kept, a finding says so, and the next commit
            tries again.
    """


@hookspec
def lash_snapshot_revision() -> int:
    """Tell whether the state changed.

    Called before every commit, so it must be cheap.

    Returns:
        A number that differs whenever the state does. Not counting it up means the change is never stored.

    Raises:
        Anything: Treated as a change.
    """
    raise AssertionError


@hookspec
def lash_restore_snapshot(meta: PluginSnapshotMeta, reader: SnapshotReader) -> None:
    """Take the state back.

    Called on every session plugin, in plugin order, after `lash_session_ready` when a session is resumed, and when
    its state is replaced. May be called several times.

    Args:
        meta: The stored JSON and the version that wrote it, which may be older or newer than this one. ``meta.state``
            is None when there is none: go back to the default.
        reader: The stored blobs.

    Raises:
        Anything: The opening, or the replacement, fails; every plugin has the state it had before.
    """
