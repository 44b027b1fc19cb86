"""Says what went wrong with a call: from the SDK's exceptions to `ModelCallError`, without secrets."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from lash_host import ModelCallError, ModelErrorKind

if TYPE_CHECKING:
    import openai

__all__ = ["CallFacts", "call_failures", "capped", "failure", "retry_after_s", "scrubbed"]

RETRYABLE_STATUSES: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
MESSAGE_CHARACTERS: Final = 500
RAW_CHARACTERS: Final = 4000
REDACTED: Final = "[key]"

_KEYS = re.compile(
    r"\b(?:sk|gsk|xai|hf)[-_][A-Za-z0-9_*.\-]{6,}"  # keys by their usual beginnings
    r"|(?<=Bearer )\S+"
    r"|[^\s'\"*]{0,40}\*{3,}[^\s'\",.]{0,40}"  # keys that the provider has half hidden itself
)
_RATE_MARKERS = ("rate limit", "rate_limit", "quota", "tokens per min", "requests per min")
_OVERFLOW_MARKERS = (
    "context_length_exceeded", "exceed_context_size", "context length", "context window", "context size",
    "prompt is too long", "input is too long", "input tokens exceed", "reduce the length of",
)  # fmt: skip
_USED_UP_MARKERS = (
    "insufficient_quota", "usage_limit_reached", "usage_not_included", "exceeded your current quota",
    "billing_hard_limit", "insufficient balance", "insufficient credits",
)  # fmt: skip
_FILTER_MARKERS = (
    "content_filter", "content_policy", "content policy", "content management policy", "usage policy",
    "prompt was flagged", "input was flagged", "safety system", "prohibited_content", "prohibited content",
)  # fmt: skip
_UNSUPPORTED_MARKERS = (
    "model_not_found",
    "unsupported model",
    "unsupported_model",
    "not a valid model",
    "no such model",
)
_MODEL_IS_MISSING = re.compile(r"model\b.{0,200}\b(?:does not exist|not found)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What a report of a failed call says of the call, and what it must not say.

    Attributes:
        provider_id: The provider.
        origin: Scheme, host and port of its server.
        variable: The environment variable that holds the key.
        key: The key itself, to be taken out of every text.
        now_s: The wall time, in seconds since 1970.
    """

    provider_id: str
    origin: str
    variable: str
    key: str
    now_s: float


def call_failures() -> tuple[type[Exception], ...]:
    """List what a call may raise: the SDK's errors, those of connections that it lets through, and of broken JSON."""
    import openai

    return (openai.OpenAIError, ValueError, *_connection_failures())


def failure(exc: Exception, facts: CallFacts, *, has_begun: bool) -> ModelCallError:
    """Say what an exception means.

    Args:
        exc: What the SDK raised, or a `TimeoutError` of our own.
        facts: The call.
        has_begun: Whether the server had begun to answer.
    """
    import openai

    if isinstance(exc, (TimeoutError, openai.APITimeoutError, *_of_http_library("TimeoutException"))):
        return _error(f"{facts.origin} did not answer in time", facts, kind="timeout", retryable=True)
    if isinstance(exc, openai.APIStatusError):
        return _status_failure(exc, facts)
    if isinstance(exc, (openai.APIConnectionError, *_connection_failures())):
        reason = str(exc.__cause__ or exc) or type(exc.__cause__ or exc).__name__
        if has_begun:
            return _error(f"the answer of {facts.origin} broke off: {reason}", facts, kind="stream", retryable=True)
        return _error(f"cannot reach {facts.origin}: {reason}", facts, kind="transport", retryable=True)
    if isinstance(exc, openai.APIError):
        return _event_failure(exc, facts)
    if not has_begun:
        text = f"the request cannot be sent: {type(exc).__name__}: {exc}"
        return _error(text, facts, kind="validation", retryable=False)
    text = f"{facts.origin} sent what is no chat completion stream: {type(exc).__name__}: {exc}"
    return _error(text, facts, kind="stream", retryable=True)


def retry_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Read how long the provider asks to wait: ``retry-after-ms``, or ``retry-after`` as seconds or as an HTTP date."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if 0 <= wait_s < float("inf"):
            return wait_s
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now_s)
    except ValueError:
        return None


