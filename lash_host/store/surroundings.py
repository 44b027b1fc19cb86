"""What a handle on a store brings along: its clock, its tokens, its proof of death."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from lash_host.contracts.clock import Clock
from lash_host.contracts.store import HolderIsDead

__all__ = ["Surroundings", "random_token"]


def random_token() -> str:
    """Make a token that nobody can guess."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an operation takes from the handle it came through.

    Attributes:
        clock: Tells the time.
        new_token: Makes a token that nobody can guess.
        owner_is_dead: Whether an owner is provably dead.
    """

    clock: Clock
    owner_is_dead: HolderIsDead
    new_token: Callable[[], str] = random_token

    def now_us(self) -> int:
        """Tell the time, in UTC microseconds."""
        return self.clock.now_us()
