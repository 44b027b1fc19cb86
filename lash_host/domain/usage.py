"""Token counters, the ledger that merges them, and the report made of it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, computed_field

from lash_host.domain.value import Value

__all__ = ["SessionUsageReport", "TokenLedgerEntry", "TokenUsage", "UsageTotals", "merge_ledger"]


class TokenUsage(Value):
    """What one or more model calls consumed, in tokens.

    Attributes:
        input_tokens: Prompt tokens that were not read from a cache.
        output_tokens: All generated tokens, reasoning included.
        cache_read_input_tokens: Prompt tokens read from the provider's cache.
        cache_write_input_tokens: Prompt tokens written to the provider's cache.
        reasoning_output_tokens: The part of `output_tokens` spent on reasoning.
    """

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cache_read_input_tokens: int = Field(default=0, ge=0)
    cache_write_input_tokens: int = Field(default=0, ge=0)
    reasoning_output_tokens: int = Field(default=0, ge=0)

    @property
    def total_tokens(self) -> int:
        """Input, output, cache reads and cache writes. Reasoning is part of output and not added again."""
        return self.context_tokens + self.output_tokens

    @property
    def context_tokens(self) -> int:
        """How many tokens the prompt had, cached or not."""
        return self.input_tokens + self.cache_read_input_tokens + self.cache_write_input_tokens

    @property
    def is_zero(self) -> bool:
        """Whether all five counters are zero."""
        return self.total_tokens == 0 and self.reasoning_output_tokens == 0

    def __add__(self, other: TokenUsage) -> TokenUsage:
        """Add counter by counter."""
        return TokenUsage.model_construct(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            cache_write_input_tokens=self.cache_write_input_tokens + other.cache_write_input_tokens,
            reasoning_output_tokens=self.reasoning_output_tokens + other.reasoning_output_tokens,
        )


class TokenLedgerEntry(Value):
    """What a session spent for one purpose on one model.

    Attributes:
        source: What the calls were for: ``turn``, ``compaction``, ``subagent``, ``child`` or a plugin's own word.
        model: The model's id, without its provider.
        usage: The counters.
    """

    source: str
    model: str
    usage: TokenUsage


def merge_ledger(entries: Iterable[TokenLedgerEntry]) -> tuple[TokenLedgerEntry, ...]:
    """Fold entries by (source, model), in order of first appearance; entries whose total is zero vanish."""
    merged: dict[tuple[str, str], TokenUsage] = {}
    for entry in entries:
        if entry.usage.total_tokens == 0:
            continue
        key = (entry.source, entry.model)
        merged[key] = merged[key] + entry.usage if key in merged else entry.usage
    return tuple(TokenLedgerEntry(source=s, model=m, usage=usage) for (s, m), usage in merged.items())


class UsageTotals(TokenUsage):
    """`TokenUsage` whose total is part of its serialized form."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total_tokens(self) -> int:
        """Input, output, cache reads and cache writes."""
        return self.context_tokens + self.output_tokens

    @classmethod
    def of(cls, usage: TokenUsage) -> UsageTotals:
        """Take over the five counters of ``usage``."""
        return cls(**{name: getattr(usage, name) for name in TokenUsage.model_fields})


class SessionUsageReport(Value):
    """What a session spent in all, and how that divides.

    Attributes:
        entry_count: Rows of the ledger: distinct (source, model) pairs.
        usage: The grand total.
        by_source: Totals by source, keys sorted.
        by_model: Totals by model id, keys sorted.
        by_source_model: The ledger's rows, in ledger order.
    """

    entry_count: int
    usage: UsageTotals
    by_source: dict[str, UsageTotals]
    by_model: dict[str, UsageTotals]
    by_source_model: tuple[TokenLedgerEntry, ...]

    @classmethod
    def from_entries(cls, entries: Iterable[TokenLedgerEntry]) -> SessionUsageReport:
        """Aggregate ledger entries; they need not be merged."""
        ledger = merge_ledger(entries)
        by_source: dict[str, TokenUsage] = {}
        by_model: dict[str, TokenUsage] = {}
        total = TokenUsage()
        for row in ledger:
            total = total + row.usage
            by_source[row.source] = by_source.get(row.source, TokenUsage()) + row.usage
            by_model[row.model] = by_model.get(row.model, TokenUsage()) + row.usage
        return cls(
            entry_count=len(ledger),
            usage=UsageTotals.of(total),
            by_source={key: UsageTotals.of(by_source[key]) for key in sorted(by_source)},
            by_model={key: UsageTotals.of(by_model[key]) for key in sorted(by_model)},
            by_source_model=ledger,
        )
