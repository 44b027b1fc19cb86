from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from lash_host_tools_files.errors import FileToolError, reported_for
from lash_host_tools_files.reading import read_file
from lash_host_tools_files.root import Root


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


@pytest.fixture
def ordinary_user():
    """Be somebody to whom something can be forbidden: root is not."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


@pytest.fixture
def open_folder():
    """A folder that anybody can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "b").mkdir()
        for path, closed in ((folder / "a.txt", folder / "a.txt"), (folder / "b" / "c.txt", folder / "b")):
            path.write_text("x")
            closed.chmod(0)
        yield folder


def test_what_may_not_be_read_is_said(open_folder, ordinary_user):
    root = Root(open_folder)
    for path in ("a.txt", "b/c.txt"):
        with pytest.raises(FileToolError) as caught:
            read_file(root, path)
        assert caught.value.code == "permission_denied"
