"""Closing JSON Schemas: objects whose properties are listed take no others."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from lash_host.domain.value import JsonObject, JsonValue

__all__ = ["closed_schema"]

_MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties"})
_LISTS_OF_SCHEMAS = frozenset({"prefixItems"})
_SCHEMAS = frozenset({"items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"})
_BRANCHES = ("anyOf", "oneOf")
_LISTS_IN_PLACE = ("allOf", *_BRANCHES)
_MAPS_IN_PLACE = ("dependentSchemas",)
_IN_PLACE = ("then", "else")
_DEFINITIONS = frozenset({"$defs", "definitions"})
_CLOSING = ("additionalProperties", "unevaluatedProperties")
_COMPOSING = ("$ref", "$dynamicRef", *_LISTS_IN_PLACE, *_MAPS_IN_PLACE, *_IN_PLACE)


def closed_schema(schema: JsonObject) -> JsonObject:
    """Give a copy in which unknown properties are refused.

    An object is closed where `properties` is given and neither `additionalProperties` nor `unevaluatedProperties` is:
    at the top and at every depth. What describes one and the same object together (`allOf`, `$ref`, `then`, and
    `anyOf` beside properties) is closed once, as a whole, so that its parts do not refuse each other's properties;
    the alternatives of an `anyOf` or `oneOf` that stands alone are closed each for itself. Conditions (`if`, `not`,
    `contains`) stay as they are.

    `$schema` is left out: every schema is read as Draft 2020-12.
    """
    return _Closer(schema).closed(schema, whole=True)


class _Closer:
    def __init__(self, root: JsonObject) -> None:
        self._root = root

    def closed(self, schema: JsonObject, *, whole: bool) -> JsonObject:
        """Close a schema; ``whole`` says that nothing else describes the same object."""
        alone = whole and self._is_union(schema)
        copy = {key: self._member(key, value, alone=alone) for key, value in schema.items() if key != "$schema"}
        if whole and not alone and not any(key in schema for key in _CLOSING) and self._lists_properties(schema, ()):
            copy["unevaluatedProperties" if any(key in schema for key in _COMPOSING) else "additionalProperties"] = (
                False
            )
        return copy

    def _member(self, key: str, value: JsonValue, *, alone: bool) -> JsonValue:
        if key in _MAPS_OF_SCHEMAS:
            return self._map(value, whole=True)
        if key in _LISTS_OF_SCHEMAS:
            return self._list(value, whole=True)
        if key in _SCHEMAS:
            return self._schema(value, whole=True)
        if key in _LISTS_IN_PLACE:
            return self._list(value, whole=alone)
        if key in _DEFINITIONS or key in _MAPS_IN_PLACE:
            return self._map(value, whole=False)
        if key in _IN_PLACE:
            return self._schema(value, whole=False)
        return value

    def _schema(self, value: JsonValue, *, whole: bool) -> JsonValue:
        return self.closed(value, whole=whole) if isinstance(value, dict) else value

    def _list(self, value: JsonValue, *, whole: bool) -> JsonValue:
        return [self._schema(item, whole=whole) for item in value] if isinstance(value, list) else value

    def _map(self, value: JsonValue, *, whole: bool) -> JsonValue:
        if not isinstance(value, dict):
            return value
        return {key: self._schema(item, whole=whole) for key, item in value.items()}

    def _is_union(self, schema: JsonObject) -> bool:
        if not any(key in schema for key in _BRANCHES):
            return False
        others = [key for key in (*_COMPOSING, *_MAPS_OF_SCHEMAS) if key not in _BRANCHES]
        return not any(key in schema for key in others)

    def _lists_properties(self, schema: JsonValue, seen: tuple[str, ...]) -> bool:
        if not isinstance(schema, dict):
            return False
        if "properties" in schema:
            return True
        parts: list[JsonValue] = [schema.get(key) for key in _IN_PLACE]
        for key in (*_LISTS_IN_PLACE, *_MAPS_IN_PLACE):
            members = schema.get(key)
            parts.extend(members if isinstance(members, list) else ())
            parts.extend(members.values() if isinstance(members, dict) else ())
        if any(self._lists_properties(part, seen) for part in parts):
            return True
        ref = schema.get("$ref")
        if not isinstance(ref, str) or ref in seen:
            return False
        return self._lists_properties(self._resolved(ref), (*seen, ref))

    def _resolved(self, ref: str) -> JsonValue:
        """Follow a JSON pointer within the schema; whatever cannot be followed lists nothing."""
        if not ref.startswith("#"):
            return None
        found: JsonValue = self._root
        for step in ref[1:].split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found
