"""Where a conversation is cut."""

from __future__ import annotations

from lash_host import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCallPart, ToolResultPart
from lash_host_compaction_summary.cut import chunks, plan_cut, transcript_lines


def user(number: int, content: str = "q") -> Message:
    return Message(message_id=f"u{number}", role=Role.USER, parts=(TextPart(text=content),))


def assistant(number: int, content: str = "a") -> Message:
    return Message(message_id=f"a{number}", role=Role.ASSISTANT, parts=(TextPart(text=content),))


def tool_round(number: int) -> tuple[Message, Message]:
    call = ToolCallPart(call_id=f"c{number}", tool_name="add", arguments={"a": 1})
    result = ToolResultPart(call_id=f"c{number}", tool_name="add", text="2")
    return (
        Message(message_id=f"tc{number}", role=Role.ASSISTANT, parts=(call,)),
        Message(message_id=f"tr{number}", role=Role.USER, parts=(result,)),
    )


def ids(messages: tuple[Message, ...]) -> list[str]:
    return [message.message_id for message in messages]


TALK = (user(1), assistant(1), user(2), *tool_round(2), assistant(2), user(3), assistant(3))


def test_the_tail_begins_at_a_message_of_the_users() -> None:
    cut = plan_cut(TALK, keep_user_messages=2, keep_tokens=1000)
    assert ids(cut.older) == ["u1", "a1"]
    assert ids(cut.tail) == ["u2", "tc2", "tr2", "a2", "u3", "a3"]


def test_tool_results_are_no_boundary() -> None:
    cut = plan_cut(TALK, keep_user_messages=1, keep_tokens=1000)
    assert ids(cut.tail) == ["u3", "a3"]


def test_a_tail_that_is_too_long_is_shortened_but_the_last_message_stays() -> None:
    cut = plan_cut(TALK, keep_user_messages=3, keep_tokens=0)
    assert ids(cut.tail) == ["u3", "a3"]


def test_there_must_be_something_before_the_tail() -> None:
    assert plan_cut(TALK, keep_user_messages=3, keep_tokens=1000) is None
    assert plan_cut((), keep_user_messages=1, keep_tokens=1000) is None
    assert plan_cut((assistant(1),), keep_user_messages=1, keep_tokens=1000) is None


def test_everything_is_written_down_as_text() -> None:
    image = Message(message_id="i", role=Role.USER, parts=(ImagePart(blob_ref="x", media_type="image/png"),))
    silent = Message(message_id="r", role=Role.ASSISTANT, parts=(ReasoningPart(text="hm"),))
    lines = transcript_lines((user(1, "hello"), *tool_round(1), image, silent))
    assert lines == ["user: hello", 'assistant: [calls add {"a": 1}]', "tools: [add gave: 2]", "user: [image]"]


def test_pieces_fit_and_nothing_is_lost() -> None:
    lines = ["x" * 100, "y" * 10, "z" * 10]
    pieces = chunks(lines, max_tokens=10)
    assert all(len(piece) <= 40 for piece in pieces)
    assert "".join(pieces).replace("\n", "") == "".join(lines)
