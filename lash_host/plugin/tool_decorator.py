"""``@tool``: makes a tool of a function or of a method."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import FrameType, MethodType
from typing import Any, Final, Literal, TypeVar, overload

from lash_host.domain.tool import ToolManifest, ToolRetryPolicy, ToolScheduling
from lash_host.domain.value import JsonObject
from lash_host.plugin.tool_function import FunctionTool, FunctionToolProvider
from lash_host.plugin.tool_signature import ToolSignature, read_signature

__all__ = ["ToolMark", "function_tool", "inherit_mark", "mark_of", "tool", "tool_provider"]

F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "__lash_tool__"
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(slots=True, kw_only=True)
class ToolMark:
    """What ``@tool`` leaves on a function: the options it was given, and the signature once it was read."""

    name: str
    description: str | None = None
    tool_id: str | None = None
    activation: Literal["always", "internal"] = "always"
    scheduling: ToolScheduling = ToolScheduling.PARALLEL
    retry_policy: ToolRetryPolicy = ToolRetryPolicy()
    bindings: JsonObject = field(default_factory=dict)
    namespace: Mapping[str, Any] = field(default_factory=dict)
    signature: ToolSignature | None = None


@overload
def tool(function: F) -> F: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    tool_id: str | None = None,
    activation: Literal["always", "internal"] = "always",
    scheduling: ToolScheduling | Literal["parallel", "serial"] = ToolScheduling.PARALLEL,
    retry_policy: ToolRetryPolicy | None = None,
    bindings: JsonObject | None = None,
) -> Callable[[F], F]: ...


def tool(
    function: F | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    tool_id: str | None = None,
    activation: Literal["always", "internal"] = "always",
    scheduling: ToolScheduling | Literal["parallel", "serial"] = ToolScheduling.PARALLEL,
    retry_policy: ToolRetryPolicy | None = None,
    bindings: JsonObject | None = None,
) -> F | Callable[[F], F]:
    """Make a tool of a function, or of a method of a `SessionPlugin`.

    The input schema comes from the signature: type hints (anything pydantic reads), defaults, and descriptions from
    the docstring's ``Args`` section. A parameter annotated `ToolCallContext` is given the context of the call and is
    not shown to the model. Arguments are converted to the annotated types before the call.

    What it returns becomes the result: a `ToolOutput` as it is, anything else as JSON. What it raises becomes a
    failure that the model is shown; `ToolFailedError` says which code, and whether to try again. A function without
    ``async`` runs on a thread: give it ``scheduling="serial"`` if two calls at once could collide.

    Args:
        function: The function, when used without parentheses.
        name: What the model calls it; the function's name by default.
        description: What the model is told of it; the docstring's first paragraph by default.
        tool_id: Its identity over releases; ``<plugin id>.<name>`` by default.
        activation: ``internal`` keeps it from models.
        scheduling: Whether calls of one batch may run together.
        retry_policy: Whether a failed call is tried again; never, by default.
        bindings: Data for the host application.

    Raises:
        TypeError: The function is a generator.
        ValueError: The name is not one a model can call: 1 to 64 letters, digits, ``_`` and ``-``.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - annotations may name what is local to where the function stands

    def mark(target: F) -> F:
        plain = target.__func__ if isinstance(target, staticmethod | classmethod | MethodType) else target
        tool_name = str(getattr(plain, "__name__", "")) if name is None else name
        if not _TOOL_NAME.fullmatch(tool_name):
            raise ValueError(f"a tool cannot be called {tool_name!r}: use 1 to 64 letters, digits, '_' and '-'")
        if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
            raise TypeError(f"tool {tool_name!r} is a generator; return the whole result")
        made = ToolMark(
            name=tool_name,
            description=description,
            tool_id=tool_id,
            activation=activation,
            scheduling=ToolScheduling(scheduling),
            retry_policy=retry_policy or ToolRetryPolicy(),
            bindings=bindings or {},
            namespace=_local_names(plain, frame),
        )
        setattr(plain, _MARK, made)
        return target

    return mark if function is None else mark(function)


def mark_of(function: object) -> ToolMark | None:
    """Give what ``@tool`` left on a function or method; None where it was not used."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, ToolMark) else None


def inherit_mark(function: Callable[..., Any], inherited: ToolMark) -> ToolMark:
    """Mark a method as what the method it overrides was marked as; its signature is its own."""
    mark = replace(inherited, signature=None)
    setattr(function, _MARK, mark)
    return mark


def function_tool(function: Callable[..., Any], *, plugin_id: str) -> FunctionTool:
    """Make a plugin's tool of a function or a bound method.

    Args:
        function: Marked with ``@tool`` or not. Its signature is read once, however many tools are made of it.
        plugin_id: The plugin; the default of ``tool_id`` starts with it.

    Raises:
        TypeError: Something in the signature cannot be told to a model.
    """
    mark = mark_of(function) or mark_of(tool(function))
    assert mark is not None  # noqa: S101 - it was just made
    if mark.signature is None:
        plain = function.__func__ if isinstance(function, MethodType) else function
        mark.signature = read_signature(
            plain, tool_name=mark.name, namespace=mark.namespace, is_method=plain is not function
        )
    manifest = ToolManifest(
        tool_id=mark.tool_id or f"{plugin_id}.{mark.name}",
        name=mark.name,
        description=mark.signature.description if mark.description is None else mark.description,
        activation=mark.activation,
        scheduling=mark.scheduling,
        retry_policy=mark.retry_policy,
        bindings=mark.bindings,
    )
    return FunctionTool(function, manifest=manifest, signature=mark.signature)


def tool_provider(plugin_id: str, *functions: Callable[..., Any]) -> FunctionToolProvider:
    """Make a source of tools of functions, to hand over in `lash_export_tools`.

    Args:
        plugin_id: The plugin they belong to.
        functions: Functions or bound methods, marked with ``@tool`` or not.

    Raises:
        TypeError: A signature cannot be told to a model.
        ValueError: Two of them have one name or one id.
    """
    return FunctionToolProvider([function_tool(function, plugin_id=plugin_id) for function in functions])


def _local_names(function: Callable[..., Any], frame: FrameType | None) -> dict[str, Any]:
    """Keep what the function's annotations name of the classes and functions it is defined in."""
    texts = [text for text in getattr(function, "__annotations__", {}).values() if isinstance(text, str)]
    wanted = {word for text in texts for word in re.findall(r"[A-Za-z_]\w*", text)}
    found: dict[str, Any] = {}
    for scope in _enclosing_scopes(function.__qualname__):
        if frame is None or frame.f_code.co_name != scope:
            break
        found = {**{word: frame.f_locals[word] for word in wanted if word in frame.f_locals}, **found}
        frame = frame.f_back
    return found


def _enclosing_scopes(qualified_name: str) -> Iterable[str]:
    return reversed([part for part in qualified_name.split(".")[:-1] if part != "<locals>"])
