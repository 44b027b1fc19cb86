"""How offline/agent quotes a tool's result: all of it where it is short, else the lines that were asked about."""

from __future__ import annotations

import json
import re

from lash_host.domain.value import JsonValue
from lash_host.providers.offline_words import stem, word_set, words

__all__ = ["command_lines", "plain_text", "quote_result", "shortened"]

_SHOWN_LINES = 40
_MATCHING_LINES = 20
_TOPIC_CHARS = 4
_TEXT_KEYS = ("content", "text", "output", "result", "value", "lines", "entries", "files", "matches", "items")
_NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
}
_COMMANDS_ASKED = re.compile(
    r"\b(?:(\w+)\s+)?commands?\b|\bhow (?:do i|to) (?:install|run|use|start|test)\b", re.IGNORECASE
)
_ASKED = re.compile(r"\b(?:tell|what|which|where|who|when|show|give|quote|find)\b(.*)", re.IGNORECASE | re.DOTALL)
_NOT_TOPICS = word_set(
    "about also and are contain contains content contents does every file files find first from give have into line "
    "lines list read says show tell text that the them then there these this those use what when where which with "
    "word you your"
)


def quote_result(text: str, question: str) -> str:
    """Give what follows "read_file(...) gave": the quotation, with what was left out.

    Asked for commands, it quotes those: lines of fenced blocks, and lines that begin with ``$``. A result of more than
    forty lines is cut to the lines that hold a word of the question, else to its first forty.
    """
    plain = plain_text(text)
    lines = plain.splitlines()
    asked = _COMMANDS_ASKED.search(question)
    if asked and (commands := command_lines(plain)):
        limit = _NUMBERS.get((asked[1] or "").lower()) or (int(asked[1]) if (asked[1] or "").isdecimal() else None)
        return " these commands:" + _block(commands[: limit or _SHOWN_LINES])
    if len(lines) <= 1:
        return f": {plain}" if plain else " nothing."
    if len(lines) <= _SHOWN_LINES:
        return ":" + _block(lines)
    matching = _matching(lines, question)
    if matching:
        return f" {len(lines)} lines; those about your question:" + _block(matching[:_MATCHING_LINES])
    return f" {len(lines)} lines; the first {_SHOWN_LINES}:" + _block(lines[:_SHOWN_LINES])


def plain_text(text: str) -> str:
    """Give the text inside a result: of a JSON string, of the text key of an object, of a list a line an item."""
    stripped = text.strip()
    if stripped[:1] in {'"', "[", "{"}:
        try:
            return _as_text(json.loads(stripped)).strip("\n")
        except (ValueError, RecursionError):
            return text.strip("\n")
    return text.strip("\n")


def _as_text(value: JsonValue) -> str:
    match value:
        case str():
            return value
        case list():
            return "\n".join(_as_text(item) if not isinstance(item, list) else _compact(item) for item in value)
        case dict():
            named = [value[key] for key in _TEXT_KEYS if isinstance(value.get(key), str | list)]
            return _as_text(named[0]) if len(named) == 1 else _compact(value)
        case _:
            return _compact(value)


def _compact(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def command_lines(text: str) -> list[str]:
    """Give the lines of a text that look like shell commands, in order.

    The first of these that there are: lines that begin with ``$``, fenced blocks that name a shell or nothing,
    indented lines, code in backticks. A fenced block that names something else, such as ``text``, has no commands.
    """
    lines = [re.sub(r"^\s*\d+(?:\t|[:|→] ?)", "", line) for line in text.splitlines()]
    lines = re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n")
    prompted: list[str] = []
    commands: list[str] = []
    is_fenced = is_shell = False
    for line in lines:
        fence = re.match(r"\s*(?:```|~~~)\s*(\w*)", line)
        if fence:
            is_fenced = not is_fenced
            is_shell = is_fenced and fence[1].lower() in {"", "bash", "sh", "shell", "console", "zsh"}
        elif line.strip().startswith("$ ") and (is_shell or not is_fenced):
            prompted.append(line.strip()[2:])
        elif is_shell and line.strip() and not line.lstrip().startswith("#"):
            commands.append(line.strip())
    if prompted:
        return prompted
    commands = commands or [line.strip() for line in lines if re.match(r"(?: {4}|\t)\s*[a-z][\w./-]*(?: |$)", line)]
    return commands or [code for line in lines for code in re.findall(r"`([a-z][\w./-]*(?: [^`]+)?)`", line)]


def _matching(lines: list[str], question: str) -> list[str]:
    asked = _ASKED.search(question)
    topics = {
        stem(word) for word in words(asked[1] if asked else "") if len(word) >= _TOPIC_CHARS and word not in _NOT_TOPICS
    }
    return [line for line in lines if topics & {stem(word) for word in words(line)}]


def _block(lines: list[str]) -> str:
    fence = "````" if any(line.lstrip().startswith("```") for line in lines) else "```"
    return "\n\n" + "\n".join([fence, *lines, fence])


def shortened(text: str, limit: int) -> str:
    """Give a text on one line, cut to ``limit`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
