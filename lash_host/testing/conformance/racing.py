"""Calls that are made at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from lash_host.errors import StoreError

__all__ = ["landed", "race"]

T = TypeVar("T")


def race(actions: Sequence[Callable[[], T]]) -> list[T | StoreError]:
    """Make every call in a thread of its own, all at once; give what each gave or how the store refused, in order."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], T]) -> T | StoreError:
        barrier.wait()
        try:
            return action()
        except StoreError as refused:
            return refused

    with ThreadPoolExecutor(max_workers=len(actions)) as pool:
        return list(pool.map(run, actions))


def landed(outcomes: Sequence[T | StoreError]) -> list[T]:
    """Give what the calls gave that were not refused."""
    return [outcome for outcome in outcomes if not isinstance(outcome, StoreError)]
