from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from lash_host_tools_files import resolving
from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.listing import list_files
from lash_host_tools_files.reading import read_file
from lash_host_tools_files.searching import SearchQuery, search_files
from lash_host_tools_files.walking import Allowance
from lash_host_tools_files.writing import write_file


@pytest.fixture
def swap_after_look(monkeypatch):
    """Run something right after an entry of a name was looked at, before it is used; once."""

    def arrange(name, swap):
        real, todo = resolving.lstat, [swap]

        def lstat(looked_at, *, dir_fd):
            info = real(looked_at, dir_fd=dir_fd)
            if looked_at == name and todo:
                todo.pop()()
            return info

        monkeypatch.setattr(resolving, "lstat", lstat)
        return todo

    return arrange


def replace_by_link(path, target):
    path.rename(path.with_name("aside"))
    path.symlink_to(target)


USES = {
    "read": lambda root: read_file(root, "spot/secret.txt"),
    "list": lambda root: list_files(root, "spot", allowance=Allowance(60)),
    "search": lambda root: search_files(root, SearchQuery(pattern="S"), "spot", allowance=Allowance(60)),
    "write": lambda root: write_file(root, "spot/secret.txt", "new", overwrite=True),
    "make folders": lambda root: write_file(root, "spot/a/b/new.txt", "new"),
}


@pytest.mark.parametrize("use", USES)
def test_a_folder_replaced_by_a_link_after_it_was_looked_at(root, make, outside, swap_after_look, use):
    spot = make("spot/secret.txt", "harmless").parent
    todo = swap_after_look("spot", lambda: replace_by_link(spot, outside))
    with pytest.raises(FileToolError) as caught:
        USES[use](root)
    assert not todo
    assert caught.value.code == "outside_root"
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("secret.txt", "SECRET\n")]


def test_a_file_replaced_by_a_link_after_it_was_looked_at(root, make, folder, outside, swap_after_look):
    make("spot", "harmless")
    swap_after_look("spot", lambda: replace_by_link(folder / "spot", outside / "secret.txt"))
    with pytest.raises(FileToolError) as caught:
        read_file(root, "spot")
    assert caught.value.code == "outside_root"


def test_a_file_replaced_by_a_link_while_it_is_written_replaces_the_link(root, make, folder, outside, swap_after_look):
    make("spot", "harmless")
    swap_after_look("spot", lambda: replace_by_link(folder / "spot", outside / "secret.txt"))
    write_file(root, "spot", "new", overwrite=True)
    assert not (folder / "spot").is_symlink()
    assert (folder / "spot").read_text() == "new"
    assert (outside / "secret.txt").read_text() == "SECRET\n"


def test_a_file_replaced_by_a_pipe_after_it_was_looked_at_is_not_waited_for(root, make, folder, swap_after_look):
    spot = make("spot", "harmless")

    def swap():
        spot.unlink()
        os.mkfifo(spot)

    swap_after_look("spot", swap)
    with pytest.raises(FileToolError) as caught:
        read_file(root, "spot")
    assert caught.value.code == "not_a_regular_file"


def test_a_folder_moved_on_the_way_back_up_is_walked_anew(root, make, folder, outside, swap_after_look):
    make("spot/in/a.txt", "harmless")
    make("spot/b.txt", "harmless")
    swap_after_look("in", lambda: replace_by_link(folder / "spot", outside))
    with pytest.raises(FileToolError) as caught:
        read_file(root, "spot/in/../secret.txt")
    assert caught.value.code == "outside_root"


def swap_links(spot, inner, outer):
    """Put a link inside and a link outside in one place by turns."""
    for target in (inner, outer):
        temporary = spot.with_name("temporary")
        temporary.symlink_to(target)
        temporary.replace(spot)


def swap_folder_and_link(spot, aside, outer):
    """Put a real folder and a link outside in one place by turns."""
    spot.rename(aside)
    spot.symlink_to(outer)
    spot.unlink()
    aside.rename(spot)


def swap_file_and_link(spot, outer):
    """Put a real file and a link outside in one place by turns."""
    temporary = spot.with_name("temporary")
    temporary.write_text("harmless\n")
    temporary.replace(spot)
    temporary.symlink_to(outer)
    temporary.replace(spot)


@contextmanager
def repeated(action):
    """Do something over and over in a thread of its own."""
    done = threading.Event()

    def run():
        while not done.is_set():
            action()

    action()
    thread = threading.Thread(target=run)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("how", ["links", "parent links", "file and link", "folder and link"])
def test_a_link_that_flips_while_files_are_read_never_shows_what_is_outside(root, make, folder, outside, how):
    inner = make("real/secret.txt", "harmless\n")
    spot = folder / "spot"
    path, swap = {
        "links": ("spot", lambda: swap_links(spot, inner, outside / "secret.txt")),
        "parent links": ("spot/secret.txt", lambda: swap_links(spot, inner.parent, outside)),
        "file and link": ("spot", lambda: swap_file_and_link(spot, outside / "secret.txt")),
        "folder and link": ("real/secret.txt", lambda: swap_folder_and_link(inner.parent, spot, outside)),
    }[how]
    seen = Counter()
    with repeated(swap):
        for number in range(200_000):
            if number > 3000 and min(seen["harmless\n"], seen["outside_root"]) > 50:
                break
            try:
                seen[read_file(root, path)] += 1
            except FileToolError as error:
                seen[error.code] += 1
    assert seen["harmless\n"]
    assert seen["outside_root"]
    assert seen.keys() <= {"harmless\n", "outside_root", "changed_meanwhile", "not_found"}


def test_a_link_that_flips_while_files_are_written_never_lets_one_out(root, make, folder, outside):
    inner = make("real/old.txt", "harmless\n")
    spot = folder / "spot"
    seen = Counter()
    with repeated(lambda: swap_links(spot, inner.parent, outside)):
        for number in range(50_000):
            if number > 300 and min(seen["written"], seen["outside_root"]) > 50:
                break
            try:
                write_file(root, f"spot/{number % 7}/new.txt", str(number), overwrite=True)
                seen["written"] += 1
            except FileToolError as error:
                seen[error.code] += 1
    assert seen["written"]
    assert seen["outside_root"]
    assert seen.keys() <= {"written", "outside_root", "changed_meanwhile"}
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "SECRET\n"
