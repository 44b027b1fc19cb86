"""Plugin snapshots: what a plugin's state is stored as, and when it is stored again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Base64Bytes, Field

from lash_host.domain.value import JsonValue, Value

__all__ = [
    "PluginSnapshot",
    "PluginSnapshotEntry",
    "PluginSnapshotMeta",
    "PluginStamp",
    "keep_absent_plugins",
    "revision_fingerprint",
]

_SIGNED_63_BITS = 0x7FFF_FFFF_FFFF_FFFF


class PluginSnapshotMeta(Value):
    """What a plugin is told of the state it gets back. `state` None means: no state, go back to the default."""

    plugin_id: str
    plugin_version: str
    revision: int = 0
    state: JsonValue = None


class PluginSnapshotEntry(Value):
    """The stored state of one plugin: JSON and named blobs."""

    plugin_version: str
    revision: int = 0
    state: JsonValue = None
    blobs: dict[str, Base64Bytes] = Field(default_factory=dict)


class PluginSnapshot(Value):
    """The stored state of a session's plugins, by plugin id."""

    schema_version: Literal[1] = 1
    plugins: dict[str, PluginSnapshotEntry] = Field(default_factory=dict)


class PluginStamp(Value):
    """What identifies one plugin's state without looking at it."""

    plugin_id: str
    plugin_version: str
    revision: int


def revision_fingerprint(stamps: Iterable[PluginStamp]) -> int:
    """Fold ids, versions and revisions of a session's plugins, in their order, into one number.

    It changes when a state, a version, the set of plugins or their order does. First eight bytes of a SHA-256, with
    the top bit cleared so that it fits a signed 64-bit column.
    """
    digest = hashlib.sha256()
    for stamp in stamps:
        digest.update(stamp.plugin_id.encode() + b"\0" + stamp.plugin_version.encode() + b"\0")
        digest.update((stamp.revision & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little") + b"\xff")
    return int.from_bytes(digest.digest()[:8], "little") & _SIGNED_63_BITS


def keep_absent_plugins(captured: Mapping[str, PluginSnapshotEntry], previous: PluginSnapshot | None) -> PluginSnapshot:
    """Make the snapshot to store: what was captured, and the old state of plugins that are not installed now."""
    kept = {} if previous is None else {k: v for k, v in previous.plugins.items() if k not in captured}
    return PluginSnapshot(plugins={**kept, **captured})
