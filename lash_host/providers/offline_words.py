"""The words offline/agent knows: what stands for which tool, and how a prompt is cut into pieces."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lash_host.domain.tool import ToolSpec
from lash_host.domain.value import JsonObject

__all__ = [
    "PLACE_VERBS",
    "SEARCH_VERBS",
    "SHELL_VERBS",
    "Vocabulary",
    "blank",
    "json_objects",
    "name_words",
    "quoted",
    "stem",
    "word_set",
    "words",
]


def word_set(text: str) -> frozenset[str]:
    """Give the words of a list that is written as one text."""
    return frozenset(text.split())


_SYNONYMS: tuple[tuple[str, ...], ...] = (
    (
        "read", "show", "open", "cat", "view", "print", "display", "summarize", "summarise", "explain", "what is in",
        "what's in", "what does",
    ),
    ("list", "ls", "what files", "which files"),
    ("search", "find", "grep", "look for"),
    ("write", "save", "create"),
    ("delete", "remove", "rm"),
)  # fmt: skip
_GETTERS = frozenset({"get", "fetch", "check", "lookup", "query"})
_NO_VERBS = word_set(
    "a all an any ask call calls do for get give gets gives if make one query return returns run set tell the this "
    "to tool use uses"
)

SEARCH_VERBS = frozenset(_SYNONYMS[2])
"""Verbs after which ``for`` leads to what is looked for."""

PLACE_VERBS = frozenset((*_SYNONYMS[1], *_SYNONYMS[2]))
"""Verbs after which a bare word behind ``in`` is a folder."""

SHELL_VERBS = frozenset({"cat", "ls", "rm", "grep"})
"""Verbs whose next word is their argument, as in a shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What in a prompt stands for one tool.

    Attributes:
        verbs: Count where an order begins: at the start, after a comma, after "then", "and", "please", "can you".
        names: Count anywhere.
        nouns: The words of the tool's name that are no verbs: "file" of ``read_file``.
    """

    verbs: frozenset[str]
    names: frozenset[str]
    nouns: frozenset[str]

    @classmethod
    def of(cls, tool: ToolSpec) -> Vocabulary:
        """Take the words of the tool's name, their synonyms, and the first word of its description."""
        in_name = name_words(tool.name)
        groups = [group for group in _SYNONYMS if any(word in group for word in in_name)]
        verbs = {word for group in groups for word in group} or {in_name[0]}
        described = words(tool.description)[:1]
        verbs |= {_bare_verb(word) for word in described if word not in _NO_VERBS}
        names: set[str] = set()
        if len(in_name) == 1 and not groups:
            names.add(in_name[0])
        if len(in_name) > 1 and in_name[0] in _GETTERS:
            names.add(" ".join(in_name[1:]))
        nouns = frozenset(stem(word) for word in in_name[0 if groups else 1 :] if word not in verbs)
        return cls(verbs=frozenset(verbs), names=frozenset(names), nouns=nouns)


def name_words(name: str) -> list[str]:
    """Cut a tool's name into lower-case words, at underscores, hyphens and capitals."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[_-]+", " ", spaced).lower().split() or [name.lower()]


def words(text: str) -> list[str]:
    """Give the words of a text in lower case."""
    return re.findall(r"[a-z][a-z0-9']*", text.lower())


_PLURAL_CHARS = 4


def stem(word: str) -> str:
    """Drop a plural's ending."""
    return word[:-1] if len(word) >= _PLURAL_CHARS and word.endswith("s") and not word.endswith("ss") else word


def _bare_verb(word: str) -> str:
    return word[:-2] if word.endswith(("ches", "shes")) else stem(word)


_QUOTED = re.compile(r"\"([^\"\n]*)\"|“([^”\n]*)”|`([^`\n]+)`|(?<!\w)'([^'\n]+)'(?!\w)")


def quoted(text: str) -> Iterator[tuple[int, int, str]]:
    """Give start, end and content of each quoted string."""
    for match in _QUOTED.finditer(text):
        yield match.start(), match.end(), next(group for group in match.groups() if group is not None)


_TRIED_BRACES = 64


def json_objects(text: str) -> Iterator[tuple[int, int, JsonObject]]:
    """Give start, end and value of each JSON object; braces that begin none are passed over."""
    decoder = json.JSONDecoder()
    start, tried = text.find("{"), 0
    while start >= 0 and tried < _TRIED_BRACES:
        tried += 1
        end = start + 1
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield start, end, value
        start = text.find("{", end)


def blank(text: str, spans: Iterable[tuple[int, int]], *, fill: str = " ") -> str:
    """Overwrite parts of a text, so that every other part stays where it is."""
    for start, end in spans:
        text = f"{text[:start]}{fill * (end - start)}{text[end:]}"
    return text
