"""Where the bytes of attachments lie."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from lash_host.errors import StoreError, StoreUnwritable
from lash_host.store.attachment_bytes import AttachmentBytes, FileBytes, MemoryBytes, StoredBytes, bytes_beside

NOW = 1_767_225_600_000_001


def name_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "store.duckdb.attachments"


@pytest.fixture(params=["files", "memory"])
def stored(request, folder) -> AttachmentBytes:
    return FileBytes(folder) if request.param == "files" else MemoryBytes()


@pytest.mark.parametrize("body", [b"", b"hello", bytes(range(256)) * 4096])
def test_bytes_come_back_as_they_were(stored, body):
    stored.put(name_of(body), body, now_us=NOW)
    assert stored.get(name_of(body)) == body
    assert list(stored.stored()) == [StoredBytes(attachment_id=name_of(body), size_bytes=len(body), modified_at_us=NOW)]


def test_an_empty_place_has_nothing_and_stays_as_it_is(stored, tmp_path):
    assert stored.get(name_of(b"a")) is None
    assert list(stored.stored()) == []
    assert not stored.delete(name_of(b"a"), not_after_us=NOW)
    assert list(tmp_path.iterdir()) == []


def test_equal_bytes_are_stored_once_with_the_latest_time(stored):
    for now_us in (NOW, NOW + 7):
        stored.put(name_of(b"a"), b"a", now_us=now_us)
    assert [one.modified_at_us for one in stored.stored()] == [NOW + 7]


def test_bytes_put_after_the_moment_are_not_deleted(stored):
    stored.put(name_of(b"a"), b"a", now_us=NOW)
    stored.put(name_of(b"b"), b"b", now_us=NOW)
    stored.put(name_of(b"a"), b"a", now_us=NOW + 1)
    assert not stored.delete(name_of(b"a"), not_after_us=NOW)
    assert stored.delete(name_of(b"b"), not_after_us=NOW)
    assert not stored.delete(name_of(b"b"), not_after_us=NOW)
    assert [one.attachment_id for one in stored.stored()] == [name_of(b"a")]
    assert stored.get(name_of(b"b")) is None


def test_a_file_lies_under_the_name_of_its_content(folder):
    FileBytes(folder).put(name_of(b"a"), b"a", now_us=NOW)
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert files == [Path(name_of(b"a")[:2]) / name_of(b"a")[2:]]


def test_files_outlive_the_object(folder):
    FileBytes(folder).put(name_of(b"a"), b"a", now_us=NOW)
    again = FileBytes(folder)
    assert again.get(name_of(b"a")) == b"a"
    assert [one.modified_at_us for one in again.stored()] == [NOW]


def test_a_file_is_whole_and_synced_before_it_has_its_name(folder, monkeypatch):
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        done.append(f"sync {kind}")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    stored = FileBytes(folder)
    stored.put(name_of(b"a"), b"a", now_us=NOW)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    beside = next(body for body in map(str.encode, map(str, range(9_999))) if name_of(body)[:2] == name_of(b"a")[:2])
    stored.put(name_of(beside), beside, now_us=NOW)
    assert done == ["sync file", "rename", "sync folder"]


def test_what_a_killed_process_left_unfinished_goes_with_the_next_write(folder):
    unfinished = folder / "unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "1-abc").write_bytes(b"half")
    (unfinished / f"{os.getpid()}-abc").write_bytes(b"ours")
    stored = FileBytes(folder)
    assert list(stored.stored()) == []
    stored.put(name_of(b"a"), b"a", now_us=NOW)
    assert [path.name for path in unfinished.iterdir()] == [f"{os.getpid()}-abc"]


def test_putting_again_heals_damaged_bytes(folder):
    stored = FileBytes(folder)
    stored.put(name_of(b"right"), b"right", now_us=NOW)
    path = folder / name_of(b"right")[:2] / name_of(b"right")[2:]
    path.write_bytes(b"wrong")
    stored.put(name_of(b"right"), b"right", now_us=NOW + 1)
    assert stored.get(name_of(b"right")) == b"right"
    assert [one.modified_at_us for one in stored.stored()] == [NOW + 1]


@pytest.mark.parametrize("name", ["../../secret", "", "a" * 63, "A" * 64, "a" * 64 + "\n", "/etc/passwd"])
def test_nothing_outside_the_folder_has_a_name(folder, name):
    (folder.parent / "secret").write_bytes(b"secret")
    stored = FileBytes(folder)
    assert stored.get(name) is None
    assert not stored.delete(name, not_after_us=NOW)
    with pytest.raises(StoreError, match="SHA-256"):
        stored.put(name, b"x", now_us=NOW)
    assert (folder.parent / "secret").read_bytes() == b"secret"


def test_files_of_others_are_not_taken_for_attachments(folder):
    (folder / "ab").mkdir(parents=True)
    (folder / "ab" / "notes.txt").write_bytes(b"mine")
    (folder / "ab" / "d").mkdir()
    assert list(FileBytes(folder).stored()) == []


def test_a_place_that_cannot_be_written_says_so(folder):
    folder.write_bytes(b"a file where the folder is to be")
    with pytest.raises(StoreUnwritable, match=r"store\.duckdb\.attachments"):
        FileBytes(folder).put(name_of(b"a"), b"a", now_us=NOW)


def test_a_disk_that_is_full_leaves_nothing_half_done(folder, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    stored = FileBytes(folder)
    stored.put(name_of(b"a"), b"a", now_us=NOW)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnwritable, match="No space left"):
        stored.put(name_of(b"b"), b"b", now_us=NOW)
    monkeypatch.undo()
    assert list((folder / "unfinished").iterdir()) == []
    assert [one.attachment_id for one in stored.stored()] == [name_of(b"a")]


def test_bytes_that_cannot_be_read_or_deleted_say_so(folder):
    path = folder / name_of(b"a")[:2] / name_of(b"a")[2:]
    path.mkdir(parents=True)
    stored = FileBytes(folder)
    with pytest.raises(StoreError, match="cannot be read"):
        stored.get(name_of(b"a"))
    with pytest.raises(StoreUnwritable):
        stored.delete(name_of(b"a"), not_after_us=2 * NOW)


def test_a_store_keeps_its_bytes_beside_it(tmp_path):
    bytes_beside(tmp_path / "store.duckdb").put(name_of(b"a"), b"a", now_us=NOW)
    assert (tmp_path / "store.duckdb.attachments").is_dir()
    assert isinstance(bytes_beside(None), MemoryBytes)
