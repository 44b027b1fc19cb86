"""Hooks on what a model says: while it streams, when it is whole, when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lash_host.domain.model import ModelResponse
from lash_host.markers import hookspec

__all__ = [
    "ResponseTransform",
    "StreamChunk",
    "StreamFinishedContext",
    "lash_stream_finished",
    "lash_transform_response",
    "lash_transform_stream",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamChunk:
    """A piece of visible text as it is streamed, and what hooks made of it so far.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        text: The text; empty drops the chunk.
        abort_stream: Stop the model here; the answer is what came so far.
    """

    session_id: str
    turn_id: str
    text: str
    abort_stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseTransform:
    """A whole answer, and what hooks made of it so far.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        response: The answer.
    """

    session_id: str
    turn_id: str
    response: ModelResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFinishedContext:
    """A model call that is over.

    Attributes:
        session_id: The session.
        turn_id: The turn.
        reason: How it ended.
    """

    session_id: str
    turn_id: str
    reason: Literal["complete", "aborted", "cancelled", "provider_error"]


@hookspec
def lash_transform_stream(context: StreamChunk) -> StreamChunk:
    """Rewrite a chunk of streamed text.

    Called for every chunk; each plugin gets what the one before gave. On the hot path: must be quick.

    Args:
        context: The chunk.

    Returns:
        The chunk to go on with.

    Raises:
        Anything: The model call fails with code ``plugin_assistant_stream`` and is not retried.
    """
    raise AssertionError


@hookspec
async def lash_transform_response(context: ResponseTransform) -> ResponseTransform:
    """Rewrite a whole answer before the protocol sees it.

    Called once a model call; each plugin gets what the one before gave.

    Args:
        context: The answer.

    Returns:
        The answer to go on with.

    Raises:
        Anything: The model call fails with code ``plugin_assistant_response`` and is not retried.
    """
    raise AssertionError


@hookspec
async def lash_stream_finished(context: StreamFinishedContext) -> None:
    """Be told that a model call is over.

    Called once a model call, in plugin order.

    Args:
        context: How it ended.

    Raises:
        Anything: Logged; never fatal.
    """
