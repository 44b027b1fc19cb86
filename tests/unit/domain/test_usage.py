"""Token counters, their ledger and the report."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lash_host.domain.usage import SessionUsageReport, TokenLedgerEntry, TokenUsage, UsageTotals, merge_ledger

FULL = TokenUsage(
    input_tokens=1,
    output_tokens=20,
    cache_read_input_tokens=300,
    cache_write_input_tokens=4_000,
    reasoning_output_tokens=10,
)


def entry(source: str, model: str, **counters: int) -> TokenLedgerEntry:
    return TokenLedgerEntry(source=source, model=model, usage=TokenUsage(**counters))


def test_the_total_has_input_output_and_both_cache_counters_but_not_reasoning_again():
    assert FULL.total_tokens == 4_321
    assert FULL.context_tokens == 4_301


def test_usages_add_counter_by_counter():
    doubled = FULL + FULL
    assert doubled.model_dump() == {name: 2 * count for name, count in FULL.model_dump().items()}
    assert FULL + TokenUsage() == FULL


def test_zero_is_zero_in_all_five_counters():
    assert TokenUsage().is_zero
    assert not TokenUsage(reasoning_output_tokens=1).is_zero
    assert not TokenUsage(cache_write_input_tokens=1).is_zero


def test_counters_are_never_negative():
    with pytest.raises(ValidationError):
        TokenUsage(input_tokens=-1)


def test_the_ledger_merges_by_source_and_model_in_order_of_appearance():
    merged = merge_ledger(
        [
            entry("turn", "b", input_tokens=1),
            entry("turn", "a", output_tokens=2),
            entry("compaction", "b", input_tokens=3),
            entry("turn", "b", cache_read_input_tokens=4),
        ]
    )
    assert merged == (
        entry("turn", "b", input_tokens=1, cache_read_input_tokens=4),
        entry("turn", "a", output_tokens=2),
        entry("compaction", "b", input_tokens=3),
    )
    assert merge_ledger(merged) == merged


def test_entries_without_a_total_vanish():
    assert merge_ledger([entry("turn", "a"), entry("turn", "a", reasoning_output_tokens=5)]) == ()


def test_a_report_divides_the_total_by_source_and_by_model():
    report = SessionUsageReport.from_entries(
        [
            entry("turn", "z", input_tokens=1),
            entry("child", "a", output_tokens=2, reasoning_output_tokens=1),
            entry("turn", "a", cache_read_input_tokens=4),
            entry("turn", "z", input_tokens=10),
            entry("turn", "none"),
        ]
    )
    assert report.entry_count == 3
    assert report.usage.total_tokens == 17
    assert report.usage.reasoning_output_tokens == 1
    assert {key: totals.total_tokens for key, totals in report.by_source.items()} == {"child": 2, "turn": 15}
    assert {key: totals.total_tokens for key, totals in report.by_model.items()} == {"a": 6, "z": 11}
    assert [*report.by_source] == ["child", "turn"]
    assert [*report.by_model] == ["a", "z"]
    assert [(row.source, row.model) for row in report.by_source_model] == [("turn", "z"), ("child", "a"), ("turn", "a")]


def test_an_empty_report_has_no_entries():
    report = SessionUsageReport.from_entries([])
    assert (report.entry_count, report.usage.total_tokens, report.by_model) == (0, 0, {})


def test_totals_are_part_of_their_serialized_form():
    totals = UsageTotals.of(FULL)
    assert totals.model_dump() == {**FULL.model_dump(), "total_tokens": 4_321}
    assert "total_tokens" not in FULL.model_dump()
