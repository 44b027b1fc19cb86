"""What a model provider is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from lash_host.domain.model import ModelEvent, ModelRequest, ModelSpec

__all__ = ["ModelProvider"]


@runtime_checkable
class ModelProvider(Protocol):
    """Serves models. One object serves all sessions of a host, concurrently.

    Plugins hand providers over in `lash_register_providers`.
    """

    @property
    def provider_id(self) -> str:
        """The id that stands before the slash in ``provider/model``. Unique in a host."""
        ...

    def model(self, model_id: str) -> ModelSpec:
        """Tell what is known of a model.

        Called when a session opens and when its model changes; must not do I/O.

        Raises:
            UnknownModel: The provider knows that it has no such model. A provider that cannot know accepts the id
                and fails the call.
        """
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Ask a model.

        Yields deltas as they come, if the provider streams, and last exactly one `ModelResponse` that holds the whole
        answer. The host retries and times; the provider does neither. Closing the iterator cancels the request.

        Raises:
            ModelCallError: The call failed, before the answer or within it; `retryable` says whether the same
                request may succeed later.
            MissingCredential: There is no key.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. Called once, when the host closes."""
        ...
