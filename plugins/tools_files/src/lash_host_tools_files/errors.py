"""The one error of the file tools: a stable code and a sentence for the model."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

__all__ = ["ErrorCode", "FileToolError", "reported_for"]

ErrorCode = Literal[
    "already_exists", "binary_file", "changed_meanwhile", "invalid_argument", "invalid_path", "invalid_pattern",
    "io_error", "is_a_folder", "not_a_folder", "not_a_regular_file", "not_found", "outside_root", "past_end",
    "permission_denied", "protected_path", "read_only", "root_missing", "symlink_loop", "too_large",
]  # fmt: skip

_CODES: dict[int, ErrorCode] = {
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EROFS: "read_only",
    errno.ENOENT: "not_found",
    errno.EEXIST: "already_exists",
    errno.EISDIR: "is_a_folder",
    errno.ENOTDIR: "not_a_folder",
    errno.ELOOP: "symlink_loop",
    errno.ENAMETOOLONG: "invalid_path",
}


class FileToolError(Exception):
    """A file tool could not do what it was asked.

    `code` is a stable word to match on; the message is written for the model and names only paths inside the root.
    """

    def __init__(self, message: str, *, code: ErrorCode) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


@contextmanager
def reported_for(shown: str) -> Iterator[None]:
    """Turn an operating system's error into one the model can act on.

    Args:
        shown: The path as the model shall read it.

    Raises:
        FileToolError: The block raised an `OSError`.
    """
    try:
        yield
    except OSError as exc:
        code = _CODES.get(exc.errno or 0, "io_error")
        raise FileToolError(f"{shown}: {exc.strerror or 'input/output error'}", code=code) from exc
