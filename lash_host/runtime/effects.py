"""The built-in effect host: it runs effects and records nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel

from lash_host.domain.effect import EffectEnvelope

__all__ = ["InlineEffectHost"]

ResultT = TypeVar("ResultT", bound=BaseModel)


class InlineEffectHost:
    """Runs each effect when it is asked for. After a crash a turn starts again from its last commit."""

    name = "inline"
    is_durable = False

    async def execute(
        self,
        envelope: EffectEnvelope,  # noqa: ARG002  a recording host needs it
        run: Callable[[], Awaitable[ResultT]],
        *,
        result_type: type[ResultT],  # noqa: ARG002
    ) -> ResultT:
        """Run it."""
        return await run()
