"""What runs a turn's effects, and may record their outcomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from lash_host.domain.effect import EffectEnvelope

__all__ = ["EffectHost"]

ResultT = TypeVar("ResultT", bound=BaseModel)


@runtime_checkable
class EffectHost(Protocol):
    """Runs effects. One that records answers a replayed effect with what was recorded instead of running it."""

    @property
    def name(self) -> str:
        """The name settings choose it by."""
        ...

    @property
    def is_durable(self) -> bool:
        """Whether outcomes survive the process."""
        ...

    async def execute(
        self, envelope: EffectEnvelope, run: Callable[[], Awaitable[ResultT]], *, result_type: type[ResultT]
    ) -> ResultT:
        """Give the outcome of an effect.

        Args:
            envelope: Names the effect; the same turn driven again uses the same replay key.
            run: Does it. Called at most once per call of `execute`.
            result_type: What ``run`` gives, so that a recorded outcome can be read back.

        Raises:
            Anything that ``run`` raises. A recording host records errors too and raises them again on replay.
        """
        ...
