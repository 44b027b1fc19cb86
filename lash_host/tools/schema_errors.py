"""The words for what is wrong with tool arguments: short, by path, saying what was expected and what came."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["first_problem"]

_ROOT = "arguments"
_SHOWN_CHARACTERS = 80
_BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
}
_LENGTHS = {"minLength": ">= {}", "maxLength": "<= {}"}
_COUNTS = {"minItems": ">= {}", "maxItems": "<= {}"}
_SIZES = {"minProperties": ">= {}", "maxProperties": "<= {}"}

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Problem:
    """`is_certain` is False of a property that may be unexpected only because something else is wrong."""

    path: _Path
    text: str
    is_certain: bool = True

    def __str__(self) -> str:
        return f"{_path_text(self.path)}: {self.text}"

    @property
    def rank(self) -> tuple[bool, list[tuple[bool, int, str]]]:
        steps = [(isinstance(step, str), step if isinstance(step, int) else 0, str(step)) for step in self.path]
        return not self.is_certain, steps


def first_problem(errors: Iterable[ValidationError]) -> str | None:
    """Give the first error by path as ``path: problem``, or None where there is none."""
    problems = [_problem(error) for error in errors]
    return str(min(problems, key=lambda problem: problem.rank)) if problems else None


def _problem(error: ValidationError) -> _Problem:
    path: _Path = tuple(error.absolute_path)
    value, instance = error.validator_value, error.instance
    match error.validator:
        case "required":
            missing = next(name for name in value if name not in instance)
            return _Problem((*path, missing), "required property missing")
        case "additionalProperties" if value is False:
            return _Problem((*path, _not_listed(error)), "unexpected property")
        case "unevaluatedProperties" if value is False:
            named = next((name for name in sorted(instance) if repr(name) in error.message), "")
            return _Problem((*path, named), "unexpected property", is_certain=False)
        case None:
            return _Problem(path, "nothing is allowed here")
        case "anyOf" | "oneOf":
            return _union_problem(path, error)
        case "minItems" | "maxItems":
            return _Problem(path, f"expected {_expected(error.schema)}, got {_counted(len(instance), 'item')}")
        case "minLength" | "maxLength":
            return _Problem(path, f"expected {_expected(error.schema)}, got {_counted(len(instance), 'character')}")
        case "minProperties" | "maxProperties":
            return _Problem(path, f"expected {_expected(error.schema)}, got {_counted(len(instance), 'property')}")
        case "type" | "enum" | "const" | "pattern" | "multipleOf" | "minimum" | "maximum":
            return _Problem(path, f"expected {_expected(error.schema)}, got {_shown(instance)}")
        case "exclusiveMinimum" | "exclusiveMaximum":
            return _Problem(path, f"expected {_expected(error.schema)}, got {_shown(instance)}")
        case _:
            return _Problem(path, _cut(error.message))


def _union_problem(path: _Path, error: ValidationError) -> _Problem:
    """Tell what is wrong with the alternative that was probably meant.

    Where no alternative takes a value of this type at all, all of them are named.
    """
    branches: dict[Any, list[ValidationError]] = defaultdict(list)
    for problem in error.context or ():
        branches[problem.relative_schema_path[0]].append(problem)
    meant = [problems for problems in branches.values() if not any(map(_is_other_kind, problems))]
    if not branches:
        return _Problem(path, f"fits more than one of {len(error.validator_value)} alternatives, expected exactly one")
    if not meant:
        refusals = (next(filter(_is_other_kind, problems)) for problems in branches.values())
        kinds = dict.fromkeys(_expected(refusal.schema) for refusal in refusals if refusal.validator is not None)
        return _Problem(path, f"expected {' or '.join(kinds) or 'nothing'}, got {_shown(error.instance)}")
    closest = min(meant, key=lambda problems: (any(map(_is_other_tag, problems)), len(problems)))
    return min(map(_problem, closest), key=lambda problem: problem.rank)


def _is_other_kind(error: ValidationError) -> bool:
    return not error.relative_path and error.validator in ("type", "enum", "const", None)


def _is_other_tag(error: ValidationError) -> bool:
    return error.validator in ("enum", "const")


def _not_listed(error: ValidationError) -> str:
    properties = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    names: Iterable[str] = error.instance
    return next(name for name in names if name not in properties and not any(re.search(p, name) for p in patterns))


def _expected(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return _shown(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(map(_shown, schema["enum"]))
    kinds = schema.get("type", ())
    kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
    limits = [
        *_limits(schema, _BOUNDS),
        *_of("characters", _limits(schema, _LENGTHS)),
        *_of("items", _limits(schema, _COUNTS)),
        *_of("properties", _limits(schema, _SIZES)),
    ]
    if "pattern" in schema:
        limits.append(f"matching {_shown(schema['pattern'])}")
    return " ".join((kind, *limits)).strip() or "another value"


def _limits(schema: Mapping[str, Any], words: Mapping[str, str]) -> list[str]:
    return [text.format(schema[key]) for key, text in words.items() if key in schema]


def _of(things: str, limits: list[str]) -> list[str]:
    return [f"of {' '.join(limits)} {things}"] if limits else []


def _counted(count: int, thing: str) -> str:
    if count == 1:
        return f"1 {thing}"
    return f"{count} properties" if thing == "property" else f"{count} {thing}s"


def _shown(value: object) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _path_text(path: _Path) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text or _ROOT
