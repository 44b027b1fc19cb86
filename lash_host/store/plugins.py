"""Which plugins a session has used, and when."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from lash_host.domain.commit import PluginSeen
from lash_host.store.database import Transaction
from lash_host.store.heads import Head
from lash_host.store.schema import plugins_seen

__all__ = ["note_plugins"]

_SEEN = select(plugins_seen.c.plugin_id, plugins_seen.c.version, plugins_seen.c.last_seen_at_us).where(
    plugins_seen.c.session_key == bindparam("session_key")
)
_SET_LAST_SEEN = (
    update(plugins_seen)
    .where(
        plugins_seen.c.session_key == bindparam("its_session_key"),
        plugins_seen.c.plugin_id == bindparam("its_plugin_id"),
        plugins_seen.c.version == bindparam("its_version"),
    )
    .values(last_seen_at_us=bindparam("last_seen_at_us"))
)


def note_plugins(
    transaction: Transaction, head: Head, seen: Sequence[PluginSeen], *, was_at_us: int, now_us: int
) -> Head:
    """Record a session's plugins where they changed; give the head that remembers them.

    A plugin in use has no last time: the session's own latest commit is it, so that a commit that changes nothing
    here writes nothing here. A commit that names no plugins says nothing about them.
    """
    now_used = frozenset((plugin.plugin_id, plugin.version) for plugin in seen)
    if not now_used or now_used == head.plugins:
        return head
    key = head.session_key
    recorded = {(plugin, version): last for plugin, version, last in transaction.rows(_SEEN, {"session_key": key})}
    for (plugin_id, version), last_seen in recorded.items():
        is_used = (plugin_id, version) in now_used
        if is_used == (last_seen is None):
            continue
        values = {"its_session_key": key, "its_plugin_id": plugin_id, "its_version": version}
        transaction.rows(_SET_LAST_SEEN, values | {"last_seen_at_us": None if is_used else was_at_us})
    transaction.insert(
        plugins_seen, [(key, plugin, version, now_us, None) for plugin, version in sorted(now_used - recorded.keys())]
    )
    return head.changed({}, plugins=now_used)
