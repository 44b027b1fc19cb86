"""Checking tool arguments against their JSON Schema, with errors that a model can act on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import ToolStateError
from lash_host.tools.closed_schema import closed_schema
from lash_host.tools.schema_errors import first_problem

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["ArgumentsValidator", "validate_arguments"]


class ArgumentsValidator:
    """Checks arguments against one schema, which is compiled once.

    Schemas are read as Draft 2020-12 with three differences, all of which the model's provider cannot make up for:
    properties that are not listed are refused unless the schema allows them (see `closed_schema`), 5.0 is no integer,
    and values are equal only if their types are. References outside the schema are never fetched.

    Raises:
        ToolStateError: It is not a JSON Schema.
    """

    def __init__(self, schema: JsonObject) -> None:
        from jsonschema import Draft202012Validator, SchemaError
        from referencing import Registry

        try:
            Draft202012Validator.check_schema(schema)
            self._validator = _validator_class()(closed_schema(schema), registry=Registry())
        except (SchemaError, RecursionError) as exc:
            raise ToolStateError(f"the input schema is not a JSON Schema: {_first_line(exc)}") from exc

    def problem(self, arguments: JsonObject) -> str | None:
        """Say what is wrong with arguments, as ``path: problem``, or None.

        The top is called ``arguments``; below it are paths such as ``a.b`` and ``a[0].c``. Of several problems the
        first by path is told.

        Raises:
            ToolStateError: The schema refers to something it does not hold, or never comes to an end.
        """
        from referencing.exceptions import Unresolvable

        try:
            return first_problem(self._validator.iter_errors(arguments))
        except (Unresolvable, RecursionError) as exc:
            raise ToolStateError(f"the input schema cannot be evaluated: {_first_line(exc)}") from exc


def validate_arguments(schema: JsonObject, arguments: JsonObject) -> str | None:
    """Say what is wrong with arguments, or None. See `ArgumentsValidator`, which keeps the compiled schema.

    Raises:
        ToolStateError: The schema is broken.
    """
    return ArgumentsValidator(schema).problem(arguments)


@cache
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def enum(_: object, values: list[JsonValue], instance: JsonValue, __: object) -> Iterable[ValidationError]:
        if not any(_equal(value, instance) for value in values):
            yield ValidationError("not one of the values")

    def const(_: object, value: JsonValue, instance: JsonValue, __: object) -> Iterable[ValidationError]:
        if not _equal(value, instance):
            yield ValidationError("not the value")

    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return extend(Draft202012Validator, {"enum": enum, "const": const}, type_checker=checker)


def _equal(one: JsonValue, other: JsonValue) -> bool:
    """Compare as JSON does, where 1, 1.0 and true are three values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    return one == other


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]
