"""Reads what a tool's docstring says of the tool and of its parameters.

Only Google style is read, and of it only the first paragraph and the section ``Args``: that is what a model is shown.
A docstring library would bring a dependency for these thirty lines.
"""

from __future__ import annotations

import inspect
import re

__all__ = ["parameter_descriptions", "summary"]

_SECTION = re.compile(r"(Args|Arguments|Parameters):")
_PARAMETER = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?:(?:\s+(.*))?")


def summary(docstring: str | None) -> str:
    """Give the first paragraph as one line; empty where there is none."""
    paragraph = inspect.cleandoc(docstring or "").split("\n\n", 1)[0]
    return "" if _SECTION.fullmatch(paragraph.split("\n", 1)[0].strip()) else " ".join(paragraph.split())


def parameter_descriptions(docstring: str | None) -> dict[str, str]:
    """Give the descriptions in the section ``Args`` by parameter name, each as one line."""
    found: dict[str, list[str]] = {}
    name: str | None = None
    first_indent: int | None = None
    for line in _args_section(inspect.cleandoc(docstring or "")):
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        first_indent = indent if first_indent is None else first_indent
        entry = _PARAMETER.fullmatch(text) if indent <= first_indent else None
        if entry is not None:
            name = entry[1]
            found[name] = [entry[2] or ""]
        elif name is not None:
            found[name].append(text)
    return {name: description for name, lines in found.items() if (description := " ".join(lines).strip())}


def _args_section(docstring: str) -> list[str]:
    lines = docstring.splitlines()
    start = next((index for index, line in enumerate(lines) if _SECTION.fullmatch(line.strip())), len(lines))
    section: list[str] = []
    for line in lines[start + 1 :]:
        if line.strip() and not line.startswith((" ", "\t")):
            break
        if line.strip():
            section.append(line)
    return section
