"""The base of every stored or plugin-facing value: frozen, closed, pydantic."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue

__all__ = ["JsonObject", "JsonValue", "Value"]

JsonObject = dict[str, JsonValue]


class Value(BaseModel):
    """A frozen value. Unknown fields are refused, so a typo is an error and not a silent loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")
