"""What a user hands in: prompts from the command line or standard input, and plugin options."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from lash_host.cli.failures import WrongUsage

if TYPE_CHECKING:
    from lash_host.domain.value import JsonObject, JsonValue

__all__ = ["check_text", "decode_text", "parse_plugin_options", "read_prompt", "read_text"]

_MOST_BYTES = 64 * 1024 * 1024


def read_prompt(prompt: str) -> str:
    """Give a prompt; ``-`` reads standard input.

    Raises:
        WrongUsage: It is not text (``prompt_not_text``), is empty (``empty_input``), or is longer than any model
            could read (``input_too_large``).
    """
    return read_text(prompt, what="the prompt", empty="empty_input")


def read_text(argument: str, *, what: str, empty: str) -> str:
    """Give an argument that is text; ``-`` reads standard input.

    Args:
        argument: The argument.
        what: What it is, for messages.
        empty: The code of the error that it is empty.

    Raises:
        WrongUsage: It is not text, or empty, or too long.
    """
    if argument == "-":
        text = decode_text(_read_all(sys.stdin.buffer, what=what), what=what)
    else:
        text = check_text(argument, what=what)
    if not text.strip():
        raise WrongUsage(f"{what} is empty", code=empty)
    return text


def decode_text(data: bytes, *, what: str) -> str:
    """Decode UTF-8; a byte order mark is left out.

    Raises:
        WrongUsage: It is not UTF-8, or holds NUL as binary files do (``prompt_not_text``).
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        problem = f"{what} is not UTF-8 text: byte {exc.start} is 0x{data[exc.start]:02x}"
        raise WrongUsage(problem, code="prompt_not_text") from exc
    return check_text(text, what=what)


def check_text(text: str, *, what: str) -> str:
    """Refuse what looks like text but is none: bytes of the command line that are not UTF-8, and NUL.

    Raises:
        WrongUsage: It is not text (``prompt_not_text``).
    """
    if "\0" in text:
        raise WrongUsage(f"{what} is not text: it holds a NUL character", code="prompt_not_text")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise WrongUsage(f"{what} is not UTF-8 text: see character {exc.start}", code="prompt_not_text") from exc
    return text


def parse_plugin_options(options: Iterable[str]) -> dict[str, JsonObject]:
    """Read ``plugin.key=value``. A value that is JSON is that value; anything else is a string.

    Raises:
        WrongUsage: One is not of that form.
    """
    found: dict[str, JsonObject] = {}
    for option in options:
        name, equals, value = check_text(option, what="an option").partition("=")
        plugin_id, dot, key = name.strip().partition(".")
        if not (equals and dot and plugin_id and key):
            raise WrongUsage(f"an option is written plugin.key=value, got {option!r}", code="malformed_option")
        found.setdefault(plugin_id, {})[key] = _value(value)
    return found


def _value(text: str) -> JsonValue:
    def refuse(constant: str) -> object:
        raise ValueError(constant)

    try:
        value: JsonValue = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text
    return value


def _read_all(stream: BinaryIO, *, what: str) -> bytes:
    data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        limit = _MOST_BYTES // 1024 // 1024
        raise WrongUsage(f"{what} is longer than {limit} MiB", code="input_too_large")
    return data
