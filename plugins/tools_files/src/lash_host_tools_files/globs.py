"""Glob patterns over paths: `*`, `?`, `[…]`, `{a,b}`, and `**` for any folders."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from lash_host_tools_files.errors import FileToolError

__all__ = ["Glob"]

_MAX_CHARS: Final = 500
_MAX_ALTERNATIVES: Final = 64
_BRACES: Final = re.compile(r"\{([^{}]*)\}")


class Glob:
    """A compiled pattern.

    A pattern without `/` is matched against names in any folder; one with `/` against the whole path below the folder
    looked at. `*` and `?` do not match `/`. Upper and lower case differ. No pattern takes long to match.

    Args:
        pattern: The pattern; a `/` at the beginning or the end says nothing.

    Raises:
        FileToolError: It is empty, too long or has too many alternatives.
    """

    def __init__(self, pattern: str) -> None:
        stripped = pattern.removeprefix("./").strip("/")
        if not stripped or len(stripped) > _MAX_CHARS:
            raise FileToolError(f"a glob has 1 to {_MAX_CHARS} characters", code="invalid_pattern")
        self.spans_folders = "/" in stripped or "**" in stripped
        self._alternatives = [tuple(alternative.split("/")) for alternative in _expand(stripped)]

    def matches(self, parts: Sequence[str]) -> bool:
        """Say whether a path, given by component, is one of those meant."""
        return any(
            _matches(pattern, parts if len(pattern) > 1 or pattern == ("**",) else parts[-1:])
            for pattern in self._alternatives
        )


def _expand(pattern: str) -> list[str]:
    done, todo = list[str](), [pattern]
    while todo:
        current = todo.pop()
        braces = _BRACES.search(current)
        if braces is None:
            done.append(current)
        else:
            before, after = current[: braces.start()], current[braces.end() :]
            todo.extend(f"{before}{choice}{after}" for choice in braces[1].split(","))
        if len(done) + len(todo) > _MAX_ALTERNATIVES:
            raise FileToolError(f"a glob has at most {_MAX_ALTERNATIVES} alternatives", code="invalid_pattern")
    return done


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Match by component, keeping the set of pattern positions that are reached, so that time stays polynomial."""
    reached = _beyond_globstars({0}, pattern)
    for part in parts:
        step = {
            at if pattern[at] == "**" else at + 1
            for at in reached
            if at < len(pattern) and (pattern[at] == "**" or _component(pattern[at]).match(part))
        }
        reached = _beyond_globstars(step, pattern)
    return len(pattern) in reached


def _beyond_globstars(positions: set[int], pattern: Sequence[str]) -> set[int]:
    closed = set[int]()
    for position in positions:
        at = position
        closed.add(at)
        while at < len(pattern) and pattern[at] == "**":
            at += 1
            closed.add(at)
    return closed


@lru_cache(maxsize=256)
def _component(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))
