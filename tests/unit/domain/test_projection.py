"""What a model is shown of a result."""

from __future__ import annotations

import pytest

from lash_host.domain.projection import default_model_text, fit_budget
from lash_host.domain.tool import ToolCancelled, ToolOutput


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (ToolOutput.success("as it\nis"), ("as it\nis", False)),
        (ToolOutput.success({"a": [1, None], "é": True}), ('{"a":[1,null],"é":true}', False)),
        (ToolOutput.success(None), ("null", False)),
        (
            ToolOutput.failure("no such file", code="not_found"),
            ("[Tool execution failed] not_found: no such file", True),
        ),
        (ToolOutput(outcome=ToolCancelled()), ("[Tool execution cancelled]", True)),
        (ToolOutput(outcome=ToolCancelled(message="by the user")), ("[Tool execution cancelled] by the user", True)),
    ],
)
def test_the_default_text(output, shown):
    assert default_model_text(output) == shown


def test_text_within_the_budget_is_unchanged():
    text = "x" * 99 + "\n"
    assert fit_budget(text * 400, max_bytes=40_000) == text * 400
    assert fit_budget("", max_bytes=0) == ""


def test_too_many_lines_lose_their_middle():
    text = "".join(f"line {number}\n" for number in range(1000))
    assert fit_budget(text, max_lines=5) == ("line 0\nline 1\n… 996 lines, 8858 bytes left out …\nline 998\nline 999\n")


def test_too_many_bytes_are_cut_at_line_ends():
    text = "".join(f"{number:04} {'x' * 94}\n" for number in range(1000))
    lines = fit_budget(text, max_bytes=1000).splitlines()
    assert [line[:4] for line in lines[:4]] == ["0000", "0001", "0002", "0003"]
    assert lines[-1].startswith("0999")
    assert all(len(line) == 99 for line in lines if "left out" not in line)


def test_one_line_that_is_too_long_is_shortened_at_both_ends_kept():
    shown = fit_budget("<" + "x" * 100_000 + ">", max_bytes=200)
    head, note, tail = shown.splitlines()
    assert head.startswith("<xx")
    assert tail.endswith("xx>")
    assert note == f"… 0 lines, {100_002 - len(head) - len(tail)} bytes left out …"


@pytest.mark.parametrize("budget", range(180, 200))
def test_no_character_is_split(budget):
    shown = fit_budget("é€𝄞" * 500, max_bytes=budget)
    assert "\ufffd" not in shown
    assert set(shown.replace("left out", "")) <= set("é€𝄞… 0lines,byt123456789\n")
    assert len(shown.encode()) <= budget


@pytest.mark.parametrize("max_bytes", [0, 1, 7, 60, 128, 16_384])
@pytest.mark.parametrize("max_lines", [1, 2, 3, 400])
@pytest.mark.parametrize("text", ["€" * 9000, "a\n" * 9000, "€€€€€€€€\n" * 3000, "\n" * 20_000])
def test_the_result_is_never_over_the_budget(text, max_bytes, max_lines):
    shown = fit_budget(text, max_bytes=max_bytes, max_lines=max_lines)
    assert len(shown.encode()) <= max_bytes
    assert len(shown.splitlines()) <= max_lines


def test_a_budget_too_small_for_the_note_shows_the_beginning():
    assert fit_budget("ab\ncd\nef", max_bytes=4) == "ab\nc"
