"""The base of every stored or plugin-facing value: frozen, closed, pydantic."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue

__all__ = ["JsonObject", "JsonValue", "Value"]

JsonObject = dict[str, JsonValue]


class Value(BaseModel):
    """A frozen value. Unknown fields are refused, so a typo is an error and not a silent loss.

    In JSON, bytes are base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")
