"""Stored values are read by their version first."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import content_ref
from lash_host.domain.frame import AgentFrameAssignment, FrameOpened, decide_open_frame, initial_frame
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import ProtocolTurnOptions, SessionPolicy
from lash_host.domain.session import CheckpointManifest
from lash_host.domain.usage import TokenLedgerEntry, TokenUsage
from lash_host.errors import RecordVersionError, StoreError
from lash_host.store.database import Database
from lash_host.store.records import dump_frames, dump_json, load_checkpoint, load_frames, load_ledger, load_policy
from lash_host.store.schema import blobs, sessions
from lash_host.store.sql_store import SqlSessionStore
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import draft, model_call

POLICY = SessionPolicy(model=ModelSpec(provider_id="acme", model_id="large"))


def test_a_checkpoint_comes_back() -> None:
    manifest = CheckpointManifest(turn_index=3, tool_state_ref="a" * 64)
    assert load_checkpoint(manifest.model_dump_json()) == manifest


@pytest.mark.parametrize("found", [None, 2, "1", True, 1.5])
def test_another_version_is_named(found: object) -> None:
    record = {"turn_index": 1} if found is None else {"turn_index": 1, "schema_version": found}
    with pytest.raises(RecordVersionError) as caught:
        load_checkpoint(json.dumps(record))
    assert (caught.value.kind, caught.value.found, caught.value.expected) == ("checkpoint", found, 1)


def test_another_version_of_a_frame_is_named() -> None:
    with pytest.raises(RecordVersionError, match="agent frame"):
        load_frames('[{"frame_id": "a", "schema_version": 7, "new_field": 1}]')


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", '"x"', "null"])
def test_what_is_not_a_record_is_an_error_of_the_store(text: str) -> None:
    for load in (load_checkpoint, load_frames, load_policy):
        with pytest.raises(StoreError):
            load(text)


def test_json_is_readable_where_it_can_be() -> None:
    assert dump_json({"a": "naïve 🦆"}) == '{"a":"naïve 🦆"}'


def test_json_that_utf_8_cannot_hold_is_escaped() -> None:
    text = dump_json({"a": "broken \ud83d"})
    assert text.encode()
    assert json.loads(text) == {"a": "broken \ud83d"}


def test_a_stored_session_of_another_version_is_not_loaded(memory: SqlSessionStore) -> None:
    SampleSession(memory, "alpha").commit("a")
    with memory._engine.exclusive() as transaction:
        transaction.script(
            f"UPDATE {sessions.fullname} SET checkpoint = replace(checkpoint, '_version\":1', '_version\":2')"
        )
    with pytest.raises(RecordVersionError, match="checkpoint has schema version 2"):
        memory.load_session("alpha")


def test_a_body_that_is_missing_is_reported(
    memory: SessionStore, database_of: Callable[[SessionStore], Database]
) -> None:
    SampleSession(memory, "alpha").commit("a", checkpoint=draft(tool_state=b"tools"))
    with database_of(memory).write() as transaction:
        transaction.script(f"DELETE FROM {blobs.fullname}")
    with pytest.raises(StoreError, match=content_ref(b"tools")):
        memory.load_session("alpha")


def test_a_ledger_is_read() -> None:
    spent = TokenUsage(input_tokens=1, output_tokens=2, cache_read_input_tokens=3, reasoning_output_tokens=4)
    ledger = (TokenLedgerEntry(source="turn", model='m"é', usage=spent),)
    assert load_ledger('[["turn","m\\"é",1,2,3,0,4]]') == ledger
    assert load_ledger("[]") == ()


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "null", '[["turn"]]', '[["turn","m",1,2,3,4]]', '[["t","m",1,2,3,4,-5]]']
)
def test_what_is_no_ledger_is_an_error_of_the_store(text: str) -> None:
    with pytest.raises(StoreError, match="stored ledger"):
        load_ledger(text)


def test_the_calls_of_a_session_without_a_ledger_are_added_up(memory: SqlSessionStore) -> None:
    session = SampleSession(memory, "alpha")
    memory.commit(
        session.turn(
            "t1",
            "a",
            model_calls=(model_call("c1", input_tokens=5), model_call("c2", source="compaction", input_tokens=7)),
        )
    )
    with memory._engine.exclusive() as transaction:
        transaction.script(f"UPDATE {sessions.fullname} SET ledger = NULL")
    assert [(one.source, one.usage.input_tokens) for one in session.load().token_ledger] == [
        ("turn", 5),
        ("compaction", 7),
    ]
    memory.commit(session.turn("t2", "b", after="a", model_calls=(model_call("c3", input_tokens=1),)))
    assert [one.usage.input_tokens for one in session.load().token_ledger] == [6, 7]
    assert memory.check().problems == ()


def test_frames_come_back_and_say_once_what_they_share() -> None:
    first = initial_frame("s", assignment=AgentFrameAssignment(policy=POLICY), created_at_us=1)
    frames = (first,)
    for number in range(3):
        opened = decide_open_frame(frames, frames[-1].frame_id, frame_id=f"f{number}", reason="r", created_at_us=number)
        assert isinstance(opened, FrameOpened)
        frames = opened.frames
    options = ProtocolTurnOptions(payload={"a": 1})
    other = frames[1].model_copy(update={"protocol_turn_options": options})
    frames = (frames[0], other, *frames[2:])
    text = dump_frames(frames)
    assert load_frames(text) == frames
    assert [frame.keys() >= {"assignment"} for frame in json.loads(text)] == [True, False, False, False]
    assert [frame.keys() >= {"protocol_turn_options"} for frame in json.loads(text)] == [True, True, True, False]
    assert load_frames(f"[{','.join(frame.model_dump_json() for frame in frames)}]") == frames
    assert load_frames("[]") == ()
