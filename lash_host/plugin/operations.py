"""Calling the operations that a session's plugins bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from lash_host.domain.directive import Owned
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import (
    InvalidOperationArguments,
    PluginHookError,
    SingletonConflict,
    UnknownOperation,
    UsageFault,
)
from lash_host.hookspecs.operation import OperationContext, PluginOperation
from lash_host.plugin.answers import WrongAnswer, read_json
from lash_host.plugin.findings import describe_exception

__all__ = ["by_name", "invoke"]

_REGISTER = "lash_register_operations"


def by_name(operations: Iterable[Owned[PluginOperation]]) -> dict[str, Owned[PluginOperation]]:
    """Index operations by name.

    Raises:
        SingletonConflict: Two have one name; names both plugins.
    """
    found: dict[str, Owned[PluginOperation]] = {}
    for owned in operations:
        name = owned.value.name
        if name in found:
            raise SingletonConflict(
                _REGISTER,
                plugin_id=owned.plugin_id,
                existing_plugin_id=found[name].plugin_id,
                what=f"plugin operation name {name!r}",
            )
        found[name] = owned
    return found


async def invoke(
    operations: Mapping[str, Owned[PluginOperation]],
    name: str,
    arguments: JsonObject,
    *,
    kind: Literal["query", "command", "task"],
    context: OperationContext,
) -> Owned[JsonValue]:
    """Call an operation.

    Raises:
        UnknownOperation: There is none of this name and kind.
        InvalidOperationArguments: The arguments do not fit its schema.
        UsageFault: The operation itself refused what it was asked.
        PluginHookError: It failed, or gave something that is not JSON.
    """
    owned = operations.get(name)
    if owned is None or owned.value.kind != kind:
        known = tuple(sorted(key for key, found in operations.items() if found.value.kind == kind))
        raise UnknownOperation(name, kind=kind, known=known)
    _check_arguments(owned, arguments)
    try:
        return Owned(owned.plugin_id, read_json(await owned.value.run(arguments, context)))
    except UsageFault:
        raise
    except WrongAnswer as exc:
        raise _failed(owned, str(exc)) from exc
    except (Exception, SystemExit) as exc:
        raise _failed(owned, describe_exception(exc)) from exc


def _check_arguments(owned: Owned[PluginOperation], arguments: JsonObject) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    name, schema = owned.value.name, owned.value.input_schema
    properties = schema.get("properties")
    if isinstance(properties, dict) and "additionalProperties" not in schema:
        unknown = [key for key in arguments if key not in properties]
        if unknown:
            raise InvalidOperationArguments(name, problem=f"unknown: {', '.join(unknown)}")
    try:
        Draft202012Validator.check_schema(schema)
        errors = sorted(Draft202012Validator(schema).iter_errors(arguments), key=lambda error: error.json_path)
    except SchemaError as exc:
        raise _failed(owned, f"its input schema is not a JSON Schema: {exc.message}") from exc
    if errors:
        problem = "; ".join(f"{error.json_path.removeprefix('$.')}: {error.message}" for error in errors)
        raise InvalidOperationArguments(name, problem=problem)


def _failed(owned: Owned[PluginOperation], problem: str) -> PluginHookError:
    return PluginHookError(plugin_id=owned.plugin_id, hook=f"operation {owned.value.name!r}", problem=problem)
