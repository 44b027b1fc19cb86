"""What a Python function's signature says to a model: the JSON Schemas of its arguments and of its result."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticOmit

from lash_host.contracts.tool import ToolCallContext
from lash_host.domain.tool import ToolContract, ToolOutput
from lash_host.domain.value import JsonObject
from lash_host.plugin.docstrings import parameter_descriptions, summary

__all__ = ["ToolSignature", "describe_validation_error", "read_signature"]

_CONTEXT_ANNOTATION = re.compile(r"(\w+\.)*ToolCallContext")
_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class _ToolJsonSchema(GenerateJsonSchema):
    """Leaves out generated titles, which only cost the model tokens, and defaults that JSON has no word for."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSignature:
    """How to call a function with a model's arguments.

    Attributes:
        description: The first paragraph of its docstring.
        contract: The schemas of its arguments and of its result.
        arguments: Validates and converts arguments; field ``p0`` is the first parameter, and so on.
        parameters: The parameters a model fills, in order.
        context_parameter: The parameter that is given the `ToolCallContext`, if any.
        is_async: Whether calling it gives a coroutine.
    """

    description: str
    contract: ToolContract
    arguments: type[BaseModel]
    parameters: tuple[inspect.Parameter, ...]
    context_parameter: inspect.Parameter | None
    is_async: bool

    def bind(self, arguments: JsonObject, context: ToolCallContext) -> tuple[list[Any], dict[str, Any]]:
        """Convert a model's arguments to what the function is called with.

        Parameters that the model left out are left to the function's own defaults.

        Raises:
            ValidationError: They do not fit.
        """
        values = self.arguments.model_validate(arguments)
        given: dict[str, Any] = {} if self.context_parameter is None else {self.context_parameter.name: context}
        for index, parameter in enumerate(self.parameters):
            field = f"p{index}"
            if field in values.model_fields_set or isinstance(parameter.default, FieldInfo):
                given[parameter.name] = getattr(values, field)
        ordered = [*self.parameters, *([self.context_parameter] if self.context_parameter else [])]
        positional = [p.name for p in ordered if p.kind is _POSITIONAL_ONLY and p.name in given]
        return [given.pop(name) for name in positional], given


def read_signature(
    function: Callable[..., Any], *, tool_name: str, namespace: Mapping[str, Any], is_method: bool
) -> ToolSignature:
    """Read a function's signature, type hints and docstring.

    Args:
        function: The function; of a method, the plain function.
        tool_name: How errors name it.
        namespace: Names its annotations may use besides the globals of its module.
        is_method: Whether its first parameter is the object it is called on.

    Raises:
        TypeError: Something in it cannot be told to a model; the message says what.
    """
    declared = [*inspect.signature(function).parameters.values()]
    parameters: list[inspect.Parameter] = []
    context_parameter: inspect.Parameter | None = None
    for parameter in declared[1:] if is_method else declared:
        if parameter.kind in _VARIADIC:
            raise TypeError(f"tool {tool_name!r}: parameter {parameter} cannot be described to a model; name each one")
        if _is_context(parameter):
            context_parameter = parameter
        else:
            parameters.append(parameter)
    annotations = {p.name: _resolve(p, function, namespace, tool_name=tool_name) for p in parameters}
    model = _arguments_model(parameters, annotations, tool_name=tool_name)
    docstring = function.__doc__
    return ToolSignature(
        description=summary(docstring),
        contract=ToolContract(
            input_schema=_input_schema(model, parameter_descriptions(docstring), tool_name=tool_name),
            output_schema=_output_schema(function, namespace),
        ),
        arguments=model,
        parameters=tuple(parameters),
        context_parameter=context_parameter,
        is_async=inspect.iscoroutinefunction(function),
    )


def describe_validation_error(error: ValidationError) -> str:
    """Say in one line what does not fit, each problem with its place."""
    problems = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(step) for step in problem["loc"])
        problems.append(f"{place}: {problem['msg']}" if place else problem["msg"])
    return "; ".join(problems)


def _is_context(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    if isinstance(annotation, str):
        return _CONTEXT_ANNOTATION.fullmatch(annotation.strip("'\" ")) is not None
    return annotation is ToolCallContext or (annotation is parameter.empty and parameter.name == "context")


def _resolve(
    parameter: inspect.Parameter, function: Callable[..., Any], namespace: Mapping[str, Any], *, tool_name: str
) -> Any:
    if parameter.annotation is parameter.empty:
        return Any
    try:
        return _evaluate(parameter.annotation, function, namespace)
    except Exception as exc:
        problem = f"{type(exc).__name__}: {exc}"
        raise TypeError(
            f"tool {tool_name!r}: the type {parameter.annotation!r} of parameter {parameter.name!r} cannot be read "
            f"({problem}); is it imported only for type checking?"
        ) from exc


def _evaluate(annotation: Any, function: Callable[..., Any], namespace: Mapping[str, Any]) -> Any:
    module_names = getattr(inspect.unwrap(function), "__globals__", {})
    holder = SimpleNamespace(__annotations__={"value": annotation})
    return get_type_hints(holder, module_names, dict(namespace), include_extras=True)["value"]


def _arguments_model(
    parameters: list[inspect.Parameter], annotations: Mapping[str, Any], *, tool_name: str
) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for index, parameter in enumerate(parameters):
        annotation, default = annotations[parameter.name], parameter.default
        if isinstance(default, FieldInfo):
            annotation, default = Annotated[annotation, default], parameter.empty
        alias = Field(alias=parameter.name) if default is parameter.empty else Field(default, alias=parameter.name)
        fields[f"p{index}"] = (annotation, alias)
    try:
        return create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticUserError as exc:
        raise TypeError(f"tool {tool_name!r}: {str(exc).splitlines()[0]}") from exc


def _input_schema(model: type[BaseModel], descriptions: Mapping[str, str], *, tool_name: str) -> JsonObject:
    try:
        schema: JsonObject = model.model_json_schema(schema_generator=_ToolJsonSchema)
    except PydanticUserError as exc:
        raise TypeError(f"tool {tool_name!r}: {str(exc).splitlines()[0]}") from exc
    schema.pop("title", None)
    properties = schema.setdefault("properties", {})
    assert isinstance(properties, dict)  # noqa: S101 - pydantic wrote it
    for name, description in descriptions.items():
        told = properties.get(name)
        if isinstance(told, dict):
            told.setdefault("description", description)
    return schema


def _output_schema(function: Callable[..., Any], namespace: Mapping[str, Any]) -> JsonObject | None:
    """Give the schema of the result; None, which promises nothing, where the annotation does not say it."""
    annotation = inspect.signature(function).return_annotation
    if annotation is inspect.Signature.empty:
        return None
    try:
        returned = _evaluate(annotation, function, namespace)
        if returned in (Any, ToolOutput):
            return None
        schema: JsonObject = TypeAdapter(returned).json_schema(mode="serialization", schema_generator=_ToolJsonSchema)
    except (NameError, AttributeError, TypeError, PydanticUserError, PydanticOmit):
        return None
    schema.pop("title", None)
    return schema
