"""Rows are made of a commit alone, in the order of their tables."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import HookCallFact, ModelCallFact, content_ref
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.domain.usage import TokenLedgerEntry, merge_ledger
from lash_host.store import schema
from lash_host.store.keys import KeySequence
from lash_host.store.ledger import ledger_with
from lash_host.store.records import load_ledger
from lash_host.store.rows import CommitRows, build_rows, checkpoint_parts
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import draft, model_call


def _rows(memory: SessionStore) -> CommitRows:
    call = ToolCallRecord(
        call_id="c", tool_id="t", tool_name="t", plugin_id=None, arguments={}, output=ToolOutput.success(), attempts=1,
        started_at_us=1, duration_ms=1,
    )  # fmt: skip
    commit = SampleSession(memory, "alpha").turn(
        "t1",
        "a",
        "b",
        model_calls=(model_call("1"), model_call("2")),
        tool_calls=(call,),
        hook_calls=(HookCallFact(plugin_id="p", hook="h", calls=1, total_ms=1, max_ms=1, errors=0),),
        checkpoint=draft(tool_state=b"tools"),
        blobs={content_ref(b"image"): b"image"},
    )
    checkpoint = checkpoint_parts(commit)
    return build_rows(
        commit,
        session_key=7,
        keys=KeySequence(100),
        checkpoint=checkpoint,
        result=checkpoint.result(1),
        now_us=0,
    )


def test_every_row_has_its_tables_columns(memory: SessionStore) -> None:
    rows = _rows(memory)
    for name in (field.name for field in fields(rows) if field.name != "session"):
        width = len(getattr(schema, name).columns)
        made = getattr(rows, name)
        assert made, name
        assert {len(row) for row in made} == {width}, name
    assert set(rows.session) <= set(schema.sessions.columns.keys())


def test_rows_begin_with_the_session_and_keys_in_order(memory: SessionStore) -> None:
    rows = _rows(memory)
    assert [row[:3] for row in rows.model_calls] == [(7, 101, "1"), (7, 102, "2")]
    assert [row[:3] for row in rows.tool_calls] == [(7, 103, "c")]
    assert [row[:3] for row in rows.nodes] == [(7, 104, "a"), (7, 105, "b")]


def test_blobs_are_those_of_the_checkpoint_and_of_the_commit(memory: SessionStore) -> None:
    stored = {row[0]: (row[1], row[2]) for row in _rows(memory).blobs}
    assert stored == {content_ref(b"tools"): (b"tools", 5), content_ref(b"image"): (b"image", 5)}


def test_a_checkpoint_is_named_by_its_text(memory: SessionStore) -> None:
    commit = SampleSession(memory, "alpha").draft("a", checkpoint=draft(tool_state=b"tools", execution_state=b"vm"))
    parts = checkpoint_parts(commit)
    assert parts.ref == content_ref(parts.text.encode())
    assert parts.refs == {content_ref(b"tools"), content_ref(b"vm")}
    assert parts.result(4).execution_state_ref == content_ref(b"vm")


CALLS = st.lists(
    st.builds(
        model_call,
        st.just("c"),
        source=st.sampled_from(["turn", "compaction"]),
        model=st.sampled_from(["a", "b"]),
        input_tokens=st.integers(0, 3),
        cache_read_input_tokens=st.integers(0, 3),
        reasoning_output_tokens=st.integers(0, 3),
    )
)


@given(before=CALLS, more=CALLS)
def test_a_ledger_grows_as_its_entries_merge(before: list[ModelCallFact], more: list[ModelCallFact]) -> None:
    entries = [TokenLedgerEntry(source=call.source, model=call.model, usage=call.usage) for call in (*before, *more)]
    assert load_ledger(ledger_with(ledger_with("[]", before), more)) == merge_ledger(entries)
