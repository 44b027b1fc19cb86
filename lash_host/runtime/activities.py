"""Telling whoever watches a turn what happens in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lash_host.domain.directive import Owned
from lash_host.domain.observation import PluginRuntime, TurnActivity
from lash_host.domain.value import JsonValue

__all__ = ["ActivityLog", "ActivitySink"]

ActivitySink = Callable[[TurnActivity], None]


class ActivityLog:
    """Numbers activities and hands them on."""

    def __init__(self, sink: ActivitySink | None = None) -> None:
        self._sink = sink
        self._count = 0

    def __call__(self, activity: TurnActivity) -> None:
        """Hand one on."""
        self._count += 1
        if self._sink is not None:
            self._sink(activity.model_copy(update={"activity_id": self._count}))

    def plugin_events(self, events: Iterable[Owned[JsonValue]], *, correlation_id: str = "") -> None:
        """Hand on events of plugins."""
        for owned in events:
            self(PluginRuntime(plugin_id=owned.plugin_id, event=owned.value, correlation_id=correlation_id))
