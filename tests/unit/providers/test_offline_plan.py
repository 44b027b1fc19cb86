"""What prompts ask the tools for."""

from __future__ import annotations

import pytest

from lash_host.domain.tool import ToolSpec
from lash_host.providers.offline_plan import plan_calls


def plan(text: str, tools: list[ToolSpec]) -> list[list[tuple[str, object]]]:
    return [[(call.tool_name, call.arguments) for call in batch] for batch in plan_calls(text, tools)]


ONE_CALL = [
    ("read README.md", "read_file", {"path": "README.md"}),
    ("Read README.md and tell me the two commands", "read_file", {"path": "README.md"}),
    ("Can you read the file src/a.py, please?", "read_file", {"path": "src/a.py"}),
    ("cat README", "read_file", {"path": "README"}),
    ('open "my file.txt"', "read_file", {"path": "my file.txt"}),
    ("open `a.txt`.", "read_file", {"path": "a.txt"}),
    ("What does docs/a.md say?", "read_file", {"path": "docs/a.md"}),
    ("What\u2019s in .gitignore?", "read_file", {"path": ".gitignore"}),
    ("list the files in docs", "list_files", {"path": "docs"}),
    ("List all files in the docs folder.", "list_files", {"path": "docs"}),
    ("list files", "list_files", {}),
    ("list the files in .", "list_files", {"path": "."}),
    ("list the files in this folder", "list_files", {}),
    ("ls docs", "list_files", {"path": "docs"}),
    ("Which files are in docs?", "list_files", {"path": "docs"}),
    ("list the notes", "list_notes", {}),
    ("search for X in src", "search_files", {"pattern": "X", "path": "src"}),
    ("Search src for TODO", "search_files", {"pattern": "TODO", "path": "src"}),
    ('find "two words" in src/a', "search_files", {"pattern": "two words", "path": "src/a"}),
    ("Find the word lease in docs.", "search_files", {"pattern": "lease", "path": "docs"}),
    ("search for the answer", "search_files", {"pattern": "answer"}),
    ("grep TODO src", "search_files", {"pattern": "TODO", "path": "src"}),
    ("write hello world to notes.txt", "write_file", {"path": "notes.txt", "content": "hello world"}),
    ("create notes.txt with hello world", "write_file", {"path": "notes.txt", "content": "hello world"}),
    ('save "read a.txt" in n/a.txt', "write_file", {"path": "n/a.txt", "content": "read a.txt"}),
    ("Remember that I like tea.", "add_note", {"text": "I like tea"}),
    ("add a note: buy milk", "add_note", {"text": "buy milk"}),
    ("what is 17*23", "calculator", {"expression": "17*23"}),
    ("What's 17 times 23?", "calculator", {"expression": "17 * 23"}),
    ("add 3 and 4", "add", {"a": 3, "b": 4}),
    ("add -3 and 4.5", "add", {"a": -3, "b": 4.5}),
    ("what is the weather in Paris?", "get_weather", {"city": "Paris"}),
    ("roll 6", "roll", {"sides": 6}),
]


@pytest.mark.parametrize(("text", "name", "arguments"), ONE_CALL)
def test_a_verb_with_what_its_tool_needs_leads_to_a_call(text, name, arguments, tools):
    assert plan(text, tools) == [[(name, arguments)]]


