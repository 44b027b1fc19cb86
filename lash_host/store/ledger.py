"""What sessions spent: added up of their model calls, and kept beside the head as one commit adds to another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, func, literal_column, select

from lash_host.domain.commit import ModelCallFact
from lash_host.domain.usage import TokenLedgerEntry, TokenUsage, merge_ledger
from lash_host.store.records import dump_json

__all__ = ["added_up", "calls_query", "ledger_with"]

_COUNTERS = tuple(TokenUsage.model_fields)
_NOTHING = (0,) * len(_COUNTERS)


def calls_query(calls: Table) -> Select[Any]:
    """Ask what sessions spent, of those with keys from ``first_session`` to ``last_session``: for `added_up`."""
    counted = [name for name in _COUNTERS if not name.startswith("reasoning")]
    total: ColumnElement[int] = sum((calls.c[name] for name in counted), start=literal_column("0"))
    key = calls.c.session_key
    return (
        select(key, calls.c.source, calls.c.model, *(func.sum(calls.c[name]) for name in _COUNTERS))
        .where(key >= bindparam("first_session"), key <= bindparam("last_session"), literal_column("0") != total)
        .group_by(key, calls.c.source, calls.c.model)
        .order_by(key, func.min(calls.c.call_key))
    )


def added_up(rows: Iterable[Sequence[Any]]) -> dict[int, tuple[TokenLedgerEntry, ...]]:
    """Give the ledgers, by session key, that the rows of `calls_query` make."""
    ledgers: dict[int, list[TokenLedgerEntry]] = {}
    for session_key, source, model, *counts in rows:
        usage = TokenUsage(**{name: int(count or 0) for name, count in zip(_COUNTERS, counts, strict=True)})
        ledgers.setdefault(session_key, []).append(TokenLedgerEntry(source=source, model=model, usage=usage))
    return {session_key: merge_ledger(entries) for session_key, entries in ledgers.items()}


def ledger_with(text: str, calls: Sequence[ModelCallFact]) -> str:
    """Give a ledger, as `load_ledger` reads it, with what more calls spent: what `merge_ledger` makes of both."""
    ledger: dict[tuple[str, str], Sequence[int]] = {(one[0], one[1]): one[2:] for one in json.loads(text)}
    for call in calls:
        if call.usage.total_tokens:
            before = ledger.get((call.source, call.model), _NOTHING)
            more = (getattr(call.usage, name) for name in _COUNTERS)
            ledger[call.source, call.model] = [a + b for a, b in zip(before, more, strict=True)]
    return dump_json([[*key, *spent] for key, spent in ledger.items()])
