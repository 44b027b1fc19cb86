"""Putting a streamed answer together."""

from __future__ import annotations

from lash_host.domain.message import ReasoningPart, TextPart
from lash_host.domain.model import ModelResponse, TerminalReason

__all__ = ["StreamAccumulator"]


class StreamAccumulator:
    """Collects deltas, and reconciles them with the final answer.

    The final answer wins. Streamed text is used only where the final answer has none, so that nothing shows twice.
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []

    def add_text(self, text: str) -> None:
        """Take visible text."""
        self._text.append(text)

    def add_reasoning(self, text: str) -> None:
        """Take reasoning."""
        self._reasoning.append(text)

    def finish(self, final: ModelResponse) -> ModelResponse:
        """Give the whole answer."""
        parts = list(final.parts)
        if self._reasoning and not any(isinstance(part, ReasoningPart) for part in parts):
            parts.insert(0, ReasoningPart(text="".join(self._reasoning)))
        if self._text and not any(isinstance(part, TextPart) for part in parts):
            parts.insert(1 if parts and isinstance(parts[0], ReasoningPart) else 0, TextPart(text="".join(self._text)))
        return final.model_copy(update={"parts": tuple(parts)})

    def aborted(self) -> ModelResponse:
        """Give what came before the stream was stopped on purpose, as a finished answer."""
        return self.finish(ModelResponse(terminal_reason=TerminalReason.STOP))
