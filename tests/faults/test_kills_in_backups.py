"""A backup that is killed has no name yet; it can be made again, and the store is as it was."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
from crashing.programs import Program
from crashing.rounds import Kill

from lash_host.errors import UsageFault
from lash_host.store import open_store
from lash_host.store.backing_up import back_up_store
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import draft

BackUp = Callable[[Kill], int]

BODIES = [f"attached {number}".encode() for number in range(3)]
HALF = {"copy.duckdb.unfinished", "copy.duckdb.unfinished.wal", "copy.duckdb.attachments"}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "copy.duckdb"


@pytest.fixture
def back_up(tmp_path: Path, path: Path, target: Path) -> Iterator[BackUp]:
    """Have another process back up a store, killed as a test says; give how it ended."""
    with closing(open_store(path)) as store:
        session = SampleSession(store, "alpha")
        refs = [store.put_attachment("alpha", body, media_type="text/plain").attachment_id for body in BODIES]
        session.commit("a", "b", checkpoint=draft(tool_state=b"tools"), attachment_ids=tuple(refs))
    program = Program("-m", "crashing.worker", said=tmp_path / "said")

    def run(kill: Kill) -> int:
        (tmp_path / "notes").touch()
        orders = {"url": str(path), "backup": str(target), "notes": str(tmp_path / "notes"), **asdict(kill)}
        status: int = program.ask(orders)
        return status

    yield run
    program.close()


def is_whole(path: Path) -> bool:
    with closing(open_store(path, create=False)) as store:
        bodies = {store.get_attachment("alpha", ref.attachment_id) for ref in store.list_attachments("alpha")}
        assert SampleSession(store, "alpha").node_ids() == ["a", "b"]
        return bodies == set(BODIES) and store.check().problems == ()


def test_a_backup_that_is_killed_looks_like_none(back_up: BackUp, path: Path, target: Path) -> None:
    for point, nth in (("in_backup", 1), ("in_backup", 3), ("in_backup", 4), ("after_backup", 1)):
        assert back_up(Kill(point=point, nth=nth, after_first_answer=False)) == -signal.SIGKILL
        assert {left.name for left in target.parent.iterdir()} <= HALF
        with pytest.raises(UsageFault):
            open_store(target, create=False)
    assert is_whole(path)
    assert back_up_store(path, target).attachments == len(BODIES)
    assert {left.name for left in target.parent.iterdir()} == {"copy.duckdb", "copy.duckdb.attachments"}
    assert is_whole(target)


def test_a_backup_that_is_killed_at_any_time_is_whole_or_none(back_up: BackUp, path: Path, target: Path) -> None:
    whole = []
    for number in range(6):
        status = back_up(Kill(after_s=0.02 * number, after_first_answer=False))
        assert status in {-signal.SIGKILL, 0}
        whole.append(target.exists())
        assert whole[-1] or status, "it ended well and left nothing"
        if whole[-1]:
            assert is_whole(target)
            target.unlink()
    assert not all(whole)
    back_up_store(path, target)
    assert is_whole(target)
    assert is_whole(path)
