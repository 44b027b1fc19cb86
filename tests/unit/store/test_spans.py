"""Cutting tables into stretches of bounded size."""

from __future__ import annotations

import pytest
from sqlalchemy import literal_column

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import HookCallFact
from lash_host.store import schema
from lash_host.store.schema import rows_of
from lash_host.store.spans import rows_in, spans
from lash_host.testing.conformance import SampleSession

SIZES = {"s0": 3, "s1": 1, "s2": 7, "s3": 2, "s4": 2}


@pytest.fixture
def filled(memory: SessionStore) -> SessionStore:
    hook = HookCallFact(plugin_id="p", hook="h", calls=1, total_ms=1.0, max_ms=1.0, errors=0)
    for name, size in SIZES.items():
        session = SampleSession(memory, name)
        session.commit("first", hook_calls=(hook,))
        for number in range(1, size):
            after = "first" if number == 1 else f"n{number - 1}"
            memory.commit(session.turn(f"t{number}", f"n{number}", after=after, hook_calls=(hook, hook)))
    return memory


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize("table", [schema.nodes, schema.turns, schema.hook_calls, schema.commits, schema.sessions])
def test_every_row_is_in_one_span_in_order(filled: SessionStore, table, most: int) -> None:
    with filled._engine.read() as transaction:
        view = rows_of(table)
        found = [rows_in(transaction, view, span) for span in spans(transaction, view, rows=most)]
        every = transaction.rows(ALL[table.name])
    flat = [row for rows in found for row in rows]
    assert sorted(flat, key=repr) == sorted(every, key=repr)
    assert [row[0] for row in flat] == sorted(row[0] for row in flat)
    largest_key = 2 if table is schema.hook_calls else 1
    assert all(len(rows) <= most + largest_key - 1 for rows in found)
    assert all(found) or table is schema.hook_calls


def test_spans_are_no_smaller_than_they_must_be(filled: SessionStore) -> None:
    with filled._engine.read() as transaction:
        sizes = [span.rows for span in spans(transaction, rows_of(schema.nodes), rows=4)]
    assert sizes == [4, 4, 3, 4]


def test_some_columns_of_some_rows(filled: SessionStore) -> None:
    view = rows_of(schema.nodes)
    first = view.c.node_id == literal_column("'first'")
    with filled._engine.read() as transaction:
        (span,) = spans(transaction, view)
        rows = rows_in(transaction, view, span, columns=("node_id", "kind"), where=first)
    assert rows == [("first", "message")] * 5


ALL = {
    table.name: rows_of(table).select()
    for table in (schema.nodes, schema.turns, schema.hook_calls, schema.commits, schema.sessions)
}
