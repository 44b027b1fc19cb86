"""Tools: outcomes, names, and when a failed call is tried again."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lash_host.domain.tool import (
    FailureClass,
    ToolCancelled,
    ToolFailure,
    ToolManifest,
    ToolOutput,
    ToolRetry,
    ToolRetryPolicy,
    next_retry_delay_s,
)

SAFE = ToolRetryPolicy(mode="safe", max_attempts=4, base_delay_ms=100)


def delay(policy=SAFE, *, disposition="safe", after_ms=None, attempt=1, has_call_id=True):
    failure = ToolFailure(message="no", retry=ToolRetry(disposition=disposition, after_ms=after_ms))
    return next_retry_delay_s(policy, failure, attempt=attempt, has_call_id=has_call_id)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, 0.1),
        ({"attempt": 2}, 0.2),
        ({"attempt": 3}, 0.4),
        ({"attempt": 4}, None),
        ({"attempt": 5}, None),
        ({"after_ms": 2_500}, 2.5),
        ({"after_ms": 0}, 0.0),
        ({"disposition": "never"}, None),
        ({"disposition": "exhausted"}, None),
        ({"has_call_id": False}, 0.1),
        ({"policy": ToolRetryPolicy()}, None),
        ({"policy": ToolRetryPolicy(mode="never", max_attempts=3)}, None),
        ({"policy": ToolRetryPolicy(mode="safe")}, None),
        ({"policy": SAFE.model_copy(update={"max_delay_ms": 150}), "attempt": 2}, 0.15),
        ({"policy": SAFE.model_copy(update={"max_delay_ms": 150}), "after_ms": 9_000}, 0.15),
        ({"policy": SAFE.model_copy(update={"base_delay_ms": 0})}, 0.0),
        ({"policy": SAFE.model_copy(update={"mode": "idempotent"})}, 0.1),
        ({"policy": SAFE.model_copy(update={"mode": "idempotent"}), "has_call_id": False}, None),
    ],
)
def test_only_failures_that_say_so_are_retried_while_attempts_last(case, expected):
    assert delay(**case) == expected


def test_outputs_say_whether_they_worked():
    assert ToolOutput.success({"a": 1}).is_success
    assert ToolOutput.success().outcome.value is None
    failed = ToolOutput.failure("no", code="x", failure_class=FailureClass.TIMEOUT, source="runtime")
    assert not failed.is_success
    assert (failed.outcome.message, failed.outcome.code, failed.outcome.source) == ("no", "x", "runtime")
    assert failed.outcome.retry.disposition == "never"
    assert not ToolOutput(outcome=ToolCancelled()).is_success


@pytest.mark.parametrize(
    "output", [ToolOutput.success([1]), ToolOutput.failure("no"), ToolOutput(outcome=ToolCancelled())]
)
def test_outputs_come_back_from_json(output):
    assert ToolOutput.model_validate_json(output.model_dump_json()) == output


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "x" * 65, "a\n"])
def test_names_that_providers_refuse_are_refused_here(name):
    with pytest.raises(ValidationError):
        ToolManifest(tool_id="i", name=name)


def test_names_of_letters_digits_underscores_and_hyphens_are_taken():
    assert ToolManifest(tool_id="i", name="Read_file-2").name == "Read_file-2"
