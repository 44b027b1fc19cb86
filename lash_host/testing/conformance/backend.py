"""What a suite needs of a backend, and the fixtures that give it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import pytest

from lash_host.contracts.store import HolderIsDead, SessionStore
from lash_host.domain.lease import LeaseOwner
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.samples import SampleSession

__all__ = ["Backend", "DeadOwners", "StoreSuite"]


@dataclass(slots=True)
class DeadOwners:
    """Says whose processes are dead, as the test decided.

    Attributes:
        owner_ids: Owners that are dead by decree.
        proof: Asked about all others.
    """

    owner_ids: set[str] = field(default_factory=set)
    proof: HolderIsDead | None = None

    def is_dead(self, owner: LeaseOwner) -> bool:
        """Whether this owner is dead."""
        return owner.owner_id in self.owner_ids or (self.proof is not None and self.proof(owner))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One storage of the kind under test, empty at first.

    Attributes:
        open: Opens a handle on that storage, with the clock and the dead owners of the test.
        durability: What the store must say of itself.
        shares_storage: Whether two handles see the same storage, while both are open and one after the other.
    """

    open: Callable[[], SessionStore]
    durability: Literal["durable", "ephemeral"]
    shares_storage: bool

    @property
    def reopens(self) -> bool:
        """Whether what one handle wrote is there for a later one. Only a store that says it is ephemeral may forget."""
        assert self.shares_storage or self.durability == "ephemeral"
        return self.shares_storage


class StoreSuite:
    """The fixtures of every suite. A subclass overrides `backend`."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Give the clock that the store must use."""
        return ManualClock()

    @pytest.fixture
    def dead(self) -> DeadOwners:
        """Give the proof of death that the store must ask."""
        return DeadOwners()

    @pytest.fixture
    def backend(self, clock: ManualClock, dead: DeadOwners) -> Backend:
        """Give a fresh storage of the kind under test."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def store(self, backend: Backend) -> Iterator[SessionStore]:
        """Give a store that is fresh for every test."""
        store = backend.open()
        yield store
        store.close()

    @pytest.fixture
    def handles(self, backend: Backend) -> Iterator[tuple[SessionStore, SessionStore]]:
        """Give two handles on one storage; where handles do not share it, one handle twice."""
        first = backend.open()
        second = backend.open() if backend.shares_storage else first
        yield first, second
        second.close()
        first.close()

    @pytest.fixture
    def session(self, store: SessionStore) -> SampleSession:
        """Give a session that nothing was committed to yet."""
        return SampleSession(store, "alpha")
