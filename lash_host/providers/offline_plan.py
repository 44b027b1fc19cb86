"""Which tool calls a prompt asks for, in its own order: what offline/agent has in place of understanding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lash_host.domain.tool import ToolSpec
from lash_host.domain.value import JsonObject
from lash_host.providers.offline_arguments import Clause, FoundArguments, find_arguments
from lash_host.providers.offline_words import Vocabulary, blank, json_objects, name_words, quoted, stem, word_set, words

__all__ = ["PlannedCall", "plan_calls"]

_READ_CHARS = 20_000
"""What is longer is a text to work on and not an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """One call that was asked for. `arguments_error` is set where a JSON object was begun and is none."""

    tool_name: str
    arguments: JsonObject
    arguments_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tool:
    spec: ToolSpec
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mention:
    """Words that may ask for a tool.

    `tool` is set where they name one as a tool. What stands before `reach` then certainly belongs to it.
    """

    start: int
    end: int
    words: str
    tool: _Tool | None = None
    reach: int = 0


def plan_calls(text: str, tools: Sequence[ToolSpec]) -> list[list[PlannedCall]]:
    """Find what ``text`` asks the tools for.

    A tool is asked for by its name ("use the add_note tool", "call add_note", or a name with an underscore anywhere),
    which always leads to a call, or by its verb or a synonym at the beginning of an order, which does only if the
    required arguments are there. What stands in quotes or in a JSON object asks for nothing.

    Returns:
        Batches, one an order, in the order of the text; a batch has several calls for "read a.txt and b.txt".
    """
    text = text[:_READ_CHARS]
    known = [_Tool(spec=tool, vocabulary=Vocabulary.of(tool)) for tool in tools]
    masked = _masked(text, {tool.name.lower() for tool in tools}).replace("\u2019", "'")
    explicit = _named_tools(masked, known)
    spoken = [mention for mention in _spoken_verbs(masked, known) if not _is_taken(mention, explicit, masked)]
    orders: list[tuple[int, list[PlannedCall]]] = []
    end = len(text)
    for mention in sorted([*explicit, *spoken], key=lambda mention: mention.start, reverse=True):
        if mention.tool is not None:
            clause = _clause(text, mention, mention.reach if mention.reach > mention.end else end)
            calls = _planned(
                mention.tool, find_arguments(mention.tool.spec.input_schema, clause, mention.tool.vocabulary)
            )
        else:
            calls = _best_calls(known, _clause(text, mention, end))
        if calls:
            orders.append((mention.start, calls))
            end = mention.start
    asked = {call.tool_name for _, calls in orders for call in calls}
    orders += [(start, calls) for start, calls in _sums(masked, known) if calls[0].tool_name not in asked]
    return _once_each([calls for _, calls in sorted(orders, key=lambda order: order[0])])


def _once_each(batches: Sequence[Sequence[PlannedCall]]) -> list[list[PlannedCall]]:
    seen: list[PlannedCall] = []
    plan: list[list[PlannedCall]] = []
    for batch in batches:
        fresh = [call for index, call in enumerate(batch) if call not in seen and call not in batch[:index]]
        seen += fresh
        if fresh:
            plan.append(fresh)
    return plan


def _masked(text: str, names: set[str]) -> str:
    objects = [(start, end) for start, end, _ in json_objects(text)]
    text = blank(text, objects, fill="\0")
    return blank(text, [(a, b) for a, b, content in quoted(text) if content.lower() not in names], fill="\0")


def _named_tools(masked: str, tools: Sequence[_Tool]) -> list[_Mention]:
    mentions: list[_Mention] = []
    for tool in tools:
        name = tool.spec.name
        literal = rf"(?<![\w/.-]){re.escape(name)}(?![\w/-]|\.\w)"
        spaced = "[ _-]".join(re.escape(word) for word in name_words(name))
        forms = [rf"\b(?:use|using|call|run|invoke)\s+(?:the\s+)?[`\"']?(?:{literal}|{spaced}\b)[`\"']?(?:\s+tool\b)?"]
        forms.append(rf"(?:{literal}|\b{spaced})[`\"']?\s+tool\b")
        if re.search(r"[_\d]|[a-z][A-Z]", name):
            forms.append(rf"[`\"']?{literal}[`\"']?")
        mentions += [
            _Mention(start=match.start(), end=match.end(), words=name.lower(), tool=tool)
            for match in re.finditer("|".join(forms), masked, re.IGNORECASE)
        ]
    mentions.sort(key=lambda mention: (mention.start, -mention.end))
    kept: list[_Mention] = []
    for mention in mentions:
        if not kept or mention.start >= kept[-1].reach:
            kept.append(replace(mention, reach=_reach(masked, mention.end)))
    return kept


_ORDER_BEGINS = re.compile(
    r"(?:^|[.,;:!?(-]|\n|\b(?:then|and|please|also|now|first|finally|next|to|let's|(?:can|could|would|will) you))\s*$",
    re.IGNORECASE,
)
_LOOK_BACK_CHARS = 24


