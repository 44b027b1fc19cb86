"""When a failed model call is tried again."""

from __future__ import annotations

import pytest

from lash_host.domain.retry import GiveUp, ModelRetryPolicy, RetryAfter, RetryProgress, decide_model_retry

POLICY = ModelRetryPolicy()


def decide(*, attempts=0, throttled_s=0.0, retryable=True, kind="transport", retry_after_s=None, policy=POLICY):
    progress = RetryProgress(attempts=attempts, throttled_s=throttled_s)
    return decide_model_retry(policy, progress, retryable=retryable, kind=kind, retry_after_s=retry_after_s)


def after(delay_s: float, *, attempts: int = 0, throttled_s: float = 0.0) -> RetryAfter:
    return RetryAfter(delay_s=delay_s, progress=RetryProgress(attempts=attempts, throttled_s=throttled_s))


def test_the_defaults_are_the_documented_ones():
    assert POLICY.model_dump() == {
        "max_attempts": 4,
        "base_delay_s": 2.0,
        "max_delay_s": 10.0,
        "retry_after_cap_s": 60.0,
        "throttle_budget_s": 90.0,
    }


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        ({}, after(2.0, attempts=1)),
        ({"attempts": 1}, after(4.0, attempts=2)),
        ({"attempts": 2}, after(8.0, attempts=3)),
        ({"attempts": 3}, GiveUp()),
        ({"attempts": 9}, GiveUp()),
        ({"retryable": False}, GiveUp()),
        ({"retryable": False, "kind": "quota", "retry_after_s": 1.0}, GiveUp()),
        ({"attempts": 2, "policy": ModelRetryPolicy(max_attempts=9, max_delay_s=5.0)}, after(5.0, attempts=3)),
        ({"policy": ModelRetryPolicy(max_attempts=1)}, GiveUp()),
        ({"policy": ModelRetryPolicy(base_delay_s=0.0)}, after(0.0, attempts=1)),
    ],
)
def test_a_failure_is_retried_with_doubling_waits_while_attempts_last(facts, decision):
    assert decide(**facts) == decision


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        ({"retry_after_s": 7.0}, after(7.0, attempts=1)),
        ({"retry_after_s": 0.5}, after(0.5, attempts=1)),
        ({"retry_after_s": 3600.0}, after(60.0, attempts=1)),
        ({"retry_after_s": -1.0}, after(0.0, attempts=1)),
        ({"attempts": 3, "retry_after_s": 7.0}, GiveUp()),
    ],
)
def test_a_wait_that_was_asked_for_replaces_the_backoff(facts, decision):
    assert decide(kind="http", **facts) == decision


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        ({"retry_after_s": 20.0}, after(20.0, throttled_s=20.0)),
        ({"attempts": 3, "retry_after_s": 20.0}, after(20.0, attempts=3, throttled_s=20.0)),
        ({"retry_after_s": 0.0}, after(0.0, throttled_s=1.0)),
        ({"retry_after_s": 0.2, "throttled_s": 5.0}, after(0.2, throttled_s=6.0)),
        ({"retry_after_s": 3600.0}, after(60.0, throttled_s=60.0)),
        ({"throttled_s": 70.0, "retry_after_s": 20.0}, after(20.0, throttled_s=90.0)),
        ({"throttled_s": 70.0, "retry_after_s": 20.1}, after(20.1, attempts=1, throttled_s=70.0)),
        ({"throttled_s": 90.0, "attempts": 3, "retry_after_s": 0.0}, GiveUp()),
        ({"retry_after_s": None}, after(2.0, attempts=1)),
    ],
)
def test_throttling_is_charged_to_its_budget_and_then_to_the_attempts(facts, decision):
    assert decide(kind="quota", **facts) == decision


def test_throttling_for_ever_ends():
    progress, retries = RetryProgress(), 0
    while True:
        decision = decide_model_retry(POLICY, progress, retryable=True, kind="quota", retry_after_s=0.0)
        if isinstance(decision, GiveUp):
            break
        progress, retries = decision.progress, retries + 1
    assert retries == 90 + 3