NAMED = [
    ('use the add_note tool with text "buy milk"', "add_note", {"text": "buy milk"}),
    ('use the add_note tool {"text": "buy milk"}', "add_note", {"text": "buy milk"}),
    ("use the add_note tool: buy milk", "add_note", {"text": "buy milk"}),
    ("call add_note with buy milk", "add_note", {"text": "buy milk"}),
    ("Please use the `add_note` tool to remember buy milk", "add_note", {"text": "buy milk"}),
    ("use the add note tool: read a.txt", "add_note", {"text": "read a.txt"}),
    ("use the read_file tool on README.md with limit 5", "read_file", {"path": "README.md", "limit": 5}),
    ("use the read_file tool to read README.md", "read_file", {"path": "README.md"}),
    ("use search_files with pattern 'def .*' and path src", "search_files", {"pattern": "def .*", "path": "src"}),
    ("use the list_files tool with docs", "list_files", {"path": "docs"}),
    ("use the add tool with a=2, b: 3", "add", {"a": 2, "b": 3}),
    ("use the roll tool with 6 sides, fair", "roll", {"sides": 6, "mode": "fair"}),
    ("use the sum_all tool on 1, 2 and 3", "sum_all", {"numbers": [1, 2, 3]}),
    ("use the tag tool with 'x' and 'y', true", "tag", {"names": ["x", "y"], "loud": True}),
    ("use the calculator tool: 17*23", "calculator", {"expression": "17*23"}),
    ("use the write_file tool", "write_file", {}),
    ("use the roll tool", "roll", {}),
    ("use the roll tool with sides many", "roll", {}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "arguments"), NAMED)
def test_a_tool_that_is_named_is_called_with_what_there_is(text, name, arguments, tools):
    assert plan(text, tools) == [[(name, arguments)]]


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "what did I ask before",
        "I read the news in bed",
        "find out why the sky is blue",
        "show me how it works",
        "what is 2026-01-01",
        "use the unknown tool",
        'say "read a.txt"',
        '{"read": "read a.txt"}',
        "that's what the list is for, don't worry",
        "see https://example.org/read/a.txt",
        "",
    ],
)
def test_other_prompts_ask_for_nothing(text, tools):
    assert plan(text, tools) == []


def test_several_orders_come_in_the_order_of_the_text(tools):
    text = 'List the files in docs, then read a.md and b.md, and finally write "done" to out.txt'
    assert plan(text, tools) == [
        [("list_files", {"path": "docs"})],
        [("read_file", {"path": "a.md"}), ("read_file", {"path": "b.md"})],
        [("write_file", {"path": "out.txt", "content": "done"})],
    ]


def test_named_and_spoken_orders_mix(tools):
    text = "use the add_note tool: buy milk, then list the notes. What is 2+2?"
    assert plan(text, tools) == [
        [("add_note", {"text": "buy milk"})],
        [("list_notes", {})],
        [("calculator", {"expression": "2+2"})],
    ]


def test_the_same_call_is_planned_once(tools):
    assert plan("read a.txt, then read a.txt and a.txt", tools) == [[("read_file", {"path": "a.txt"})]]


def test_arguments_that_are_no_json_object_are_an_error_of_the_call(tools):
    [[call]] = plan_calls('use the read_file tool {"path": ', tools)
    assert (call.arguments, call.arguments_error) == ({}, "the arguments are not a JSON object")


def test_arithmetic_needs_a_tool_that_does_it(tools):
    by_name = {tool.name: tool for tool in tools}
    assert plan("what is 17*23", [by_name["read_file"]]) == []
    assert plan("what is 17*23", [by_name["add"]]) == []
    assert plan("what is 17 plus 23", [by_name["add"]]) == [[("add", {"a": 17, "b": 23})]]


def test_a_tool_without_a_schema_gets_no_arguments():
    tool = ToolSpec(name="ping", description="", input_schema={"type": "object"})
    assert plan("use the ping tool now", [tool]) == [[("ping", {})]]


def test_optional_unions_and_enums_are_understood():
    limit = {"anyOf": [{"type": "null"}, {"type": "integer"}]}
    schema = {"type": "object", "properties": {"limit": limit, "unit": {"enum": ["km", "mi"]}}, "required": ["limit"]}
    tool = ToolSpec(name="walk", description="", input_schema=schema)
    assert plan("walk 3 km", [tool]) == [[("walk", {"limit": 3, "unit": "km"})]]


@pytest.mark.parametrize("text", ["{" * 50_000, '{"a":' * 20_000, "\n" * 100_000, "read " * 10_000, "9" * 30_000])
def test_no_prompt_is_too_odd(text, tools):
    assert plan(text, tools) == []
