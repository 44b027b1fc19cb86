"""One who looks after a store while others write to it, and has some sessions of its own that are long ago."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import contextmanager
from typing import Any

from crashing.kept import Kept
from crashing.writer import Notes, Writer
from lash_host.contracts.clock import SystemClock
from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import content_ref
from lash_host.domain.maintenance import Retention
from lash_host.store import open_store

__all__ = ["GRACE_MS", "LONG_AGO_US", "RETENTION", "UPKEEP", "Keeper"]

UPKEEP = ("delete", "tombstone", "vacuum", "gc", "retention", "reclaim")

LONG_AGO_US = 24 * 3600 * 1_000_000
GRACE_MS = 3600 * 1000
RETENTION = Retention(sessions_ms=GRACE_MS, receipts_ms=GRACE_MS, turn_inputs_ms=GRACE_MS)

_STEPS_BEFORE = 16


class _LongAgo:
    """A clock that is a day slow. It is no `SystemClock`, which a server is asked instead of."""

    def __init__(self) -> None:
        self._clock = SystemClock()

    def now_us(self) -> int:
        return self._clock.now_us() - LONG_AGO_US

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class Keeper:
    """Does one upkeep after another, and in between something to its own sessions."""

    def __init__(
        self, store: SessionStore, url: str, *, kept: Kept, notes: Notes, seed: object, first: str | None
    ) -> None:
        """Begin with an upkeep, or with any.

        Args:
            store: The store.
            url: Where it is.
            kept: What is expected.
            notes: Where everything is noted.
            seed: Decides what is done.
            first: The upkeep to begin with.
        """
        self._store, self._long_ago = store, open_store(url, clock=_LongAgo())
        self._kept, self._notes, self._seed = kept, notes, seed
        self._writer = self._writer_of(kept.old)
        self._chance = random.Random(f"upkeep/{seed}")  # noqa: S311 - no secret
        self._next = first

    def step(self) -> None:
        """Do something to the sessions of long ago, then an upkeep."""
        for _ in range(_STEPS_BEFORE):
            self._writer.step()
        what = self._next or self._chance.choice(UPKEEP)
        self._next = None
        getattr(self, f"_{what}")()

    def _delete(self) -> None:
        session_id = max(self._kept.old, key=lambda one: self._kept.expected.of(one).revision)
        with self._noted("delete", session=session_id):
            report = self._store.delete_session(session_id)
        assert not self._store.delete_session(session_id).existed
        assert report.session_id == session_id

    def _tombstone(self) -> None:
        session_id = max(self._kept.old, key=lambda one: len(self._kept.visible(one)))
        ids = self._kept.visible(session_id)[:-1]
        ids = self._chance.sample(ids, min(len(ids), 3))
        with self._noted("tombstone", session=session_id, ids=ids):
            hidden = self._store.tombstone_nodes(session_id, ids)
        assert hidden == len(ids)

    def _vacuum(self) -> None:
        with self._noted("vacuum"):
            self._store.vacuum()

    def _gc(self) -> None:
        with self._noted("gc"):
            self._store.collect_garbage()

    def _retention(self) -> None:
        for session_id in self._kept.old[1:]:
            writer = self._writer_of([session_id])
            writer.go_on()
            while self._kept.waits(session_id):
                writer.go_on()
        outdated = self._kept.outdated()
        with self._noted("retention", sessions=outdated):
            report = self._store.apply_retention(RETENTION)
        assert sorted(report.sessions) == sorted(outdated), (report, outdated)

    def _reclaim(self) -> None:
        for number in range(3):
            body = f"nobody refers to this {self._seed} {number}".encode()
            then_us = SystemClock().now_us() - LONG_AGO_US
            self._store._engine.attachment_bytes.put(content_ref(body), body, now_us=then_us)
        with self._noted("reclaim"):
            report = self._store.reclaim_attachments(grace_ms=GRACE_MS)
        assert report.reclaimed >= 3, report

    def _writer_of(self, session_ids: Iterable[str]) -> Writer:
        return Writer(
            self._long_ago, list(session_ids), expected=self._kept.expected, notes=self._notes, seed=self._seed
        )

    @contextmanager
    def _noted(self, name: str, **facts: object) -> Any:
        op = {"op": name, **facts}
        with self._notes.of(op):
            yield
        self._kept.apply(op)
