"""Reads what a call consumed, from the reports of many servers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from lash_host import TokenUsage

if TYPE_CHECKING:
    from openai.types import CompletionUsage

__all__ = ["UsageCounters"]


@dataclass(slots=True)
class UsageCounters:
    """The raw counters of one call. Of several reports the latest value that is not 0 counts.

    A server that reports nothing leaves them at 0: tokens are never guessed.
    """

    prompt: int = 0
    completion: int = 0
    total_reported: int = 0
    cached: int = 0
    cache_written: int = 0
    reasoning: int = 0

    def merge(self, usage: CompletionUsage) -> None:
        """Take a report in."""
        prompt_details, completion_details = usage.prompt_tokens_details, usage.completion_tokens_details
        report = UsageCounters(
            prompt=_count(usage.prompt_tokens),
            completion=_count(usage.completion_tokens),
            total_reported=_count(usage.total_tokens),
            cached=_count(getattr(prompt_details, "cached_tokens", 0)),
            cache_written=_count(getattr(prompt_details, "cache_write_tokens", 0)),
            reasoning=_count(getattr(completion_details, "reasoning_tokens", 0)),
        )
        for counter in fields(self):
            setattr(self, counter.name, getattr(report, counter.name) or getattr(self, counter.name))

    def total(self) -> TokenUsage:
        """Give the five counters.

        Prompt counts include cached ones, so those are taken out. Output includes reasoning; some servers leave it
        out of the completion count, which shows in their own total.
        """
        apart = self.reasoning > 0 and self.total_reported == self.prompt + self.completion + self.reasoning
        output = self.completion + self.reasoning if apart else self.completion
        cached = min(self.cached, self.prompt)
        written = min(self.cache_written, self.prompt - cached)
        return TokenUsage(
            input_tokens=self.prompt - cached - written,
            output_tokens=output,
            cache_read_input_tokens=cached,
            cache_write_input_tokens=written,
            reasoning_output_tokens=min(self.reasoning, output),
        )


def _count(value: object) -> int:
    return max(int(value), 0) if isinstance(value, int | float) else 0
