"""Directives: what hooks around turns and tool calls may ask for, where each is legal, and how they add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from lash_host.domain.message import Part, Role, TextPart
from lash_host.domain.tool import ToolOutput
from lash_host.domain.value import JsonObject, JsonValue, Value

__all__ = [
    "AbortTurn",
    "Directive",
    "DirectiveFold",
    "DirectivePoint",
    "EmitEvents",
    "EnqueueMessages",
    "IllegalDirective",
    "Owned",
    "PluginMessage",
    "ReplaceToolArguments",
    "ShortCircuitTool",
    "fold_directives",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owned(Generic[T]):
    """A value with the plugin it came from."""

    plugin_id: str
    value: T


class PluginMessage(Value):
    """A message a plugin puts into a turn. A transient one is shown to the model and never stored."""

    role: Role
    parts: tuple[Part, ...]
    transient: bool = False

    @classmethod
    def text(cls, text: str, *, role: Role = Role.USER, transient: bool = False) -> PluginMessage:
        """Make a message of text alone."""
        return cls(role=role, parts=(TextPart(text=text),), transient=transient)


class AbortTurn(Value):
    """Before a turn: it ends as `plugin_abort`. At a checkpoint: it fails. Around a tool call: that call fails."""

    kind: Literal["abort_turn"] = "abort_turn"
    code: str = Field(min_length=1)
    message: str


class EnqueueMessages(Value):
    """Put messages into the turn; around a tool call, at its next checkpoint."""

    kind: Literal["enqueue_messages"] = "enqueue_messages"
    messages: tuple[PluginMessage, ...]


class ReplaceToolArguments(Value):
    """Call the tool with other arguments. Every hook sees the original ones; the last replacement counts."""

    kind: Literal["replace_tool_args"] = "replace_tool_args"
    arguments: JsonObject


class ShortCircuitTool(Value):
    """Use this output. Before a call, the tool is not run; after it, its output is replaced."""

    kind: Literal["short_circuit_tool"] = "short_circuit_tool"
    output: ToolOutput


class EmitEvents(Value):
    """Tell whoever watches the turn. Events are streamed, never stored."""

    kind: Literal["emit_runtime_events"] = "emit_runtime_events"
    events: tuple[JsonValue, ...]


Directive = Annotated[
    AbortTurn | EnqueueMessages | ReplaceToolArguments | ShortCircuitTool | EmitEvents, Field(discriminator="kind")
]


class DirectivePoint(StrEnum):
    """The hooks that answer with directives."""

    BEFORE_TURN = "lash_before_turn"
    CHECKPOINT = "lash_checkpoint"
    AFTER_TURN = "lash_after_turn"
    BEFORE_TOOL_CALL = "lash_before_tool_call"
    AFTER_TOOL_CALL = "lash_after_tool_call"


_LEGAL: dict[DirectivePoint, tuple[type[Value], ...]] = {
    DirectivePoint.BEFORE_TURN: (AbortTurn, EnqueueMessages, EmitEvents),
    DirectivePoint.CHECKPOINT: (AbortTurn, EnqueueMessages, EmitEvents),
    DirectivePoint.AFTER_TURN: (EnqueueMessages, EmitEvents),
    DirectivePoint.BEFORE_TOOL_CALL: (AbortTurn, ReplaceToolArguments, ShortCircuitTool, EmitEvents),
    DirectivePoint.AFTER_TOOL_CALL: (AbortTurn, EnqueueMessages, ShortCircuitTool, EmitEvents),
}

_SPOKEN_ROLES = {
    DirectivePoint.BEFORE_TURN: frozenset({Role.USER, Role.SYSTEM}),
    DirectivePoint.AFTER_TURN: frozenset({Role.USER, Role.SYSTEM}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectiveFold:
    """What the directives of one hook point add up to.

    Attributes:
        abort: The abort that counts: the last one.
        messages: What to put into the turn, in order.
        arguments: The arguments to call the tool with; None leaves them.
        output: The output to use instead of the tool's; None leaves it.
        events: What to tell whoever watches.
    """

    abort: Owned[AbortTurn] | None = None
    messages: tuple[Owned[PluginMessage], ...] = ()
    arguments: JsonObject | None = None
    output: Owned[ToolOutput] | None = None
    events: tuple[Owned[JsonValue], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IllegalDirective:
    """A directive that the hook does not allow."""

    plugin_id: str
    directive: str
    allowed: tuple[str, ...]


def fold_directives(point: DirectivePoint, directives: Iterable[Owned[Directive]]) -> DirectiveFold | IllegalDirective:
    """Add up directives in plugin order. An abort does not stop the others from being counted.

    Before and after a turn only messages of roles user and system are taken, others are dropped. A failing output
    set by one plugin is not undone by another's success: a denial stands.
    """
    legal = _LEGAL[point]
    roles = _SPOKEN_ROLES.get(point)
    abort: Owned[AbortTurn] | None = None
    messages: list[Owned[PluginMessage]] = []
    arguments: JsonObject | None = None
    output: Owned[ToolOutput] | None = None
    events: list[Owned[JsonValue]] = []
    for owned in directives:
        plugin_id, directive = owned.plugin_id, owned.value
        if not isinstance(directive, legal):
            allowed = tuple(str(kind.model_fields["kind"].default) for kind in legal)
            return IllegalDirective(plugin_id=plugin_id, directive=directive.kind, allowed=allowed)
        match directive:
            case AbortTurn():
                abort = Owned(plugin_id, directive)
            case EnqueueMessages():
                taken = (m for m in directive.messages if roles is None or m.role in roles)
                messages.extend(Owned(plugin_id, message) for message in taken)
            case ReplaceToolArguments():
                arguments = directive.arguments
            case ShortCircuitTool():
                if output is None or output.value.is_success:
                    output = Owned(plugin_id, directive.output)
            case EmitEvents():
                events.extend(Owned(plugin_id, event) for event in directive.events)
    return DirectiveFold(
        abort=abort, messages=tuple(messages), arguments=arguments, output=output, events=tuple(events)
    )
