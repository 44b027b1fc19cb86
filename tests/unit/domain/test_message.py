"""Messages, and whether a model can go on from a conversation."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lash_host.domain.message import (
    ImagePart,
    Message,
    MessageOrigin,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    is_prompt_resume_safe,
)


def calling(*ids: str, role: Role = Role.ASSISTANT) -> Message:
    parts = tuple(ToolCallPart(call_id=call_id, tool_name="t") for call_id in ids)
    return Message(message_id="c", role=role, parts=(TextPart(text="I look."), *parts))


def results(*ids: str, role: Role = Role.USER) -> Message:
    parts = tuple(ToolResultPart(call_id=call_id, tool_name="t", text="x") for call_id in ids)
    return Message(message_id="r", role=role, parts=parts)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [calling()],
        [calling("1"), results("1")],
        [calling("1", "2"), results("2", "1")],
        [calling("1", "2"), results("1"), results("2")],
        [calling("1"), results("1"), calling("2"), results("2")],
    ],
)
def test_every_call_answered_once_is_safe(messages):
    assert is_prompt_resume_safe(messages)
    assert is_prompt_resume_safe(tuple(messages))


@pytest.mark.parametrize(
    "messages",
    [
        [calling("1")],
        [calling("1", "2"), results("1")],
        [results("1")],
        [results("1"), calling("1")],
        [calling("1"), results("1"), results("1")],
        [calling("1", "1"), results("1")],
        [calling("1"), results("1"), calling("1"), results("1")],
        [calling(""), results("")],
        [calling("1", role=Role.USER), results("1")],
        [calling("1"), results("1", role=Role.ASSISTANT)],
        [calling("1"), results("2")],
    ],
)
def test_open_orphaned_repeated_and_misplaced_parts_are_not(messages):
    assert not is_prompt_resume_safe(messages)


def test_the_text_of_a_message_is_that_of_its_text_parts():
    parts = (TextPart(text="a"), ReasoningPart(text="no"), TextPart(text="b"), ImagePart(blob_ref="x", media_type="y"))
    message = Message(message_id="m", role=Role.USER, parts=parts)
    assert message.text == "ab"
    assert message.tool_calls == ()
    assert [call.call_id for call in calling("1", "2").tool_calls] == ["1", "2"]


def test_only_a_transient_origin_makes_a_message_transient():
    plain = Message(message_id="m", role=Role.USER, parts=())
    assert not plain.is_transient
    assert not plain.model_copy(update={"origin": MessageOrigin(kind="plugin")}).is_transient
    assert plain.model_copy(update={"origin": MessageOrigin(kind="plugin", transient=True)}).is_transient


def test_messages_come_back_from_json_and_refuse_what_they_do_not_know():
    message = calling("1")
    assert Message.model_validate_json(message.model_dump_json(exclude_none=True)) == message
    with pytest.raises(ValidationError, match="Extra inputs"):
        Message.model_validate({**message.model_dump(), "mesage_id": "typo"})
