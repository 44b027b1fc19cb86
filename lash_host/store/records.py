"""How stored values are written as JSON text, and read back: the version first, then the value."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from lash_host.domain.frame import AgentFrame
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.session import CheckpointManifest, SessionMeta
from lash_host.domain.usage import TokenLedgerEntry, TokenUsage
from lash_host.domain.value import JsonValue, Value
from lash_host.errors import RecordVersionError, StoreError

__all__ = [
    "dump_frames",
    "dump_json",
    "dump_value",
    "load_checkpoint",
    "load_frames",
    "load_ledger",
    "load_policy",
    "load_session_meta",
    "load_value",
]

_RECORD_VERSION = 1
_COUNTERS = tuple(TokenUsage.model_fields)
_REPEATED = ("assignment", "protocol_turn_options")

_readable = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_escaped = json.JSONEncoder(separators=(",", ":")).encode

T = TypeVar("T")
V = TypeVar("V", bound=Value)


def dump_json(value: JsonValue) -> str:
    """Write compact JSON, readable where possible: what UTF-8 cannot hold is escaped."""
    text = _readable(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _escaped(value)
    return text


def dump_frames(frames: tuple[AgentFrame, ...]) -> str:
    """Write frames as a JSON array. What a frame has of the one before it is left out: most frames differ in little."""
    written: list[str] = []
    before: AgentFrame | None = None
    for frame in frames:
        repeated = {name for name in _REPEATED if before is not None and _same(frame, before, name)}
        written.append(frame.model_dump_json(exclude=repeated))
        before = frame
    return f"[{','.join(written)}]"


def dump_value(value: Value) -> str:
    """Write a value as JSON; what UTF-8 cannot hold is escaped."""
    try:
        return value.model_dump_json()
    except PydanticSerializationError:
        return dump_json(value.model_dump(mode="json"))


def load_value(kind: str, adapter: TypeAdapter[T], text: str) -> T:
    """Read a value that has no version of its own.

    Raises:
        StoreError: The text is not what was written.
    """
    record = _parse(kind, text)
    try:
        return adapter.validate_python(record)
    except ValidationError as exc:
        raise StoreError(f"stored {kind} cannot be read: {exc}") from exc


def load_ledger(text: str) -> tuple[TokenLedgerEntry, ...]:
    """Read a ledger: a JSON array of arrays of source, model, and the counters of `TokenUsage` in its order.

    Raises:
        StoreError: The text is not what was written.
    """
    records: Any = _parse("ledger", text)
    try:
        return tuple(
            TokenLedgerEntry(source=source, model=model, usage=TokenUsage(**dict(zip(_COUNTERS, counts, strict=True))))
            for source, model, *counts in records
        )
    except (TypeError, ValueError) as exc:
        raise StoreError(f"stored ledger cannot be read: {exc}") from exc


def load_frames(text: str) -> tuple[AgentFrame, ...]:
    """Read frames.

    Raises:
        RecordVersionError: One is of a version this program does not read.
        StoreError: The text is not what was written.
    """
    records = _parse("agent frames", text)
    if not isinstance(records, list):
        raise StoreError("stored agent frames are not an array")
    frames: list[AgentFrame] = []
    for record in records:
        whole: Any = record
        if isinstance(record, dict) and frames:
            whole = {name: getattr(frames[-1], name) for name in _REPEATED} | record
        frames.append(_versioned("agent frame", AgentFrame, whole))
    return tuple(frames)


def load_checkpoint(text: str) -> CheckpointManifest:
    """Read a checkpoint manifest.

    Raises:
        RecordVersionError: It is of a version this program does not read.
        StoreError: The text is not what was written.
    """
    return _versioned("checkpoint", CheckpointManifest, _parse("checkpoint", text))


def load_policy(text: str) -> SessionPolicy:
    """Read a policy; it has no version of its own.

    Raises:
        StoreError: The text is not what was written.
    """
    return _validated("policy", SessionPolicy, _parse("policy", text))


def load_session_meta(text: str) -> SessionMeta:
    """Read a session's metadata.

    Raises:
        RecordVersionError: They are of a version this program does not read.
        StoreError: The text is not what was written.
    """
    return _versioned("session metadata", SessionMeta, _parse("session metadata", text))


def _same(frame: AgentFrame, other: AgentFrame, name: str) -> bool:
    mine, its = getattr(frame, name), getattr(other, name)
    return mine is its or mine == its


def _versioned(kind: str, model: type[V], record: JsonValue) -> V:
    found = record.get("schema_version") if isinstance(record, dict) else None
    if found != _RECORD_VERSION or isinstance(found, bool):
        raise RecordVersionError(kind, found=found, expected=_RECORD_VERSION)
    return _validated(kind, model, record)


def _validated(kind: str, model: type[V], record: JsonValue) -> V:
    try:
        return model.model_validate(record)
    except ValidationError as exc:
        raise StoreError(f"stored {kind} cannot be read: {exc}") from exc


def _parse(kind: str, text: str) -> JsonValue:
    try:
        parsed: JsonValue = json.loads(text)
    except ValueError as exc:
        raise StoreError(f"stored {kind} is not JSON: {exc}") from exc
    return parsed
