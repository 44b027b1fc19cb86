"""The schemas that are made of Python signatures."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from lash_host.contracts.tool import ToolCallContext
from lash_host.domain.tool import ToolOutput
from lash_host.plugin.tool_decorator import tool, tool_provider

if TYPE_CHECKING:
    from decimal import Decimal


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    """A place."""

    x: int
    y: int = 0


@dataclass
class Box:
    width: int
    label: str = ""


INTEGER = {"type": "integer", "minimum": 1, "description": "So many."}


def schema_of(function, *, output: bool = False) -> Any:
    provider = tool_provider("p", function)
    contract = provider.contract(provider.manifests()[0].tool_id)
    return contract.output_schema if output else contract.input_schema


def properties_of(function) -> dict[str, Any]:
    return schema_of(function)["properties"]


def test_types_and_defaults_become_a_closed_schema():
    def search(query: str, limit: int = 10, *, exact: bool = False, near: float | None = None): ...

    assert schema_of(search) == {
        "type": "object",
        "additionalProperties": False,
        "required": ["query"],
        "properties": {
            "query": {"type": "string"},
            "limit": {"type": "integer", "default": 10},
            "exact": {"type": "boolean", "default": False},
            "near": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        },
    }


def test_a_tool_without_parameters_takes_nothing():
    def now(): ...

    assert schema_of(now) == {"type": "object", "additionalProperties": False, "properties": {}}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Path, {"type": "string", "format": "path"}),
        (dt.date, {"type": "string", "format": "date"}),
        (Annotated[int, Field(ge=1, description="So many.")], INTEGER),
        (Colour, {"$ref": "#/$defs/Colour"}),
        (Point, {"$ref": "#/$defs/Point"}),
        (Box, {"$ref": "#/$defs/Box"}),
        (Any, {}),
    ],
)
def test_anything_pydantic_reads_may_be_a_type(annotation, expected):
    def take(value): ...

    take.__annotations__ = {"value": annotation}
    assert properties_of(take) == {"value": expected}


def test_models_bring_their_definitions():
    def move(to: Point): ...

    definition = schema_of(move)["$defs"]["Point"]
    assert definition["properties"] == {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}}
    assert definition["description"] == "A place."


def test_an_annotation_is_optional():
    def take(value, other=3): ...

    assert properties_of(take) == {"value": {}, "other": {"default": 3}}


def test_descriptions_come_from_the_docstring_unless_the_type_has_one():
    def take(text: str, size: Annotated[int, Field(description="Own.")], to: Point):
        """Take it.

        Args:
            text: The text.
            size: Not this.
            to: Where to.
            unknown: Nobody.
        """

    found = properties_of(take)
    assert {name: found[name].get("description") for name in found} == {
        "text": "The text.",
        "size": "Own.",
        "to": "Where to.",
    }


def test_a_default_may_be_a_pydantic_field():
    def take(size: int = Field(default=3, ge=1, description="How many.")): ...

    assert properties_of(take) == {"size": {"type": "integer", "default": 3, "minimum": 1, "description": "How many."}}


def test_a_default_that_json_has_no_word_for_is_left_out():
    def take(where: Any = object()): ...  # noqa: B008

    assert properties_of(take) == {"where": {}}
    assert "required" not in schema_of(take)


def test_names_that_pydantic_keeps_for_itself_are_fine():
    def take(schema: str, json: str, copy: str, model_config: str, _hidden: str, model_x: int): ...

    assert [*properties_of(take)] == ["schema", "json", "copy", "model_config", "_hidden", "model_x"]


def test_the_context_is_not_shown():
    def annotated(text: str, call: ToolCallContext): ...

    def quoted(text: str, context: "ToolCallContext"): ...  # noqa: UP037

    def bare(text, context): ...

    def other(context: str): ...

    for function in (annotated, quoted, bare):
        assert [*properties_of(function)] == ["text"]
    assert [*properties_of(other)] == ["context"]


def test_types_may_be_local():
    class Size(enum.Enum):
        BIG = "big"

    class Plugin:
        class Mood(enum.Enum):
            GOOD = "good"

        @tool
        def feel(self, size: Size, mood: Mood) -> Size: ...

    schema = schema_of(Plugin().feel)
    assert {*schema["$defs"]} == {"Size", "Mood"}


def test_a_type_that_is_not_there_at_run_time_is_named():
    def take(amount: Decimal): ...

    with pytest.raises(TypeError, match="tool 'take': the type 'Decimal' of parameter 'amount' cannot be read"):
        schema_of(take)


def test_a_type_that_has_no_schema_is_named():
    def take(where: object): ...

    class Strange: ...

    take.__annotations__ = {"where": Strange}
    with pytest.raises(TypeError, match="tool 'take': "):
        schema_of(take)


@pytest.mark.parametrize("variadic", ["*values", "**options"])
def test_parameters_must_be_named(variadic):
    scope: dict[str, Any] = {}
    exec(f"def take({variadic}): ...", scope)  # noqa: S102
    with pytest.raises(TypeError, match="cannot be described to a model; name each one"):
        schema_of(scope["take"])


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, {"type": "string"}),
        (None, {"type": "null"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Any, None),
        (ToolOutput, None),
        ("Decimal", None),
        (object(), None),
    ],
)
def test_the_result_promises_what_its_annotation_says(annotation, expected):
    def give(): ...

    give.__annotations__ = {"return": annotation}
    assert schema_of(give, output=True) == expected


def test_a_result_without_annotation_promises_nothing():
    def give(): ...

    assert schema_of(give, output=True) is None
