"""The options of this plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FilesOptions", "root_folder"]


class FilesOptions(BaseModel):
    """What a session may say of the file tools.

    Attributes:
        root: The folder to work in; `~` is the user's home, and a relative path begins at the current working
            directory. By default, that directory itself, as it is when the session opens.
        writable: Whether there is a tool that writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Annotated[str, Field(min_length=1)] | None = None
    writable: bool = True


def root_folder(options: FilesOptions) -> Path:
    """Find the folder that the options mean.

    Raises:
        ValueError: It cannot be one; the message says why.
    """
    try:
        folder = Path.cwd() if options.root is None else Path(options.root).expanduser().absolute()
        if folder.is_dir():
            return folder
    except (OSError, RuntimeError, ValueError) as exc:
        raise ValueError(f"root {options.root!r} cannot be used: {exc}") from exc
    problem = "is not a folder" if folder.exists() else "does not exist"
    raise ValueError(f"root {options.root!r} {problem} (looked for {folder})")
