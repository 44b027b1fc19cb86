"""What a path from the model may look like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lash_host_tools_files.budget import shown_path
from lash_host_tools_files.errors import FileToolError

__all__ = ["components", "inside", "outside_root"]

_MAX_PATH_BYTES: Final = 4096
_MAX_NAME_BYTES: Final = 255
_DRIVE: Final = re.compile(r"[A-Za-z]:(/|$)")


def components(path: str, *, roots: Sequence[str]) -> list[str]:
    """Split a path from the model into components, relative to the root.

    `.`, `..` and empty components are kept; the walk gives them their meaning.

    Args:
        path: Relative with `/`, or absolute where it begins with the root's own path.
        roots: The root's absolute paths, as it was given and as it really is.

    Raises:
        FileToolError: It cannot be a path here, or is absolute and not inside the root.
    """
    problem = _problem(path)
    if problem:
        raise FileToolError(f"{shown_path(path, max_bytes=200)}: {problem}", code="invalid_path")
    return inside(path, roots=roots, path=path)


def inside(target: str, *, roots: Sequence[str], path: str) -> list[str]:
    """Split a path or a link's target, an absolute one after the root's own path.

    Raises:
        FileToolError: It is absolute and does not begin with the root; the message names ``path``.
    """
    if not target.startswith("/"):
        return target.split("/")
    for root in roots:
        prefix = root.rstrip("/") + "/"
        if f"{target}/".startswith(prefix):
            return target[len(prefix) :].split("/")
    raise outside_root(path)


def outside_root(path: str) -> FileToolError:
    """Make the error for a path that leads out of the root."""
    hint = "use a path relative to the root folder, such as docs/notes.md"
    return FileToolError(f"{shown_path(path)}: leads outside the root folder; {hint}", code="outside_root")


def _problem(path: str) -> str | None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "not a valid path: it holds a lone surrogate"
    if any(ord(c) < 32 or ord(c) == 127 for c in path):  # noqa: PLR2004 - the ASCII control characters
        return "not a valid path: it holds a control character"
    if "\\" in path or _DRIVE.match(path):
        return "not a valid path: folders are separated by / and there are no drives"
    if size > _MAX_PATH_BYTES or any(len(part.encode()) > _MAX_NAME_BYTES for part in path.split("/")):
        return f"not a valid path: longer than {_MAX_PATH_BYTES} bytes, or a name longer than {_MAX_NAME_BYTES}"
    return None
