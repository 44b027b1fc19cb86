from __future__ import annotations

import pytest

from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.globs import Glob


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.py", "a.py", True),
        ("*.py", "deep/er/a.py", True),
        ("*.py", "a.pyc", False),
        ("*.PY", "a.py", False),
        (".*", ".hidden", True),
        ("*", ".hidden", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("[ab].txt", "b.txt", True),
        ("[!ab].txt", "b.txt", False),
        ("[x", "[x", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/b/a.py", False),
        ("src/*.py", "x/src/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/b/c/a.py", True),
        ("**/*.py", "a.py", True),
        ("**/*.py", "x/y/a.py", True),
        ("**", "x/y/a.py", True),
        ("src/**", "src/x/y", True),
        ("src/**", "other/x", False),
        ("**/test/**/a", "x/test/a", True),
        ("*.{ts,tsx}", "a.tsx", True),
        ("*.{ts,tsx}", "a.js", False),
        ("{a,b{c,d}}/x", "bd/x", True),
        ("./src/*.py", "src/a.py", True),
        ("/src/", "src", True),
        ("é*", "été", True),
    ],
)
def test_patterns(pattern, path, expected):
    assert Glob(pattern).matches(path.split("/")) is expected


@pytest.mark.parametrize("pattern", ["", "/", "x" * 501, "{a,b}" * 7])
def test_impossible_patterns_are_refused(pattern):
    with pytest.raises(FileToolError) as caught:
        Glob(pattern)
    assert caught.value.code == "invalid_pattern"


@pytest.mark.parametrize("pattern", ["*a" * 100 + "b", "**/a/" * 80 + "b", "**/*a*a*a*a*/" * 20 + "**/b"])
def test_no_pattern_takes_long(pattern):
    assert Glob(pattern).matches([*["a" * 250] * 60, "c"]) is False


def test_a_pattern_knows_whether_it_spans_folders():
    assert not Glob("*.py").spans_folders
    assert Glob("src/*.py").spans_folders
    assert Glob("**").spans_folders
