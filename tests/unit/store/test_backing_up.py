"""Backups of stores that are files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.errors import ForeignStore, StoreLocked, StoreUnwritable, UsageFault
from lash_host.store import open_store
from lash_host.store.backing_up import back_up_store
from lash_host.store.dialects.duckdb_backup import write_backup
from lash_host.testing.conformance import SampleSession

Program = Callable[..., "subprocess.Popen[str]"]

COMMIT_AND_DIE = """
import os, signal, sys
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

store = open_store(sys.argv[1])
SampleSession(store, "alpha").commit("a", "b")
os.kill(os.getpid(), signal.SIGKILL)
"""


BACK_UP_AND_DIE = """
import os, signal, sys
from lash_host.store.backing_up import back_up_store
from lash_host.store.points import watch

watch(lambda point: os.kill(os.getpid(), signal.SIGKILL))
back_up_store(sys.argv[1], sys.argv[2])
print("finished")
"""


@pytest.fixture
def filled(path: Path, store: SessionStore) -> Path:
    session = SampleSession(store, "alpha")
    session.commit("a", "b")
    ref = store.put_attachment("alpha", b"bytes", media_type="text/plain")
    store.commit_attachments("alpha", [ref.attachment_id])
    store.close()
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "copy.duckdb"


def test_a_backup_is_a_store(filled: Path, target: Path) -> None:
    target.parent.mkdir()
    report = back_up_store(filled, target)
    assert (report.path, report.attachments, report.size_bytes) == (target, 1, target.stat().st_size)
    store = open_store(target)
    assert SampleSession(store, "alpha").node_ids() == ["a", "b"]
    (ref,) = store.list_attachments("alpha")
    assert store.get_attachment("alpha", ref.attachment_id) == b"bytes"
    assert store.check().problems == ()
    store.close()


def test_a_backup_leaves_nothing_but_itself_and_the_store_as_it_was(filled: Path, target: Path) -> None:
    target.parent.mkdir()
    before = filled.read_bytes()
    back_up_store(filled, target)
    assert filled.read_bytes() == before
    assert {path.name for path in target.parent.iterdir()} == {"copy.duckdb", "copy.duckdb.attachments"}


def test_what_a_crash_left_in_the_log_is_in_the_backup(path: Path, target: Path, program: Program) -> None:
    target.parent.mkdir()
    program(COMMIT_AND_DIE, path).communicate(timeout=60)
    assert Path(f"{path}.wal").exists()
    back_up_store(path, target)
    store = open_store(target)
    report = store.check()
    assert (SampleSession(store, "alpha").node_ids(), report.commits, report.problems) == (["a", "b"], 1, ())
    store.close()


def test_a_backup_keeps_the_schema_version(store_v1: Callable[[Path], Path], path: Path, target: Path) -> None:
    target.parent.mkdir()
    back_up_store(store_v1(path), target)
    with duckdb.connect(target, read_only=True) as connection:
        found = connection.execute("SELECT value FROM lash_tables.meta WHERE key = 'schema_version'").fetchone()
        messages = connection.execute("SELECT count(*) FROM usage.messages").fetchone()
    assert (found, messages) == (("1",), (32,))


def test_nothing_is_overwritten(filled: Path, target: Path) -> None:
    target.parent.mkdir()
    target.write_text("mine")
    with pytest.raises(UsageFault, match="is there already, and nothing is overwritten"):
        back_up_store(filled, target)
    assert target.read_text() == "mine"
    with pytest.raises(UsageFault, match="is there already"):
        back_up_store(filled, filled)


def test_what_appears_meanwhile_is_not_overwritten(filled: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target.parent.mkdir()
    monkeypatch.setattr("lash_host.store.dialects.duckdb_backup.reached", lambda _: target.write_text("mine"))
    with pytest.raises(StoreUnwritable, match="nothing is overwritten"):
        back_up_store(filled, target)
    assert target.read_text() == "mine"


def test_a_backup_that_fails_leaves_no_file(filled: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(point: str) -> None:
        raise OSError(28, "No space left on device")

    target.parent.mkdir()
    monkeypatch.setattr("lash_host.store.dialects.duckdb_backup.reached", fail)
    with pytest.raises(StoreUnwritable, match="No space left"):
        back_up_store(filled, target)
    assert [path.name for path in target.parent.iterdir()] == ["copy.duckdb.attachments"]
    monkeypatch.undo()
    assert back_up_store(filled, target).attachments == 1


def test_a_backup_that_was_killed_is_made_again(filled: Path, target: Path, program: Program) -> None:
    target.parent.mkdir()
    process = program(BACK_UP_AND_DIE, filled, target)
    assert process.communicate(timeout=60)[0] == ""
    assert not target.exists()
    assert back_up_store(filled, target).attachments == 1
    assert {path.name for path in target.parent.iterdir()} == {"copy.duckdb", "copy.duckdb.attachments"}


def test_a_store_that_a_process_has_open_is_not_backed_up(
    path: Path, target: Path, holder: Callable[[Path], subprocess.Popen[str]]
) -> None:
    process = holder(path)
    with pytest.raises(StoreLocked, match=str(process.pid)):
        back_up_store(path, target)


def test_a_store_that_this_process_has_open_is_not_backed_up(store: SessionStore, path: Path, target: Path) -> None:
    with pytest.raises(StoreLocked):
        back_up_store(path, target)
    assert store.list_sessions() == []


def test_beside_the_log_of_a_file_that_was_removed_none_is_made(filled: Path, target: Path) -> None:
    target.parent.mkdir()
    log = Path(f"{target}.wal")
    log.write_bytes(b"of another file")
    with pytest.raises(UsageFault, match="wal is there already"):
        back_up_store(filled, target)
    with pytest.raises(FileExistsError):
        write_backup(filled, target)
    assert [left.name for left in target.parent.iterdir()] == [log.name]


def test_a_folder_that_is_not_there_is_said(filled: Path, target: Path) -> None:
    with pytest.raises(StoreUnwritable):
        back_up_store(filled, target)


def test_other_things_are_refused(path: Path, target: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="there is no store at"):
        back_up_store(path, target)
    with pytest.raises(UsageFault, match="in memory cannot be backed up"):
        back_up_store(":memory:", target)
    with pytest.raises(UsageFault, match="is not a file to back up to"):
        back_up_store(path, "postgresql+psycopg://user@host/database")
    with pytest.raises(UsageFault, match="use pg_dump, or lash store copy to a DuckDB file"):
        back_up_store("postgresql+psycopg://user@host/database", target)
    target.parent.mkdir()
    (tmp_path / "text.duckdb").write_text("not a database")
    with pytest.raises(ForeignStore):
        back_up_store(tmp_path / "text.duckdb", target)
    assert list(target.parent.iterdir()) == []