def scrubbed(text: str, key: str) -> str:
    """Take keys out of a text: this one, and whatever else looks like one."""
    if key:
        text = text.replace(key, REDACTED)
    return _KEYS.sub(REDACTED, text)


def capped(text: str, limit: int = RAW_CHARACTERS) -> str:
    """Keep the first and the last half of what is allowed."""
    return text if len(text) <= limit else text[: limit // 2] + text[-(limit - limit // 2) :]


def _connection_failures() -> tuple[type[Exception], ...]:
    return (OSError, *_of_http_library("RequestError"))


def _of_http_library(name: str) -> tuple[type[Exception], ...]:
    """Find an error class of the HTTP library under the SDK, whose versions differ in library and in what they wrap."""
    modules = [sys.modules[module] for module in ("httpx2", "httpx") if module in sys.modules]
    return tuple(getattr(module, name) for module in modules)


def _status_failure(exc: openai.APIStatusError, facts: CallFacts) -> ModelCallError:
    raw = (exc.body or "") if isinstance(exc.body, str | None) else json.dumps(exc.body, ensure_ascii=False)
    message = _message_of(exc.body)
    kind, retryable = _classify(exc.status_code, f"{raw} {message}".lower())
    text = (
        f"{facts.provider_id} answered {exc.status_code}: {message or exc.response.reason_phrase or 'no reason given'}"
    )
    if kind == "auth":
        text += f" (the key comes from the environment variable {facts.variable})"
    wait_s = retry_after_s(exc.response.headers, now_s=facts.now_s)
    return _error(text, facts, kind=kind, retryable=retryable, status=exc.status_code, wait_s=wait_s, raw=raw or None)


def _event_failure(exc: openai.APIError, facts: CallFacts) -> ModelCallError:
    """Judge an error that came as an event of a stream that had begun well."""
    raw = json.dumps(exc.body, ensure_ascii=False, default=str)
    status = int(str(exc.code)) if re.fullmatch(r"[45]\d\d", str(exc.code)) else None
    kind, retryable = _classify(status, f"{raw} {exc.message}".lower())
    text = f"{facts.provider_id} broke its answer off: {exc.message}"
    return _error(text, facts, kind=kind, retryable=retryable, status=status, raw=raw)


def _classify(status: int | None, text: str) -> tuple[ModelErrorKind, bool]:
    """Judge by what the provider says first, then by the status. No status means an error within a stream."""
    if status == 402 or any(marker in text for marker in _USED_UP_MARKERS):  # noqa: PLR2004 (payment required)
        return "quota", False
    if status not in {401, 403, 429}:
        if any(marker in text for marker in _OVERFLOW_MARKERS) and not any(marker in text for marker in _RATE_MARKERS):
            return "context_overflow", False
        if any(marker in text for marker in _FILTER_MARKERS):
            return "content_filter", False
        is_missing = status in {None, 400, 404} and _MODEL_IS_MISSING.search(text)
        if is_missing or any(marker in text for marker in _UNSUPPORTED_MARKERS):
            return "unsupported", False
    match status:
        case None:
            return ("quota" if any(marker in text for marker in _RATE_MARKERS) else "stream"), True
        case 429:
            return "quota", True
        case 401 | 403:
            return "auth", False
        case 400 | 413 | 422:
            return "validation", False
        case _:
            return "http", status in RETRYABLE_STATUSES


def _message_of(body: object) -> str:
    """Find the provider's own words; a page of HTML has none."""
    if isinstance(body, Mapping):
        for name in ("message", "detail", "error"):
            if isinstance(body.get(name), str):
                return str(body[name])
        return json.dumps(body, ensure_ascii=False)
    if isinstance(body, str) and not body.lstrip().startswith("<"):
        return body
    return "" if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False)


def _error(
    text: str,
    facts: CallFacts,
    *,
    kind: ModelErrorKind,
    retryable: bool,
    status: int | None = None,
    wait_s: float | None = None,
    raw: str | None = None,
) -> ModelCallError:
    """Build the error. Texts are scrubbed before they are shortened: half a key would not be recognised."""
    return ModelCallError(
        capped(scrubbed(text, facts.key), MESSAGE_CHARACTERS),
        kind=kind,
        retryable=retryable,
        status=status,
        retry_after_s=wait_s,
        raw=None if raw is None else capped(scrubbed(raw, facts.key)),
    )