def _spoken_verbs(masked: str, tools: Sequence[_Tool]) -> list[_Mention]:
    verbs = {verb for tool in tools for verb in tool.vocabulary.verbs}
    names = {name for tool in tools for name in tool.vocabulary.names}
    if not verbs | names:
        return []
    one_of = "|".join(re.escape(phrase) for phrase in sorted(verbs | names, key=len, reverse=True))
    mentions: list[_Mention] = []
    for match in re.finditer(rf"(?<![\w/.-])({one_of})\b", masked, re.IGNORECASE):
        phrase = match[1].lower()
        before = masked[max(match.start() - _LOOK_BACK_CHARS, 0) : match.start()]
        if phrase in names or (phrase in verbs and _ORDER_BEGINS.search(before)):
            mentions.append(_Mention(start=match.start(), end=match.end(), words=phrase))
    return mentions


_LITERAL = re.compile(r"\s*:\s*[^\s\0]")
_LITERAL_END = re.compile(r"\n|[,;.]?\s+(?:and\s+)?then\s")


def _reach(masked: str, end: int) -> int:
    """Say how far what certainly belongs to a named tool goes.

    After "use the add_note tool:" it is everything to the end of the line, or to where "then" begins another order.
    """
    if not _LITERAL.match(masked, end):
        return end
    stop = _LITERAL_END.search(masked, end)
    return stop.start() if stop else len(masked)


def _is_taken(verb: _Mention, explicit: Sequence[_Mention], masked: str) -> bool:
    """Whether a verb belongs to an order that names its tool: "use the read_file tool to read a.txt"."""
    return any(
        named.start <= verb.start
        and (verb.start < named.reach or re.fullmatch(r"\s*,?\s*to\s*", masked[named.end : verb.start]))
        for named in explicit
    )


_CONNECTIVES = ("and", "then", "also", "please", "finally", "next", "first")


def _clause(text: str, mention: _Mention, end: int) -> Clause:
    rest = text[mention.end : end].rstrip(" \t\n,;")
    while (word := rest[rest.rfind(" ") + 1 :]) and word.lower() in _CONNECTIVES:
        rest = rest[: -len(word)].rstrip(" \t\n,;")
    return Clause(trigger=mention.words, text=rest, is_explicit=mention.tool is not None)


def _planned(tool: _Tool, found: FoundArguments) -> list[PlannedCall]:
    first = PlannedCall(tool_name=tool.spec.name, arguments=found.arguments, arguments_error=found.error)
    return [first, *(PlannedCall(tool_name=tool.spec.name, arguments=arguments) for arguments in found.more)]


def _best_calls(tools: Sequence[_Tool], clause: Clause) -> list[PlannedCall]:
    """Choose among the tools a verb stands for: the one whose name's nouns are there, then the one with more found."""
    best: tuple[tuple[bool, int], list[PlannedCall]] | None = None
    said = {stem(word) for word in words(f"{clause.trigger} {clause.text}")}
    for tool in tools:
        vocabulary = tool.vocabulary
        if clause.trigger not in vocabulary.verbs | vocabulary.names:
            continue
        found = find_arguments(tool.spec.input_schema, clause, vocabulary)
        required = tool.spec.input_schema.get("required")
        is_complete = all(name in found.arguments for name in (required if isinstance(required, list) else []))
        is_named = bool(vocabulary.nouns) and vocabulary.nouns <= said
        score = (is_named, len(found.arguments))
        if is_complete and (is_named or found.is_strong) and (best is None or score > best[0]):
            best = (score, _planned(tool, found))
    return [] if best is None else best[1]


_SUM = re.compile(
    r"\b(?:what is|what's|calculate|compute|evaluate|how much is|work out)\s+(?!\d{4}-\d\d-\d\d)"
    r"(-?[\d(][\d.()]*(?:\s*(?:[-+*/x\u00d7\u00f7^%]|\*\*|plus|minus|times|divided by)\s*-?[\d(][\d.()]*)+)",
    re.IGNORECASE,
)
_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "divided by": "/", "x": "*", "\u00d7": "*", "\u00f7": "/"}
_CALCULATORS = word_set("arithmetic calc calculate calculation calculator compute eval evaluate math")
_OPERATION_TOOLS = {
    "+": {"add", "plus", "sum"},
    "-": {"minus", "subtract"},
    "*": {"mul", "multiply", "times"},
    "/": {"div", "divide"},
}


def _sums(masked: str, tools: Sequence[_Tool]) -> list[tuple[int, list[PlannedCall]]]:
    """Find arithmetic, where a calculator or a tool of that operation is there to do it."""
    calls: list[tuple[int, list[PlannedCall]]] = []
    for match in _SUM.finditer(masked):
        expression = match[1]
        for spoken, operator in _OPERATORS.items():
            expression = re.sub(rf"\s*{spoken}\s*", f" {operator} ", expression)
        for tool in tools:
            arguments = _sum_arguments(tool.spec, expression)
            if arguments is not None:
                calls.append((match.start(), [PlannedCall(tool_name=tool.spec.name, arguments=arguments)]))
                break
    return calls


def _sum_arguments(tool: ToolSpec, expression: str) -> JsonObject | None:
    required = tool.input_schema.get("required")
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    in_name = set(name_words(tool.name))
    if in_name & _CALCULATORS and len(names) == 1:
        return {names[0]: expression}
    numbers = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*([-+*/])\s*(-?\d+(?:\.\d+)?)", expression)
    if numbers and len(names) == 2 and in_name & _OPERATION_TOOLS[numbers[2]]:  # noqa: PLR2004 - two operands
        return {
            name: float(raw) if "." in raw else int(raw) for name, raw in zip(names, numbers.group(1, 3), strict=True)
        }
    return None
