"""What hooks may answer: checks that turn a wrong answer into words for the plugin's author."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from lash_host.contracts.effect_host import EffectHost
from lash_host.contracts.process import ProcessEngine
from lash_host.contracts.protocol import TurnProtocol
from lash_host.contracts.provider import ModelProvider
from lash_host.contracts.store import UsageView
from lash_host.contracts.tool import ToolProvider
from lash_host.domain.compaction import ContextCompaction
from lash_host.domain.directive import AbortTurn, EmitEvents, EnqueueMessages, ReplaceToolArguments, ShortCircuitTool
from lash_host.domain.message import ImagePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from lash_host.domain.model import ModelPrice
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.prompt import PromptContribution
from lash_host.hookspecs.operation import PluginOperation
from lash_host.hookspecs.stream import ResponseTransform, StreamChunk
from lash_host.hookspecs.turn import PreparedContext

__all__ = ["ANSWERS", "AnswerCheck", "WrongAnswer", "read_json"]

AnswerCheck = Callable[[Any], Any]
"""Gives an answer in its usual shape, or raises `WrongAnswer`."""

_JSON: Final[TypeAdapter[JsonValue]] = TypeAdapter(JsonValue)
_DIRECTIVES: Final = (AbortTurn, EnqueueMessages, ReplaceToolArguments, ShortCircuitTool, EmitEvents)
_PARTS: Final = (TextPart, ReasoningPart, ImagePart, ToolCallPart, ToolResultPart)


class WrongAnswer(Exception):
    """A hook gave something it must not give. Only the dispatcher sees it."""


def read_json(value: object) -> JsonValue:
    """Copy a JSON value.

    Raises:
        WrongAnswer: It is not JSON; says where.
    """
    try:
        return _JSON.validate_python(value)
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_context=False)[0]
        offender = type(problem["input"]).__name__
        raise WrongAnswer(f"gave a value that is not JSON: there is a {offender} in it") from exc


def _sequence_of(kinds: type | tuple[type, ...], noun: str) -> AnswerCheck:
    def check(value: Any) -> Any:
        if value is None:
            return ()
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise _wrong(value, f"a list of {noun}s")
        for item in value:
            if not isinstance(item, kinds):
                raise WrongAnswer(f"returned a list with {_kind(item)} in it, not a {noun}")
        return value

    return check


def _exactly(kind: type, *, chained: bool = False) -> AnswerCheck:
    def check(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if value is None and chained:
            raise WrongAnswer("returned None; return the value to go on with")
        raise _wrong(value, f"a {kind.__name__}")

    return check


def _or_none(check: AnswerCheck) -> AnswerCheck:
    return lambda value: None if value is None else check(value)


def _names(value: Any) -> Any:
    if value is None:
        return ()
    if not isinstance(value, Collection) or isinstance(value, str | bytes):
        raise _wrong(value, "a list of tool names")
    for item in value:
        if not isinstance(item, str):
            raise WrongAnswer(f"returned {_kind(item)} among the tool names")
    return value


def _revision(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong(value, "an integer")


def _protocol(value: Any) -> Any:
    if not isinstance(value, TurnProtocol):
        raise _wrong(value, "a TurnProtocol")
    if type(value).build_driver is TurnProtocol.build_driver:
        raise WrongAnswer(f"returned a {type(value).__name__}, which does not define build_driver")
    return value


def _code_executor(value: Any) -> Any:
    if inspect.isawaitable(value):
        raise _wrong(value, "a CodeExecutor")
    missing = [n for n in ("execute_code", "capture_state", "restore_state") if not callable(getattr(value, n, None))]
    if missing:
        raise WrongAnswer(f"returned {_kind(value)} without {', '.join(missing)}")
    return value


def _extensions(value: Any) -> Any:
    contributed = []
    for item in _sequence_of((tuple, list), "pair")(value):
        match item:
            case (str() as extension_id, payload):
                contributed.append((extension_id, read_json(payload)))
            case _:
                raise WrongAnswer("returned something else than pairs of extension id and payload")
    return contributed


def _anything(value: Any) -> Any:
    if inspect.isawaitable(value):
        raise _wrong(value, "a session plugin")
    return value


def _nothing(value: Any) -> None:
    if value is not None and inspect.isawaitable(value):
        raise _wrong(value, "None")


def _wrong(value: object, wanted: str) -> WrongAnswer:
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        return WrongAnswer(f"returned an awaitable, which nobody waits for, not {wanted}")
    return WrongAnswer(f"returned {_kind(value)}, not {wanted}")


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


_DIRECTIVE_LIST: Final = _sequence_of(_DIRECTIVES, "directive")

ANSWERS: Final[dict[str, AnswerCheck]] = {
    "lash_create_session_plugin": _anything,
    "lash_register_providers": _sequence_of(ModelProvider, "ModelProvider"),
    "lash_register_effect_hosts": _sequence_of(EffectHost, "EffectHost"),
    "lash_register_process_engines": _sequence_of(ProcessEngine, "ProcessEngine"),
    "lash_register_commands": _nothing,
    "lash_register_usage_views": _sequence_of(UsageView, "UsageView"),
    "lash_register_model_prices": _sequence_of(ModelPrice, "ModelPrice"),
    "lash_contribute_extensions": _extensions,
    "lash_export_tools": _sequence_of(ToolProvider, "ToolProvider"),
    "lash_filter_tool_catalog": _names,
    "lash_capture_snapshot": _nothing,
    "lash_snapshot_revision": _revision,
    "lash_restore_snapshot": _nothing,
    "lash_session_ready": _nothing,
    "lash_protocol": _protocol,
    "lash_mutate_session_config": _exactly(SessionPolicy, chained=True),
    "lash_compact_context": _or_none(_exactly(ContextCompaction)),
    "lash_transform_turn_context": _exactly(PreparedContext, chained=True),
    "lash_contribute_prompt": _sequence_of(PromptContribution, "PromptContribution"),
    "lash_before_turn": _DIRECTIVE_LIST,
    "lash_checkpoint": _DIRECTIVE_LIST,
    "lash_after_turn": _DIRECTIVE_LIST,
    "lash_before_tool_call": _DIRECTIVE_LIST,
    "lash_after_tool_call": _DIRECTIVE_LIST,
    "lash_project_tool_result": _or_none(_sequence_of(_PARTS, "part")),
    "lash_transform_stream": _exactly(StreamChunk, chained=True),
    "lash_transform_response": _exactly(ResponseTransform, chained=True),
    "lash_stream_finished": _nothing,
    "lash_on_event": _nothing,
    "lash_register_operations": _sequence_of(PluginOperation, "PluginOperation"),
    "lash_code_executor": _code_executor,
}
"""What each hook may answer."""
