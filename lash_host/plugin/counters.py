"""Counts and times of hook calls, by plugin and hook."""

from __future__ import annotations

from collections.abc import Iterable

from lash_host.domain.commit import HookCallFact

__all__ = ["HookCounter", "HookCounters"]


class HookCounter:
    """What one plugin's implementations of one hook did since it was last booked. Times in seconds."""

    __slots__ = ("calls", "errors", "hook", "max_s", "max_s_since_read", "plugin_id", "total_s")

    def __init__(self, plugin_id: str, hook: str) -> None:
        self.plugin_id, self.hook = plugin_id, hook
        self.calls = self.errors = 0
        self.total_s = self.max_s = self.max_s_since_read = 0.0

    def record(self, elapsed_s: float) -> None:
        """Count a call that took ``elapsed_s``."""
        self.calls += 1
        self.total_s += elapsed_s
        if elapsed_s > self.max_s_since_read:
            self.max_s_since_read = elapsed_s
            self.max_s = max(self.max_s, elapsed_s)

    def read(self) -> HookCallFact:
        """Give what was counted, and begin to watch for what comes after."""
        self.max_s_since_read = 0.0
        return HookCallFact(
            plugin_id=self.plugin_id,
            hook=self.hook,
            calls=self.calls,
            total_ms=self.total_s * 1000,
            max_ms=self.max_s * 1000,
            errors=self.errors,
        )

    def forget(self, fact: HookCallFact) -> None:
        """Take away what was booked; what came after `read` stays."""
        self.calls = max(0, self.calls - fact.calls)
        self.errors = max(0, self.errors - fact.errors)
        self.total_s = max(0.0, self.total_s - fact.total_ms / 1000) if self.calls else 0.0
        self.max_s = self.max_s_since_read


class HookCounters:
    """The counters of one session, or of one host."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str], HookCounter] = {}

    def of(self, plugin_id: str, hook: str) -> HookCounter:
        """Give the counter of a plugin's implementations of a hook."""
        key = plugin_id, hook
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = HookCounter(plugin_id, hook)
        return counter

    def facts(self) -> tuple[HookCallFact, ...]:
        """Give what was counted and not forgotten yet."""
        return tuple(counter.read() for counter in self._counters.values() if counter.calls)

    def forget(self, facts: Iterable[HookCallFact]) -> None:
        """Take away facts that `facts` gave, once they are stored. What came in between stays."""
        for fact in facts:
            counter = self._counters.get((fact.plugin_id, fact.hook))
            if counter is not None:
                counter.forget(fact)
