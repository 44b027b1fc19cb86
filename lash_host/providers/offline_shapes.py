"""The forms of arguments that offline/agent can tell apart in a text: paths, numbers, and what JSON Schema names."""

from __future__ import annotations

import re

from lash_host.domain.value import JsonObject, JsonValue
from lash_host.providers.offline_words import word_set

__all__ = ["NUMBER", "PATH", "clean_path", "converted", "is_path_like", "is_path_name", "schema_type"]

NUMBER = re.compile(r"(?<![\w./-])-?\d+(?:\.\d+)?(?![\w/]|\.\d)")
"""A number that stands by itself."""

PATH = re.compile(r"(?<![\w@:/.])(?:~|\.{1,2})?/?[\w@+-][\w@.+/-]*|(?<!\S)\.{1,2}/?(?=\s|$)")
"""A word that may be a path; `is_path_like` says whether it looks like one."""

_PATH_NAMES = word_set("path paths file files filename filepath file_path dir directory folder root target source")
_PLAIN_FILES = word_set("CHANGELOG CONTRIBUTING Dockerfile LICENSE Makefile NOTICE README")
_INTEGER = re.compile(r"-?\d{1,18}")
_DECIMAL = re.compile(r"-?\d{1,18}\.\d{1,18}")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def is_path_name(parameter: str) -> bool:
    """Say whether a parameter's name says that it is a path."""
    return parameter.lower() in _PATH_NAMES


def schema_type(schema: JsonObject) -> str:
    """Give the JSON type of a parameter, the first that is not null where there are several."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "string")
    if kind is None:
        for key in ("anyOf", "oneOf"):
            options = schema.get(key)
            for option in options if isinstance(options, list) else []:
                if isinstance(option, dict) and schema_type(option) != "null":
                    return schema_type(option)
    return kind if isinstance(kind, str) else "string"


def converted(raw: str, kind: str) -> JsonValue:
    """Read words as a JSON type; None where they are none of it."""
    match kind:
        case "integer":
            return int(raw) if _INTEGER.fullmatch(raw) else None
        case "number":
            if _INTEGER.fullmatch(raw):
                return int(raw)
            return float(raw) if _DECIMAL.fullmatch(raw) else None
        case "boolean":
            return _BOOLEANS.get(raw.lower())
        case "array":
            return [raw]
        case "string":
            return raw
        case _:
            return None


def clean_path(word: str) -> str:
    """Take the sentence's punctuation off a path."""
    return word if word in {".", ".."} else word.rstrip(".,;:!?")


def is_path_like(word: str) -> bool:
    """Say whether a word looks like a path: a slash, an extension, a leading dot, or a well-known file name."""
    if word in {".", ".."} or word in _PLAIN_FILES:
        return True
    if word.lower() in {"e.g", "i.e", "and/or"}:
        return False
    return "/" in word or re.search(r"[\w+-]\.[A-Za-z]\w{0,9}$|^\.[A-Za-z]\w+$", word) is not None
