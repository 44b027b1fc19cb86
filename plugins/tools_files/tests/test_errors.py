from __future__ import annotations

import errno
import os

import pytest

from lash_host_tools_files.errors import FileToolError, reported_for
from lash_host_tools_files.reading import read_file


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission_denied", "a.txt: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system"), "read_only", "a.txt: Read-only file system"),
        (OSError(errno.ENOSPC, "No space left on device", "/elsewhere"), "io_error", "a.txt: No space left on device"),
        (OSError("odd"), "io_error", "a.txt: input/output error"),
    ],
)
def test_an_error_of_the_system_has_a_code_and_names_only_the_path_asked_for(error, code, words):
    with pytest.raises(FileToolError) as caught, reported_for("a.txt"):
        raise error
    assert (caught.value.code, str(caught.value)) == (code, words)
    assert caught.value.__cause__ is error


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_read_is_said(root, make):
    make("a.txt", "x").chmod(0)
    make("b/c.txt", "x").parent.chmod(0o600)
    for path in ("a.txt", "b/c.txt"):
        with pytest.raises(FileToolError) as caught:
            read_file(root, path)
        assert caught.value.code == "permission_denied"
