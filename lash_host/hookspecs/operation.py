"""The hook of operations: queries, commands and tasks that a host application can call on a plugin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lash_host.domain.session import SessionReadView
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.markers import hookspec

__all__ = ["OperationContext", "PluginOperation", "lash_register_operations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationContext:
    """What an operation is called with besides its arguments.

    Attributes:
        session_id: The session; None where the operation needs none.
        state: The session as it was last committed.
    """

    session_id: str | None
    state: SessionReadView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginOperation:
    """Something a host application can call.

    Attributes:
        name: Unique over all plugins and kinds of a session.
        kind: A query only reads; a command changes; a task may take long.
        description: What it does, in a sentence.
        input_schema: JSON Schema of its arguments.
        output_schema: JSON Schema of its result; None promises nothing.
        run: Does it.
    """

    name: str
    kind: Literal["query", "command", "task"]
    description: str
    input_schema: JsonObject
    run: Callable[[JsonObject, OperationContext], Awaitable[JsonValue]]
    output_schema: JsonObject | None = None


@hookspec
def lash_register_operations() -> Sequence[PluginOperation]:
    """Bring operations.

    Called once when a session opens.

    Returns:
        Operations. Two of one name are an error that names both plugins.

    Raises:
        Anything: The session is not opened; the error names the plugin.
    """
    raise AssertionError
