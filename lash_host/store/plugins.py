"""Which plugins a session has used, and when."""

from __future__ import annotations

from collections.abc import Sequence

from lash_host.domain.commit import PluginSeen
from lash_host.store.head import Head
from lash_host.store.state import PLUGINS_SEEN
from lash_host.store.work import Work

__all__ = ["note_plugins"]


def note_plugins(work: Work, head: Head, seen: Sequence[PluginSeen]) -> None:
    """Record a session's plugins where they changed.

    A plugin in use has no last time: the session's own latest commit is it, so that a commit that changes nothing
    here writes nothing here. A commit that names no plugins says nothing about them.
    """
    now_used = {(plugin.plugin_id, plugin.version) for plugin in seen}
    if not now_used:
        return
    recorded = {(row["plugin_id"], row["version"]): row for row in work.live(PLUGINS_SEEN, head)}
    for used, row in recorded.items():
        if (used in now_used) == (row["last_seen_at_us"] is None):
            continue
        work.put(PLUGINS_SEEN, {**row, "last_seen_at_us": None if used in now_used else head.row["updated_at_us"]})
    for plugin_id, version in sorted(now_used - recorded.keys()):
        work.put(
            PLUGINS_SEEN,
            {
                "session_key": head.session_key,
                "plugin_id": plugin_id,
                "version": version,
                "first_seen_at_us": work.now_us,
                "last_seen_at_us": None,
            },
        )
