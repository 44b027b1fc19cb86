from __future__ import annotations

import errno
import os
import stat

import pytest

from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.writing import write_file


def refused(root, path, content="new", **kwargs):
    with pytest.raises(FileToolError) as caught:
        write_file(root, path, content, **kwargs)
    return caught.value.code


def all_names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_new_file_is_made_with_its_folders(root, folder):
    assert write_file(root, "a/b/c.txt", "thrée\n") == "created a/b/c.txt (7 bytes)"
    assert (folder / "a/b/c.txt").read_bytes() == "thrée\n".encode()
    assert all_names(folder) == ["a", "b", "c.txt"]


def test_an_empty_file_can_be_written(root, folder):
    assert write_file(root, "a.txt", "") == "created a.txt (0 bytes)"
    assert (folder / "a.txt").read_bytes() == b""


def test_a_new_file_gets_the_permissions_the_umask_leaves(root, folder):
    before = os.umask(0o027)
    try:
        write_file(root, "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "a.txt").stat().st_mode) == 0o640


def test_what_is_there_is_replaced_only_when_asked(root, make):
    path = make("a.txt", "old")
    assert refused(root, "a.txt") == "already_exists"
    assert path.read_text() == "old"
    assert write_file(root, "a.txt", "new", overwrite=True) == "replaced a.txt (3 bytes)"
    assert path.read_text() == "new"


@pytest.mark.parametrize("mode", [0o755, 0o600, 0o644, 0o664])
def test_a_replaced_file_keeps_its_permissions(root, make, mode):
    path = make("run.sh", "old")
    path.chmod(mode)
    write_file(root, "run.sh", "new", overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_replaced_file_loses_what_makes_it_run_as_another(root, make):
    path = make("run", "old")
    path.chmod(0o6755)
    write_file(root, "run", "new", overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_replaced_file_keeps_its_owner(root, make):
    path = make("a.txt", "old")
    os.chown(path, 12345, 12345)
    write_file(root, "a.txt", "new", overwrite=True)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12345)


def test_a_reader_never_sees_half_a_file(root, make):
    path = make("a.txt", "old")
    with path.open() as reader:
        write_file(root, "a.txt", "new", overwrite=True)
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_read_only_files_are_left_alone(root, make):
    path = make("a.txt", "old")
    path.chmod(0o444)
    assert refused(root, "a.txt", overwrite=True) == "read_only"
    assert path.read_text() == "old"


def test_links_inside_are_written_through(root, make, folder):
    make("real/a.txt", "old")
    (folder / "link").symlink_to("real/a.txt")
    (folder / "dangling").symlink_to("real/b.txt")
    assert write_file(root, "link", "new", overwrite=True) == "replaced real/a.txt (3 bytes)"
    assert write_file(root, "dangling", "new") == "created real/b.txt (3 bytes)"
    assert (folder / "link").is_symlink()
    assert (folder / "real/a.txt").read_text() == "new"


def test_nothing_is_written_outside(root, folder, outside):
    (folder / "file").symlink_to(outside / "secret.txt")
    (folder / "new").symlink_to(outside / "new.txt")
    (folder / "folder").symlink_to(outside)
    (folder / "a").mkdir()
    for path in ["file", "new", "folder/x", "folder/a/b", "../x", "/absolute/x", "a/../../x"]:
        assert refused(root, path, overwrite=True) == "outside_root"
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "SECRET\n"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("folder", "is_a_folder"),
        ("folder/", "is_a_folder"),
        ("new/", "is_a_folder"),
        (".", "is_a_folder"),
        ("", "is_a_folder"),
        ("new/..", "is_a_folder"),
        ("pipe", "not_a_regular_file"),
        ("file/x", "not_a_folder"),
        ("nope/../x", "not_found"),
        ("a\0b", "invalid_path"),
        ("a\\b", "invalid_path"),
        (".git/hooks/pre-commit", "protected_path"),
        ("folder/.GIT/config", "protected_path"),
        (".git", "protected_path"),
        ("alias/config", "protected_path"),
    ],
)
def test_what_cannot_be_written(root, make, folder, path, code):
    (folder / "folder").mkdir()
    (folder / ".git").mkdir()
    (folder / "alias").symlink_to(".git")
    make("file", "x")
    os.mkfifo(folder / "pipe")
    before = all_names(folder)
    assert refused(root, path, overwrite=True) == code
    assert all_names(folder) == before


def test_gitignore_is_a_file_like_any_other(root):
    assert write_file(root, ".gitignore", "x") == "created .gitignore (1 byte)"


def test_content_must_be_text_of_bearable_size(root, folder):
    assert refused(root, "a.txt", "\ud800") == "invalid_argument"
    assert refused(root, "a.txt", "x" * (8 * 1024 * 1024 + 1)) == "too_large"
    assert all_names(folder) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(root, make, folder, monkeypatch, step):
    make("a.txt", "old")

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    assert refused(root, "a.txt", overwrite=True) == "io_error"
    assert all_names(folder) == ["a.txt"]
    assert (folder / "a.txt").read_text() == "old"


def test_a_file_that_appears_meanwhile_is_not_replaced(root, folder):
    def appear():
        (folder / "a.txt").write_text("theirs")
        return "word"

    assert refused(root, "a.txt", new_name=appear) == "already_exists"
    assert (folder / "a.txt").read_text() == "theirs"
    assert all_names(folder) == ["a.txt"]


def test_file_systems_without_hard_links_do_too(root, folder, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    assert write_file(root, "a.txt", "x") == "created a.txt (1 byte)"
    assert refused(root, "a.txt") == "already_exists"
    assert all_names(folder) == ["a.txt"]


def test_file_systems_that_cannot_sync_folders_do_too(root, folder, monkeypatch):
    real = os.fsync

    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    assert write_file(root, "b/a.txt", "x") == "created b/a.txt (1 byte)"


def test_temporary_names_fit_beside_the_longest_name(root, folder):
    name = "n" * 255
    assert write_file(root, name, "x") == f"created {name} (1 byte)"
    assert write_file(root, name, "y", overwrite=True) == f"replaced {name} (1 byte)"
    assert all_names(folder) == [name]
