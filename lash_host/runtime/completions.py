"""Model calls that are not a turn: plugins' and tools' own, booked on the session."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence

from lash_host.domain.commit import content_ref
from lash_host.domain.effect import EffectKind, EffectScope
from lash_host.domain.message import Message
from lash_host.domain.model import ModelRequest, ModelResponse, RequestScope
from lash_host.errors import ModelCallError
from lash_host.runtime.model_calls import ModelCall, call_model
from lash_host.runtime.resident import ResidentSession

__all__ = ["SessionCompletions", "image_refs", "load_images"]


class SessionCompletions:
    """`DirectCompletions` of one scope of a session.

    Args:
        session: The session.
        scope: Where the calls' replay keys live.
        turn_id: The turn they are made in, if in one.
        made: How often each effect was asked for in the scope, so that identical requests are effects of their own.
        cancelled: Set when nobody wants an answer any more.
    """

    def __init__(
        self,
        session: ResidentSession,
        *,
        scope: EffectScope,
        turn_id: str | None,
        made: Counter[str],
        cancelled: asyncio.Event,
    ) -> None:
        self._session = session
        self._scope = scope
        self._turn_id = turn_id
        self._made = made
        self._cancelled = cancelled

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        source: str,
        system: str = "",
        output_tokens_limit: int | None = None,
        key: str | None = None,
    ) -> ModelResponse:
        """Ask the session's model; see `DirectCompletions.complete`."""
        effect_id = self._effect_id(f"{source}:{key or _discriminator(messages, system, output_tokens_limit)}")
        state = self._session.state
        request = ModelRequest(
            model=state.effective_policy.model,
            system=system,
            messages=tuple(messages),
            blobs=await load_images(self._session, image_refs(messages)),
            output_tokens_limit=output_tokens_limit,
            scope=RequestScope(
                session_id=state.session_id,
                frame_id=state.current_agent_frame_id,
                turn_id=self._turn_id,
                request_id=f"{self._scope.scope_id}:{effect_id}",
                idempotency_key=f"{state.session_id}:{self._scope.scope_id}:{effect_id}",
            ),
        )
        call = ModelCall(
            scope=self._scope,
            kind=EffectKind.DIRECT_COMPLETION,
            effect_id=effect_id,
            turn_id=self._turn_id,
            source=source,
        )
        outcome = await call_model(self._session, request, call, cancelled=self._cancelled)
        if outcome.response is None:
            failure = outcome.failure
            raise ModelCallError(
                "the model call was cancelled" if failure is None else failure.message,
                kind="unknown" if failure is None else failure.kind,
                retryable=failure is not None and failure.retryable,
            )
        return outcome.response

    def _effect_id(self, wanted: str) -> str:
        """Number what is asked for again: a turn driven again asks in the same order."""
        self._made[wanted] += 1
        return wanted if self._made[wanted] == 1 else f"{wanted}:{self._made[wanted]}"


def _discriminator(messages: Sequence[Message], system: str, output_tokens_limit: int | None) -> str:
    """Identify a request by what it asks; ids of messages may be new ones when a turn is driven again."""
    said = (message.model_dump_json(exclude={"message_id"}) for message in messages)
    return content_ref("\n".join((system, str(output_tokens_limit), *said)).encode())


def image_refs(messages: Sequence[Message]) -> set[str]:
    """Name the images among messages."""
    return {part.blob_ref for message in messages for part in message.parts if part.kind == "image"}


async def load_images(session: ResidentSession, refs: Collection[str]) -> dict[str, bytes]:
    """Give the bytes of images, from memory or the store; those that are in neither are left out."""
    store = session.services.store
    for ref in set(refs) - session.blobs.keys():
        data = await store.call(store.store.load_blob, ref)
        if data is not None:
            session.blobs[ref] = data
    return {ref: session.blobs[ref] for ref in refs if ref in session.blobs}
