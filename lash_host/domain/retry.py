"""When a failed model call is tried again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from lash_host.domain.value import Value
from lash_host.errors import ModelErrorKind

__all__ = ["GiveUp", "ModelRetryPolicy", "RetryAfter", "RetryProgress", "decide_model_retry"]


class ModelRetryPolicy(Value):
    """How hard a model call is tried. Delays in seconds.

    A wait that the provider itself asked for on a quota failure uses up no attempt while `throttle_budget_s` lasts.
    """

    max_attempts: int = Field(default=4, ge=1)
    base_delay_s: float = Field(default=2.0, ge=0)
    max_delay_s: float = Field(default=10.0, ge=0)
    retry_after_cap_s: float = Field(default=60.0, ge=0)
    throttle_budget_s: float = Field(default=90.0, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryProgress:
    """What has happened to a call so far: attempts used up, and seconds of throttle budget spent."""

    attempts: int = 0
    throttled_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAfter:
    """Try again after ``delay_s``."""

    delay_s: float
    progress: RetryProgress


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again."""


def decide_model_retry(
    policy: ModelRetryPolicy,
    progress: RetryProgress,
    *,
    retryable: bool,
    kind: ModelErrorKind,
    retry_after_s: float | None,
) -> RetryAfter | GiveUp:
    """Decide after a failure, given what happened before it.

    Throttling, a retryable quota failure with a wait of the provider's own, is charged to the throttle budget (at
    least one second each) and not to the attempts, while the budget lasts.
    """
    if not retryable:
        return GiveUp()
    asked = None if retry_after_s is None else min(max(retry_after_s, 0.0), policy.retry_after_cap_s)
    if kind == "quota" and asked is not None:
        charged = progress.throttled_s + max(asked, 1.0)
        if charged <= policy.throttle_budget_s:
            return RetryAfter(delay_s=asked, progress=RetryProgress(attempts=progress.attempts, throttled_s=charged))
    used = progress.attempts + 1
    if used >= policy.max_attempts:
        return GiveUp()
    backoff = min(policy.base_delay_s * 2 ** (used - 1), policy.max_delay_s)
    return RetryAfter(
        delay_s=backoff if asked is None else asked,
        progress=RetryProgress(attempts=used, throttled_s=progress.throttled_s),
    )
