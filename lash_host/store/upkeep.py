"""The transactions of upkeep."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from lash_host.store.database import Transaction
from lash_host.store.points import reached
from lash_host.store.work import Engine

__all__ = ["upkeep"]


@contextmanager
def upkeep(engine: Engine) -> Generator[Transaction]:
    """Change the tables directly while no operation runs, all of it or nothing; see `Engine.exclusive`."""
    with engine.exclusive() as transaction:
        yield transaction
        reached("before_upkeep")
    reached("after_upkeep")
