"""offline/agent: calls what it is told to call, and answers from the results."""

from __future__ import annotations

import json

import pytest

from lash_host.domain.message import MessageOrigin
from lash_host.domain.model import TerminalReason
from lash_host.providers.offline_agent import DISCLAIMER

README = "# Demo\n\n```sh\npip install demo\n# then\ndemo run --now\ndemo stop\n```\n"


def test_it_calls_a_tool_and_then_quotes_its_result(ask, calls_of, conversation):
    first = ask(conversation.user("Read README.md and tell me the two commands"))
    assert calls_of(first) == [("read_file", {"path": "README.md"})]
    assert first.terminal_reason is TerminalReason.TOOL_USE
    answer = ask(conversation.answered(first, README))
    assert answer.terminal_reason is TerminalReason.STOP
    assert "pip install demo\ndemo run --now\n" in answer.text
    assert "demo stop" not in answer.text
    assert 'read_file({"path": "README.md"})' in answer.text


def test_several_orders_are_carried_out_one_after_another(ask, calls_of, conversation):
    conversation.user("List the files in docs, then read a.md and b.md and tell me what they say")
    first = ask(conversation)
    assert calls_of(first) == [("list_files", {"path": "docs"})]
    second = ask(conversation.answered(first, '["a.md","b.md"]'))
    assert calls_of(second) == [("read_file", {"path": "a.md"}), ("read_file", {"path": "b.md"})]
    answer = ask(conversation.answered(second, "alpha", "beta"))
    assert calls_of(answer) == []
    assert answer.text.index("a.md\nb.md") < answer.text.index("alpha") < answer.text.index("beta")


def test_it_tells_what_a_failed_tool_said_and_goes_on(ask, calls_of, conversation):
    first = ask(conversation.user("read nope.txt, then list the notes"))
    second = ask(conversation.answered(first, "no such file: nope.txt", is_error=True))
    assert calls_of(second) == [("list_notes", {})]
    answer = ask(conversation.answered(second, "buy milk"))
    assert 'read_file({"path": "nope.txt"}) failed: no such file: nope.txt' in answer.text
    assert "list_notes() gave: buy milk" in answer.text


def test_only_the_last_user_message_asks(ask, calls_of, conversation):
    first = ask(conversation.user("read a.txt"))
    conversation.answered(first, "alpha").assistant("It says alpha.").user("read b.txt")
    assert calls_of(ask(conversation)) == [("read_file", {"path": "b.txt"})]


def test_the_same_order_in_a_later_message_calls_again(ask, calls_of, conversation):
    first = ask(conversation.user("read a.txt"))
    conversation.answered(first, "alpha").assistant("alpha").user("read a.txt")
    again = ask(conversation)
    assert calls_of(again) == [("read_file", {"path": "a.txt"})]
    assert again.tool_calls[0].call_id != first.tool_calls[0].call_id


def test_what_a_plugin_put_in_does_not_hide_what_the_user_said(ask, calls_of, conversation):
    memory = MessageOrigin(kind="plugin", plugin_id="memory", transient=True)
    conversation.user("read a.txt").user("the user likes tea", origin=memory)
    assert calls_of(ask(conversation)) == [("read_file", {"path": "a.txt"})]


def test_a_task_that_only_a_plugin_set_counts(ask, calls_of, conversation):
    conversation.user("read a.txt", origin=MessageOrigin(kind="process"))
    assert calls_of(ask(conversation)) == [("read_file", {"path": "a.txt"})]


def test_call_ids_are_the_same_when_a_request_is_sent_again(ask):
    ids = [[call.call_id for call in ask("read a.txt and b.txt").tool_calls] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_it_says_once_that_it_is_no_language_model(ask, conversation):
    first = ask(conversation.user("hello"))
    assert first.text.endswith(DISCLAIMER)
    later = ask(conversation.assistant(first.text).user("hello again"))
    assert DISCLAIMER not in later.text


def test_it_says_so_after_the_tools_of_a_first_turn_too(ask, conversation):
    first = ask(conversation.user("read a.txt"))
    assert DISCLAIMER in ask(conversation.answered(first, "alpha")).text


def test_without_an_order_it_names_the_tools(ask, tools):
    answer = ask("How are you?")
    assert "How are you?" in answer.text
    assert all(tool.name in answer.text for tool in tools)
    assert "no tools" in ask("How are you?", tools=[]).text


def test_tools_may_be_forbidden_or_required(ask, calls_of):
    assert calls_of(ask("read a.txt", tool_choice="none")) == []
    assert calls_of(ask("hello", tool_choice="required")) == [("list_files", {})]


@pytest.mark.parametrize(
    ("question", "expected", "unexpected"),
    [
        ("what did I ask before?", ["1. “alpha?”", "2. “beta?”", "3. “gamma?”"], []),
        ("Tell me what I asked", ["alpha?", "beta?", "gamma?"], []),
        ("what was my previous question", ["gamma?"], ["alpha?", "beta?"]),
        ("What was the last thing I said?", ["gamma?"], ["alpha?"]),
        ("what was my first message?", ["alpha?"], ["beta?", "gamma?"]),
    ],
)
def test_it_knows_what_was_asked_before(question, expected, unexpected, ask, conversation):
    for text in ("alpha?", "beta?", "gamma?"):
        conversation.user(text).assistant("hm")
    answer = ask(conversation.user(question)).text
    assert all(text in answer for text in expected)
    assert not any(text in answer for text in unexpected)


def test_nothing_was_asked_before_the_first_question(ask):
    assert "nothing before this" in ask("what did I ask before").text


def test_without_tools_it_summarizes_what_was_said(ask, conversation):
    conversation.user("alpha?").assistant("It is\none.").user("Summarize this conversation.")
    assert ask(conversation, tools=[]).text == "User: alpha?\nAssistant: It is one."


def test_a_summary_by_system_prompt_covers_the_last_message_too(ask, conversation):
    conversation.user("alpha?").assistant("one").user("beta?")
    answer = ask(conversation, tools=[], system="You summarize conversations.")
    assert answer.text == "User: alpha?\nAssistant: one\nUser: beta?"


def test_a_summary_is_bounded(ask, conversation):
    for number in range(60):
        conversation.user(f"question {number} " + "x" * 500)
    lines = ask(conversation.user("Please summarise"), tools=[]).text.splitlines()
    assert lines[0] == "(20 earlier lines left out)"
    assert len(lines) == 41
    assert max(map(len, lines)) < 220


@pytest.mark.parametrize(
    ("order", "summary"),
    [
        ("Summarize this.\n\nuser: hi\nthere\nassistant: ho", "user: hi\nassistant: ho"),
        ("Summarize:\nroses are\n\nred", "Summarize:\nroses are\nred"),
    ],
)
def test_a_text_in_the_order_itself_is_summarized(order, summary, ask):
    assert ask(order, tools=[]).text == summary


def test_it_remembers_what_its_summary_says_was_asked(ask, conversation):
    summary = "Summary:\nuser: Summary of it so far:\nUser: alpha?\nAssistant: one"
    conversation.assistant(summary, origin=MessageOrigin(kind="compaction")).user("what did I ask before?")
    assert "Before this you asked: “alpha?”" in ask(conversation).text


def test_a_tool_result_in_json_is_quoted_as_text(ask, conversation):
    first = ask(conversation.user("read a.txt"))
    result = json.dumps({"path": "a.txt", "content": "alpha\nbeta", "truncated": False})
    assert "```\nalpha\nbeta\n```" in ask(conversation.answered(first, result)).text
