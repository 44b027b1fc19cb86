from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.reading import read_file
from lash_host_tools_files.resolving import ChangedMeanwhile
from lash_host_tools_files.root import Root
from lash_host_tools_files.writing import write_file


def code_of(root, path):
    with pytest.raises(FileToolError) as caught:
        read_file(root, path)
    assert "SECRET" not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize(
    "path", ["../outside/secret.txt", "a/../../outside/secret.txt", "..", "a/../..", "/etc/passwd"]
)
def test_no_path_leads_outside(root, make, outside, path):
    make("a/b.txt", "inside")
    assert code_of(root, path) == "outside_root"


def test_dots_that_stay_inside_are_followed(root, make):
    make("a/b.txt", "inside")
    make("c.txt", "c")
    assert read_file(root, "./a/../a//b.txt") == "inside"
    assert read_file(root, "a/../c.txt") == "c"


def test_an_absolute_path_is_taken_where_it_begins_with_the_root(root, make, folder, outside):
    make("a/b.txt", "inside")
    assert read_file(root, str(folder / "a" / "b.txt")) == "inside"
    assert code_of(root, str(folder) + "/../outside/secret.txt") == "outside_root"
    assert code_of(root, str(folder) + "-other/x") == "outside_root"
    assert code_of(root, str(outside / "secret.txt")) == "outside_root"


def test_the_root_may_be_a_link_and_keeps_what_it_meant_when_it_was_made(tmp_path, folder, make, outside):
    make("a.txt", "inside")
    link = tmp_path / "link"
    link.symlink_to(folder)
    root = Root(link)
    assert read_file(root, str(link / "a.txt")) == "inside"
    link.unlink()
    link.symlink_to(outside)
    assert read_file(root, "a.txt") == "inside"
    assert code_of(root, "secret.txt") == "not_found"


@pytest.mark.parametrize(
    "path",
    [
        "a\0b",
        "a\nb",
        "a\x1bb",
        "\x7f",
        "..\\outside\\secret.txt",
        "C:\\x",
        "C:/x",
        "c:",
        "\\\\host\\x",
        "\ud800",
        "x" * 256,
        "y/" * 3000,
    ],
)
def test_a_malformed_path_is_refused(root, path):
    assert code_of(root, path) == "invalid_path"


@pytest.mark.parametrize(
    "target", ["../outside/secret.txt", "absolute", "../root/../outside/secret.txt", "/etc/passwd"]
)
def test_a_link_out_is_refused(root, folder, outside, target):
    (folder / "link").symlink_to(outside / "secret.txt" if target == "absolute" else target)
    assert code_of(root, "link") == "outside_root"


def test_a_linked_parent_out_is_refused(root, folder, outside):
    (folder / "link").symlink_to(outside)
    (folder / "deep").mkdir()
    (folder / "deep" / "link").symlink_to("../link")
    assert code_of(root, "link/secret.txt") == "outside_root"
    assert code_of(root, "deep/link/secret.txt") == "outside_root"
    assert code_of(root, "deep/link/missing") == "outside_root"


def test_links_inside_are_followed(root, make, folder):
    make("real/deep/a.txt", "inside")
    (folder / "relative").symlink_to("real/deep")
    (folder / "absolute").symlink_to(folder / "real")
    (folder / "real" / "up").symlink_to("../relative/a.txt")
    (folder / "again").symlink_to("relative/")
    assert read_file(root, "relative/a.txt") == "inside"
    assert read_file(root, "absolute/deep/a.txt") == "inside"
    assert read_file(root, "absolute/up") == "inside"
    assert read_file(root, "again/a.txt") == "inside"
    assert read_file(root, "relative/../deep/a.txt") == "inside"


def test_a_loop_of_links_ends(root, folder):
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    (folder / "self").symlink_to("self/self")
    assert code_of(root, "a") == "symlink_loop"
    assert code_of(root, "self") == "symlink_loop"


def test_what_is_not_a_regular_file_is_refused_and_never_waited_for(root, make, folder, monkeypatch):
    monkeypatch.chdir(folder)
    os.mkfifo(folder / "pipe")
    make("a.txt", "x")
    (folder / "zero").symlink_to("/dev/zero")
    server = socket.socket(socket.AF_UNIX)
    with server:
        server.bind("socket")
    assert code_of(root, "pipe") == "not_a_regular_file"
    assert code_of(root, "socket") == "not_a_regular_file"
    assert code_of(root, "zero") == "outside_root"
    assert code_of(root, ".") == "is_a_folder"
    assert code_of(root, "") == "is_a_folder"
    assert code_of(root, "a.txt/") == "not_a_folder"
    assert code_of(root, "a.txt/b") == "not_a_folder"


def test_a_device_file_is_refused(root, folder):
    try:
        os.mknod(folder / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        assert code_of(Root("/"), "/dev/null") == "not_a_regular_file"
    else:
        assert code_of(root, "null") == "not_a_regular_file"


def test_a_missing_path_names_what_is_near(root, make):
    make("docs/readme.md", "x")
    make("docs/Makefile", "x")
    with pytest.raises(FileToolError, match=r"raedme\.md: not found; did you mean docs/readme\.md\?"):
        read_file(root, "docs/raedme.md")
    with pytest.raises(FileToolError, match="did you mean docs/Makefile"):
        read_file(root, "docs/makefile")
    with pytest.raises(FileToolError, match="did you mean docs"):
        read_file(root, "dosc/readme.md")
    with pytest.raises(FileToolError, match="the nearest existing folder is docs"):
        read_file(root, "docs/zzzzzzzzzzzzz")
    with pytest.raises(FileToolError, match="does not exist"):
        read_file(root, "nowhere/../docs/readme.md")


def test_a_root_that_is_gone_is_said(root, folder):
    folder.rmdir()
    assert code_of(root, "a.txt") == "root_missing"


def test_a_root_that_was_replaced_by_a_link_is_not_followed(root, folder, outside):
    folder.rmdir()
    folder.symlink_to(outside)
    assert code_of(root, "secret.txt") == "root_missing"


def test_the_whole_file_system_can_be_the_root(folder, make):
    path = make("a.txt", "inside")
    assert read_file(Root("/"), str(path)) == "inside"


def open_descriptors():
    return len(list(Path("/dev/fd").iterdir()))


def test_no_descriptor_is_left_open(root, make, folder, outside):
    make("a/b.txt", "x")
    (folder / "link").symlink_to(outside)
    before = open_descriptors()
    for path in ["a/b.txt", "a/../a/b.txt", "link/x", "a", "nope", "a/b.txt/c", "../x"]:
        try:
            read_file(root, path)
        except FileToolError:
            continue
    for path in ["n/o/p.txt", "n/o/p.txt", "a/b.txt", "link/x", ".git/x"]:
        try:
            write_file(root, path, "x")
        except FileToolError:
            continue
    assert open_descriptors() == before


def test_what_keeps_changing_is_given_up(root, make):
    make("a.txt", "x")
    calls = []

    def action(place):
        calls.append(place.name)
        raise ChangedMeanwhile

    with pytest.raises(FileToolError) as caught:
        root.attempt("a.txt", action)
    assert caught.value.code == "changed_meanwhile"
    assert 1 < len(calls) < 100
