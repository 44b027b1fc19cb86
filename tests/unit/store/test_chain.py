"""The canonical text of a commit's rows, and the two hashes over it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_host.store.chain import chain_hash, commit_content, encode_content

Row = tuple[Any, ...]


def node(key: int, *, payload: str = "{}", tombstoned: bool = False) -> Row:
    return (1, key, f"n{key}", None, "f1", 5, "message", "user", payload, tombstoned)


def hook(turn_id: str | None, name: str, total_ms: float = 1.5) -> Row:
    return (1, turn_id, "plug", name, 1, total_ms, 1.5, 0)


def turn(duration_ms: float) -> Row:
    return (1, "t1", 1, "f1", 5, duration_ms, "completed", None, None, 1, 1, 2, 3, 4, 5, None, None)


def test_the_text_is_an_array_of_tables_of_rows_of_values() -> None:
    text = encode_content(
        {"nodes": [node(7, payload='{"a":"é"}')], "hook_calls": [hook("t1", "lash_turn_begin")]}
    ).decode()
    assert text == (
        '[[[1,7,"n7",null,"f1",5,"message","user","{\\"a\\":\\"é\\"}"]],[],[],[],'
        '[[1,"t1","plug","lash_turn_begin",1,1.5,1.5,0]]]'
    )
    assert commit_content({"nodes": [node(7)]}) == hashlib.sha256(encode_content({"nodes": [node(7)]})).hexdigest()


def test_a_node_that_is_hidden_later_hashes_the_same() -> None:
    assert commit_content({"nodes": [node(7, tombstoned=True)]}) == commit_content({"nodes": [node(7)]})


def test_rows_hash_the_same_in_whatever_order_they_are_read() -> None:
    calls = [hook("t1", "a"), hook("t1", "b"), hook("t1", "b", 2.5)]
    kept = commit_content({"nodes": [node(7), node(12)], "hook_calls": calls})
    assert commit_content({"hook_calls": calls[::-1], "nodes": [node(12), node(7)]}) == kept


def test_a_whole_number_in_a_double_column_hashes_as_the_float_it_is_read_back_as() -> None:
    assert commit_content({"turns": [turn(3)]}) == commit_content({"turns": [turn(3.0)]})
    assert commit_content({"hook_calls": [hook("t1", "a", 2)]}) == commit_content(
        {"hook_calls": [hook("t1", "a", 2.0)]}
    )


def test_hook_calls_without_a_turn_do_not_count() -> None:
    assert commit_content({"hook_calls": [hook(None, "a")]}) == commit_content({})


@pytest.mark.parametrize(
    "rows",
    [{}, {"nodes": [node(7, payload="[]")]}, {"nodes": [node(8)]}, {"nodes": [node(7), node(8)]}, {"turns": [turn(1)]}],
)
def test_any_other_content_hashes_otherwise(rows: dict[str, list[Row]]) -> None:
    assert commit_content(rows) != commit_content({"nodes": [node(7)]})


@given(payload=st.text(st.characters(exclude_categories=())))
def test_a_node_is_written_as_the_standard_library_writes_it(payload: str) -> None:
    written = json.dumps([[node(7, payload=payload)[:-1]], [], [], [], []], ensure_ascii=False, separators=(",", ":"))
    assert encode_content({"nodes": [node(7, payload=payload)]}) == written.encode("utf-8", "surrogatepass")


def test_text_that_utf8_cannot_hold_is_hashed_all_the_same() -> None:
    assert len(commit_content({"nodes": [node(7, payload="\ud800")]})) == 64


def test_a_link_depends_on_all_that_came_before_and_on_where_it_is() -> None:
    first = chain_hash(None, session_id="s", head_revision=1, content_hash="c")
    links = {
        first,
        chain_hash(first, session_id="s", head_revision=1, content_hash="c"),
        chain_hash(None, session_id="z", head_revision=1, content_hash="c"),
        chain_hash(None, session_id="s", head_revision=2, content_hash="c"),
        chain_hash(None, session_id="s", head_revision=1, content_hash="d"),
    }
    assert len(links) == 5
    assert first == chain_hash(None, session_id="s", head_revision=1, content_hash="c")
