from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from lash_host_tools_files.budget import OutputBudget
from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.listing import list_files
from lash_host_tools_files.root import Root
from lash_host_tools_files.walking import Allowance, WalkLimits


@pytest.fixture
def tree(make, folder, outside):
    make("b.txt", "12345")
    make("a.py", "x")
    make("docs/guide.md", "1234567")
    make("docs/deep/er/end.py", "")
    make(".hidden", "")
    make(".git/config", "[core]")
    (folder / "empty").mkdir()
    (folder / "out").symlink_to(outside)
    (folder / "loop").symlink_to(".")
    os.mkfifo(folder / "pipe")
    return folder


def test_a_folder_is_listed_by_name(tree, root, outside, allowance):
    assert list_files(root, allowance=allowance).splitlines() == [
        ".hidden (0 bytes)",
        "a.py (1 byte)",
        "b.txt (5 bytes)",
        "docs/",
        "empty/",
        "loop -> .",
        f"out -> {outside}",
        "pipe (not a regular file)",
    ]


def test_paths_are_from_the_root(tree, root, allowance):
    assert list_files(root, "docs", allowance=allowance) == "docs/deep/\ndocs/guide.md (7 bytes)"
    assert list_files(root, "docs/", allowance=allowance) == "docs/deep/\ndocs/guide.md (7 bytes)"
    assert list_files(root, "loop/docs/deep", allowance=allowance) == "docs/deep/er/"


def test_a_recursive_listing_follows_no_links_and_passes_git_over(tree, root, allowance):
    lines = list_files(root, recursive=True, allowance=allowance).splitlines()
    assert [line for line in lines if line.startswith("docs")] == [
        "docs/",
        "docs/deep/",
        "docs/guide.md (7 bytes)",
        "docs/deep/er/",
        "docs/deep/er/end.py (0 bytes)",
    ]
    assert not [line for line in lines if ".git" in line or "secret" in line or "loop/" in line]


def test_git_is_listed_when_asked_for(tree, root, allowance):
    assert list_files(root, ".git", allowance=allowance) == ".git/config (6 bytes)"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"glob": "*.py"}, ["a.py (1 byte)"]),
        ({"glob": "*.py", "recursive": True}, ["a.py (1 byte)", "docs/deep/er/end.py (0 bytes)"]),
        ({"glob": "**/*.py"}, ["a.py (1 byte)", "docs/deep/er/end.py (0 bytes)"]),
        ({"glob": "docs/*"}, ["docs/deep/", "docs/guide.md (7 bytes)"]),
        ({"glob": "*.{md,txt}", "recursive": True}, ["b.txt (5 bytes)", "docs/guide.md (7 bytes)"]),
        ({"glob": "deep/**", "path": "docs"}, ["docs/deep/", "docs/deep/er/", "docs/deep/er/end.py (0 bytes)"]),
        ({"glob": "*.rs"}, ["[. is without an entry that matches *.rs]"]),
    ],
)
def test_globs(tree, root, allowance, arguments, expected):
    assert list_files(root, **arguments, allowance=allowance).splitlines() == expected


def test_a_file_is_listed_as_itself(tree, root, allowance):
    assert list_files(root, "b.txt", allowance=allowance) == "b.txt (5 bytes)"


def test_an_empty_folder_says_so(tree, root, allowance):
    assert list_files(root, "empty", allowance=allowance) == "[empty is empty]"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"path": "out"}, "outside_root"),
        ({"path": ".."}, "outside_root"),
        ({"path": "nope"}, "not_found"),
        ({"path": "b.txt/x"}, "not_a_folder"),
        ({"offset": -1}, "invalid_argument"),
        ({"offset": 99}, "past_end"),
        ({"glob": ""}, "invalid_pattern"),
    ],
)
def test_what_cannot_be_listed(tree, root, allowance, arguments, code):
    with pytest.raises(FileToolError) as caught:
        list_files(root, **arguments, allowance=allowance)
    assert caught.value.code == code


def test_exactly_the_budget_is_listed_whole(folder, root, allowance):
    for number in range(400):
        (folder / f"{number:03}").touch()
    text = list_files(root, allowance=allowance)
    assert text.count("\n") == 399
    assert text.endswith("\n399 (0 bytes)")


def test_a_listing_over_the_budget_can_be_gone_on_with(folder, root, allowance):
    names = [f"{number:04}{'x' * (number % 90)}" for number in range(1000)]
    for name in names:
        (folder / name).touch()
    seen, offset = [], 0
    while True:
        text = list_files(root, offset=offset, allowance=allowance)
        assert len(text.encode()) <= OutputBudget().max_bytes
        assert text.count("\n") < OutputBudget().max_lines
        *lines, last = text.splitlines()
        marker = re.fullmatch(
            r"\[entries \d+-(\d+) of 1,000 shown, ([\d,]+) entr(?:ies|y) left out: go on with offset=(\d+), "
            r"or narrow path or glob\]",
            last,
        )
        if marker is None:
            seen += [*lines, last]
            break
        assert marker[1] == marker[3]
        assert int(marker[2]) == 1000 - int(marker[1])
        seen, offset = seen + lines, int(marker[3])
    assert seen == [f"{name} (0 bytes)" for name in names]


def test_names_that_are_no_text_become_one_line_of_text(folder, root, allowance):
    (folder / "two\nlines").touch()
    (folder / "bell\x07").touch()
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")).touch()
    text = list_files(root, allowance=allowance)
    assert text == "bell\\x07 (0 bytes)\ncaf\\xe9 (0 bytes)\ntwo\\nlines (0 bytes)"
    assert text.encode()


def test_limits_are_said(make, root, allowance):
    for name in ("a/1", "a/2", "b/1", "b/2"):
        make(name)
    text = list_files(root, recursive=True, allowance=allowance, limits=WalkLimits(max_entries=3))
    *lines, note = text.splitlines()
    assert lines[:2] == ["a/", "b/"]
    assert len(lines) == 3
    assert note == "[stopped after 3 entries: what comes later was not looked at; narrow path or glob]"
    text = list_files(root, recursive=True, allowance=allowance, limits=WalkLimits(max_depth=0))
    assert text.splitlines() == ["a/", "b/", "[2 folders left out: nested too deeply]"]


def test_a_deep_tree_is_walked_as_far_as_the_limit(make, root, allowance):
    make("d/" * 300 + "end")
    text = list_files(root, recursive=True, allowance=allowance)
    assert text.splitlines()[-1] == "[1 folder left out: nested too deeply]"
    assert text.count("d/\n") == 101


def test_time_ends_a_listing(make, root, clock):
    make("a/1")
    make("b/1")
    allowance = Allowance(10, clock=clock)
    clock.now = 10
    text = list_files(root, recursive=True, allowance=allowance)
    assert text.splitlines() == [
        "a/",
        "b/",
        "[stopped after 10 s: what comes later was not looked at; narrow path or glob]",
    ]


def test_an_event_ends_a_listing(make, root, clock):
    make("a/1")
    stop = threading.Event()
    stop.set()
    assert "a/1" not in list_files(root, recursive=True, allowance=Allowance(10, clock=clock, stop=stop))


def test_folders_that_cannot_be_read_are_named(make, folder, allowance):
    make("a/1")
    make("b/1")

    class ForbiddenRoot(Root):
        def open_folder(self, parts):
            if tuple(parts) == ("a",):
                raise PermissionError(13, "Permission denied")
            return super().open_folder(parts)

    text = list_files(ForbiddenRoot(folder), recursive=True, allowance=allowance)
    assert text.splitlines() == ["a/", "b/", "b/1 (0 bytes)", "[1 folder could not be read: a]"]
