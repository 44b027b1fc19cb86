"""How offline/agent finds a tool's arguments in a prompt: a JSON object, or words that fit the tool's JSON schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lash_host.domain.value import JsonObject, JsonValue
from lash_host.providers.offline_shapes import (
    NUMBER,
    PATH,
    clean_path,
    converted,
    is_path_like,
    is_path_name,
    schema_type,
)
from lash_host.providers.offline_words import (
    PLACE_VERBS,
    SEARCH_VERBS,
    SHELL_VERBS,
    Vocabulary,
    blank,
    json_objects,
    quoted,
    stem,
    word_set,
    words,
)

__all__ = ["Clause", "FoundArguments", "find_arguments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """The part of a prompt that asks for one tool.

    Attributes:
        trigger: The words that name the tool, in lower case.
        text: What follows them, up to the next order.
        is_explicit: Whether the tool was named as a tool, so that it is called even with arguments missing.
    """

    trigger: str
    text: str
    is_explicit: bool


@dataclass(slots=True, kw_only=True)
class FoundArguments:
    """Arguments found in a clause.

    Attributes:
        arguments: By parameter.
        more: The same call again for further paths: "read a.txt and b.txt".
        is_strong: Whether something fits by its form, and not merely by standing there.
        error: What is wrong with a JSON object that was meant as the arguments.
    """

    arguments: JsonObject = field(default_factory=dict)
    more: list[JsonObject] = field(default_factory=list)
    is_strong: bool = False
    error: str | None = None


def find_arguments(schema: JsonObject, clause: Clause, vocabulary: Vocabulary) -> FoundArguments:
    """Find what a tool needs in what was said.

    A JSON object is taken as it is. Otherwise each parameter, the required ones first, takes the words that its name
    introduces (``path=docs``, ``text "buy milk"``), else the next words of its form: a path, a number, a quoted
    string, one of its enumerated values; one required string may take the rest of the sentence.
    """
    for _, _, value in json_objects(clause.text):
        return FoundArguments(arguments=value, is_strong=True)
    if clause.is_explicit and re.match(r"\W*\{", clause.text):
        return FoundArguments(is_strong=True, error="the arguments are not a JSON object")
    return _Reader(schema, clause, vocabulary).read()


_EXPRESSION_NAMES = frozenset({"expression", "expr", "formula", "calculation"})
_WORD = r"[^\s,;\"']+"
_PLACE = re.compile(
    r"\b(?:in|under|inside|within|from|of)\s+(?:the\s+|my\s+)?(?:(?:folder|directory|file)\s+)?([\w@.+~/-]+)",
    re.IGNORECASE,
)
_GIVEN_WORD = re.compile(rf"(?:\b(?:with|on|for)|:)\s+({_WORD})", re.IGNORECASE)
_FOLDER = re.compile(r"([\w@.+~/-]+)\s+(?:folder|directory)\b", re.IGNORECASE)
_BEFORE_FOR = re.compile(r"^\s+(?:through\s+)?(?:the\s+)?([\w@.+~/-]+)\s+(?=for\b)", re.IGNORECASE)
_FIRST_WORD = re.compile(r"^\s*([\w@.+~/-]+)")
_NO_PLACE = word_set(
    "a all an and any case course detail each everything files for general here in it me order other particular short "
    "that the them there these this those total turn which words"
)
_SEARCHED = (
    re.compile(
        r"\bfor\s+(.+?)(?=\s+(?:in|under|inside|within|from)\s|\s+and\s+(?:then|tell|show|give|count|say)\b|[,;\n]|$)",
        re.IGNORECASE,
    ),
    re.compile(r"^\s+((?:\S+\s+){0,2}\S+?)(?=\s+(?:in|under|inside|within|from)\s)", re.IGNORECASE),
)
_INTRODUCED = re.compile(r"\b(?:for|that|with|containing|saying|about|in|of|at|to)\s+|:\s*", re.IGNORECASE)
_FILLERS = word_set("a an and for me my of please some text that the this to with word")
_JOINED = re.compile(r"\s*(?:,|,?\s+and)\s*", re.IGNORECASE)


class _Reader:
    """One reading of one clause. What a parameter has taken is blanked out, so that no other takes it too."""

    def __init__(self, schema: JsonObject, clause: Clause, vocabulary: Vocabulary) -> None:
        properties = schema.get("properties")
        required = schema.get("required")
        shapes = properties.items() if isinstance(properties, dict) else ()
        self._properties = {name: shape for name, shape in shapes if isinstance(shape, dict)}
        self._required = [name for name in (required if isinstance(required, list) else []) if name in self._properties]
        self._clause, self._vocabulary = clause, vocabulary
        self._text = clause.text
        self._found = FoundArguments()

    def read(self) -> FoundArguments:
        for name in self._properties:
            self._take_named(name)
        for name in self._required:
            if name not in self._found.arguments:
                self._take_fitting(name)
        for name in self._properties:
            if name not in self._found.arguments and name not in self._required:
                self._take_optional(name)
        for name in self._required:
            if name not in self._found.arguments and schema_type(self._properties[name]) == "string":
                self._take_rest(name)
        return self._found

    def _set(self, name: str, value: JsonValue, *, spans: Sequence[tuple[int, int]], strong: bool = True) -> None:
        self._found.arguments[name] = value
        self._found.is_strong = self._found.is_strong or strong
        self._text = blank(self._text, spans)

    def _take_named(self, name: str) -> None:
        spoken = re.escape(name).replace("_", "[_ ]")
        pattern = rf"(?<![\w/.-]){spoken}(?:\s*(=|:)\s*|\s+(is)\s+|\s+)(\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`|{_WORD})"
        for match in re.finditer(pattern, self._text, re.IGNORECASE):
            raw = match[3]
            is_quoted = raw[0] in "\"'`" and len(raw) > 1
            raw = raw[1:-1] if is_quoted else raw.rstrip(".!?")
            kind = schema_type(self._properties[name])
            is_introduced = bool(match[1] or match[2] or is_quoted) or kind != "string" or is_path_like(raw)
            if not is_introduced and not (self._clause.is_explicit and is_path_name(name)):
                continue
            value = converted(raw, kind)
            if value is not None:
                self._set(name, value, spans=[match.span()])
                return

    def _take_fitting(self, name: str) -> None:
        schema = self._properties[name]
        kind = schema_type(schema)
        if self._take_choice(name):
            return
        if kind in {"integer", "number"}:
            for match in NUMBER.finditer(self._text):
                value = converted(match[0], kind)
                if value is not None:
                    self._set(name, value, spans=[match.span()])
                    return
        elif kind == "array":
            self._take_list(name)
        elif is_path_name(name):
            self._take_path(name)
        elif name.lower() in _EXPRESSION_NAMES:
            formula = re.search(r"[\d(][\d\s.()+*/^%-]*[\d)]", self._text)
            if formula:
                self._set(name, formula[0], spans=[formula.span()])
        elif kind == "string":
            for start, end, content in quoted(self._text):
                self._set(name, content, spans=[(start, end)])
                return
            if self._clause.trigger in SEARCH_VERBS:
                self._take_searched(name)

    def _take_searched(self, name: str) -> None:
        patterns = (*_SEARCHED, _FIRST_WORD) if self._clause.trigger == "grep" else _SEARCHED
        for pattern in patterns:
            match = pattern.search(self._text)
            content = self._without_fillers(match[1]) if match else ""
            if match and content:
                self._set(name, content, spans=[match.span(1)])
                return

    def _take_optional(self, name: str) -> None:
        if self._take_choice(name):
            return
        kind = schema_type(self._properties[name])
        if is_path_name(name) and kind == "string":
            self._take_path(name)
        elif kind == "string" and self._clause.is_explicit and not self._required:
            for start, end, content in quoted(self._text):
                self._set(name, content, spans=[(start, end)])
                return

    def _take_choice(self, name: str) -> bool:
        schema = self._properties[name]
        choices = schema.get("enum")
        if schema_type(schema) == "boolean" and name in self._required:
            choices = ["true", "false"]
        for choice in choices if isinstance(choices, list) else []:
            match = re.search(rf"(?<!\w){re.escape(str(choice))}(?!\w)", self._text, re.IGNORECASE)
            if match:
                value = choice == "true" if schema_type(schema) == "boolean" else choice
                self._set(name, value, spans=[match.span()])
                return True
        return False

    def _take_list(self, name: str) -> None:
        items = self._properties[name].get("items")
        kind = schema_type(items) if isinstance(items, dict) else "string"
        if kind in {"integer", "number"}:
            taken = [(*match.span(), match[0]) for match in NUMBER.finditer(self._text)]
        elif is_path_name(name):
            taken = [(*match.span(), clean_path(match[0])) for match in self._paths()]
        else:
            taken = list(quoted(self._text))
        values = [converted(raw, kind) for _, _, raw in taken]
        if taken and all(value is not None for value in values):
            self._set(name, values, spans=[(start, end) for start, end, _ in taken])

    def _paths(self) -> list[re.Match[str]]:
        """Find the paths that stand in no quotation, or are one."""
        quotations = [(start, end) for start, end, content in quoted(self._text) if not PATH.fullmatch(content)]
        unquoted = blank(self._text, quotations)
        return [match for match in PATH.finditer(unquoted) if is_path_like(clean_path(match[0]))]

    def _take_path(self, name: str) -> None:
        paths = self._paths()
        if paths:
            run = paths[:1]
            for match in paths[1:]:
                between = self._text[run[-1].start() + len(clean_path(run[-1][0])) : match.start()]
                if name not in self._required or not _JOINED.fullmatch(between):
                    break
                run.append(match)
            first, *others = [clean_path(match[0]) for match in run]
            self._set(name, first, spans=[match.span() for match in run])
            if len(self._required) == 1:
                self._found.more = [{name: other} for other in others]
            return
        for start, end, content in quoted(self._text):
            if is_path_like(content) or self._clause.trigger not in SEARCH_VERBS:
                self._set(name, content, spans=[(start, end)])
                return
        self._take_place(name)

    def _take_place(self, name: str) -> None:
        trigger = self._clause.trigger
        patterns: list[re.Pattern[str]] = []
        if self._clause.is_explicit or trigger in PLACE_VERBS:
            patterns += [_PLACE, _FOLDER, _BEFORE_FOR]
        if self._clause.is_explicit:
            patterns.append(_GIVEN_WORD)
        if trigger in SHELL_VERBS:
            patterns.append(_FIRST_WORD)
        for pattern in patterns:
            for match in pattern.finditer(self._text):
                place = clean_path(match[1])
                if place.lower() not in _NO_PLACE:
                    self._set(name, place, spans=[match.span()])
                    return

    def _take_rest(self, name: str) -> None:
        """Take the rest of the sentence: what an introducing word leads to, else all of it."""
        if is_path_name(name):
            match = _GIVEN_WORD.search(self._text) if self._clause.is_explicit else None
            if match:
                self._set(name, clean_path(match[1]), spans=[match.span()])
            return
        introduced = _INTRODUCED.search(self._text)
        rest = self._text[introduced.end() :] if introduced else self._text
        content = self._without_fillers(rest)
        if not content:
            content = self._without_fillers(self._text[: introduced.start()]) if introduced else ""
        if content:
            nouns = self._vocabulary.nouns & {stem(word) for word in words(self._clause.text)}
            by_name = bool(nouns) or self._clause.is_explicit
            self._set(name, content, spans=[(0, len(self._text))], strong=by_name or introduced is not None)

    def _without_fillers(self, text: str) -> str:
        parts = text.strip(" \t\n,;:").split(" ")
        droppable = _FILLERS | self._vocabulary.verbs
        while parts and (parts[0].lower() in droppable or stem(parts[0].lower()) in self._vocabulary.nouns):
            parts.pop(0)
        while parts and parts[-1].lower() in {"in", "to", "into", "as", "with", "from", ""}:
            parts.pop()
        return " ".join(parts).strip(" \t\n,;").rstrip(".!?")
