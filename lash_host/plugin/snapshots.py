"""Capturing the state of a session's plugins, all or nothing, and giving it back, all or nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lash_host.domain.plugin_state import (
    PluginSnapshot,
    PluginSnapshotEntry,
    PluginSnapshotMeta,
    PluginStamp,
    keep_absent_plugins,
)
from lash_host.domain.value import JsonValue
from lash_host.errors import PluginHookError, PluginSnapshotError
from lash_host.plugin.answers import WrongAnswer, read_json
from lash_host.plugin.dispatch import Dispatcher, OnFailure
from lash_host.plugin.registry import Implementation

__all__ = ["SnapshotPart", "Snapshots"]

_CAPTURE = "lash_capture_snapshot"
_REVISION = "lash_snapshot_revision"
_RESTORE = "lash_restore_snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPart:
    """A plugin of the session and the version that runs."""

    plugin_id: str
    version: str


class _Writer:
    """Takes one plugin's state; copies what it is given, so that the plugin may go on changing its own."""

    def __init__(self) -> None:
        self.state: JsonValue = None
        self.blobs: dict[str, bytes] = {}

    def write_state(self, state: JsonValue) -> None:
        self.state = read_json(state)

    def write_blob(self, name: str, data: bytes) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise WrongAnswer(f"blob {name!r} is a {type(data).__name__}, not bytes")
        self.blobs[name] = base64.b64encode(data)

    def entry(self, *, version: str, revision: int) -> PluginSnapshotEntry:
        return PluginSnapshotEntry(plugin_version=version, revision=revision, state=self.state, blobs=self.blobs)


class _Reader:
    def __init__(self, blobs: Mapping[str, bytes]) -> None:
        self._blobs = blobs

    def read_blob(self, name: str) -> bytes | None:
        return self._blobs.get(name)


class Snapshots:
    """The state of one session's plugins.

    Args:
        parts: The session's plugins, in plugin order.
        dispatcher: Calls their hooks.
        on_failure: Is told of failures that are not raised.
    """

    def __init__(self, parts: Sequence[SnapshotPart], *, dispatcher: Dispatcher, on_failure: OnFailure) -> None:
        self._parts = parts
        self._dispatcher = dispatcher
        self._on_failure = on_failure
        self._unknown_revisions = 0

    def stamps(self) -> tuple[PluginStamp, ...]:
        """Say which revision each plugin's state has. A plugin that cannot say has a new one each time."""
        return tuple(
            PluginStamp(plugin_id=part.plugin_id, plugin_version=part.version, revision=self._revision(part.plugin_id))
            for part in self._parts
        )

    def capture(self, previous: PluginSnapshot | None) -> PluginSnapshot:
        """Capture the state of every plugin, and keep what ``previous`` holds of plugins that are not here now.

        Raises:
            PluginSnapshotError: One failed, and was reported; nothing is captured.
        """
        try:
            captured = {part.plugin_id: entry for part in self._parts if (entry := self._capture(part)) is not None}
        except PluginSnapshotError as exc:
            self._report(_CAPTURE, exc)
            raise
        return keep_absent_plugins(captured, previous)

    def restore(self, snapshot: PluginSnapshot) -> None:
        """Give every plugin its state; one that the snapshot has nothing of goes back to its default.

        Raises:
            PluginSnapshotError: One failed. Every plugin has been given back the state it had before.
        """
        backup = self._back_up()
        try:
            self._give(snapshot.plugins, contained=False)
        except PluginSnapshotError:
            self._give(backup, contained=True)
            raise

    def _back_up(self) -> dict[str, PluginSnapshotEntry]:
        """Capture what can be captured: a plugin that cannot be is one that a rollback resets."""
        backup: dict[str, PluginSnapshotEntry] = {}
        for part in self._parts:
            try:
                entry = self._capture(part)
            except PluginSnapshotError as exc:
                self._report(_CAPTURE, exc)
                continue
            if entry is not None:
                backup[part.plugin_id] = entry
        return backup

    def _give(self, entries: Mapping[str, PluginSnapshotEntry], *, contained: bool) -> None:
        for part in self._parts:
            found = self._implementation(_RESTORE, part.plugin_id)
            if found is None:
                continue
            try:
                self._restore(part, found, entries.get(part.plugin_id))
            except PluginSnapshotError as exc:
                if not contained:
                    raise
                self._report(_RESTORE, exc)

    def _capture(self, part: SnapshotPart) -> PluginSnapshotEntry | None:
        found = self._implementation(_CAPTURE, part.plugin_id)
        if found is None:
            return None
        writer = _Writer()
        try:
            self._dispatcher.call(found, writer, passes=(PluginSnapshotError,))
        except PluginHookError as exc:
            raise PluginSnapshotError(plugin_id=part.plugin_id, action="capture", problem=exc.problem) from exc
        return writer.entry(version=part.version, revision=self._revision(part.plugin_id))

    def _restore(self, part: SnapshotPart, found: Implementation, entry: PluginSnapshotEntry | None) -> None:
        if entry is None:
            meta = PluginSnapshotMeta(
                plugin_id=part.plugin_id, plugin_version=part.version, revision=self._revision(part.plugin_id)
            )
        else:
            meta = PluginSnapshotMeta(
                plugin_id=part.plugin_id,
                plugin_version=entry.plugin_version,
                revision=entry.revision,
                state=entry.state,
            )
        reader = _Reader({} if entry is None else entry.blobs)
        try:
            self._dispatcher.call(found, meta, reader, passes=(PluginSnapshotError,))
        except PluginHookError as exc:
            raise PluginSnapshotError(plugin_id=part.plugin_id, action="restore", problem=exc.problem) from exc

    def _revision(self, plugin_id: str) -> int:
        found = self._implementation(_REVISION, plugin_id)
        if found is None:
            return 0
        try:
            revision: int = self._dispatcher.call(found)
        except PluginHookError as exc:
            self._on_failure(exc)
            self._unknown_revisions += 1
            return -self._unknown_revisions
        return revision

    def _implementation(self, hook: str, plugin_id: str) -> Implementation | None:
        return next((found for found in self._dispatcher.implementations(hook) if found.plugin_id == plugin_id), None)

    def _report(self, hook: str, error: PluginSnapshotError) -> None:
        self._on_failure(PluginHookError(plugin_id=error.plugin_id, hook=hook, problem=error.problem))
