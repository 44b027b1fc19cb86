"""Telling whoever watches a turn what happens in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from lash_host.domain.directive import Owned
from lash_host.domain.observation import PluginRuntime, TurnActivity
from lash_host.domain.value import JsonValue

__all__ = ["ActivityLog", "ActivitySink"]

_log = logging.getLogger("lash_host")

ActivitySink = Callable[[TurnActivity], None]


class ActivityLog:
    """Numbers activities and hands them on. Whoever watches cannot harm the turn: what it raises is logged."""

    def __init__(self, sink: ActivitySink | None = None) -> None:
        self._sink = sink
        self._count = 0

    def __call__(self, activity: TurnActivity) -> None:
        """Hand one on."""
        self._count += 1
        if self._sink is None:
            return
        try:
            self._sink(activity.model_copy(update={"activity_id": self._count}))
        except Exception:  # noqa: BLE001  the application's own code
            _log.exception("whoever watches the turn failed at activity %d, %s", self._count, activity.kind)

    def plugin_events(self, events: Iterable[Owned[JsonValue]], *, correlation_id: str = "") -> None:
        """Hand on events of plugins."""
        for owned in events:
            self(PluginRuntime(plugin_id=owned.plugin_id, event=owned.value, correlation_id=correlation_id))
