"""Services that plugins and tools are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lash_host.domain.message import Message
from lash_host.domain.model import ModelResponse

__all__ = ["DirectCompletions"]


class DirectCompletions(Protocol):
    """Model calls that are not a turn: one request, one answer, booked on the session."""

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        source: str,
        system: str = "",
        output_tokens_limit: int | None = None,
        key: str | None = None,
    ) -> ModelResponse:
        """Ask the session's model, with the host's retries.

        The call is an effect of the scope it is made in, and its usage is part of that scope's commit.

        Args:
            messages: The conversation to send.
            source: What it is for, as it shall stand in `usage.model_calls.source`.
            system: The system prompt.
            output_tokens_limit: The longest answer wanted.
            key: Names the request, where its words may differ when the same turn is driven again. Requests that are
                the same are told apart by their order.

        Raises:
            ModelCallError: The call failed, retries included.
        """
        ...
