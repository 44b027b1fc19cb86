"""What goes into a turn, and what comes out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lash_host.domain.turn import (
    AssistantMessage,
    InputImage,
    InputText,
    Stopped,
    StopReason,
    TurnInput,
    TurnResult,
    as_turn_input,
    check_turn_input,
)
from lash_host.domain.usage import TokenUsage

PNG = InputImage(data=b"x", media_type="image/png")


def problem_of(value, window=1_000):
    problem = check_turn_input(as_turn_input(value), context_window_tokens=window)
    return None if problem is None else problem.code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("hi", None),
        ([PNG], None),
        (["", PNG], None),
        ("", "empty_input"),
        ([], "empty_input"),
        (["  \n", "\t"], "empty_input"),
        ([InputImage(data=b"x", media_type="image/tiff")], "unsupported_image"),
        (["hi", InputImage(data=b"", media_type="image/png")], "unsupported_image"),
        ("x" * 4_000, None),
        ("x" * 4_001, "input_too_large"),
        (["x" * 2_000, "x" * 2_001], "input_too_large"),
    ],
)
def test_inputs_no_turn_could_run_with_are_refused(value, code):
    assert problem_of(value) == code


def test_the_refusal_says_what_would_have_been_taken():
    too_large = check_turn_input(as_turn_input("x" * 8_000), context_window_tokens=1_000)
    assert too_large.message == "the input is about 2,000 tokens; the model's context window holds 1,000"
    odd = check_turn_input(as_turn_input([InputImage(data=b"x", media_type="a/b")]), context_window_tokens=9)
    assert "'a/b'" in odd.message
    assert "image/png" in odd.message


def test_the_short_forms_of_an_input_are_understood():
    assert as_turn_input("a") == TurnInput(items=(InputText(text="a"),))
    assert as_turn_input(["a", PNG, InputText(text="b")]).items == (InputText(text="a"), PNG, InputText(text="b"))
    ready = TurnInput(turn_id="t")
    assert as_turn_input(ready) is ready
    assert as_turn_input(["a", PNG, "b"]).text == "ab"


@pytest.mark.parametrize(
    ("outcome", "success", "reason"),
    [
        (AssistantMessage(text="x"), True, None),
        (Stopped(stop_reason=StopReason.CANCELLED), False, StopReason.CANCELLED),
    ],
)
def test_a_result_says_whether_the_turn_finished(outcome, success, reason):
    result = TurnResult(
        outcome=outcome, text="", usage=TokenUsage(), turn_id="t", turn_index=1, started_at=datetime.now(UTC),
        duration_ms=1.0, head_revision=None,
    )  # fmt: skip
    assert (result.is_success, result.stop_reason) == (success, reason)
    assert TurnResult.model_validate_json(result.model_dump_json()) == result
