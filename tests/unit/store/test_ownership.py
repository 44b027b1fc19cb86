"""One process at a time, and it can be named."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lash_host.errors import StoreLocked, StoreUnwritable
from lash_host.store import open_store
from lash_host.store.ownership import Ownership
from lash_host.testing.conformance import SampleSession

Holder = Callable[[Path], "subprocess.Popen[str]"]


def test_a_second_process_is_refused_and_told_who_has_it(path: Path, holder: Holder) -> None:
    process = holder(path)
    with pytest.raises(StoreLocked) as caught:
        open_store(path)
    assert f"process {process.pid} (" in str(caught.value)
    assert "open_store" in str(caught.value)
    assert caught.value.retryable


def test_a_refused_process_leaves_the_holder_alone(path: Path, holder: Holder) -> None:
    process = holder(path)
    for _ in range(2):
        with pytest.raises(StoreLocked, match=str(process.pid)):
            open_store(path)


def test_a_killed_process_gives_the_file_up(path: Path, holder: Holder) -> None:
    process = holder(path)
    process.kill()
    process.wait()
    store = open_store(path)
    assert SampleSession(store, "alpha").commit("a").head_revision == 1
    store.close()


def test_another_program_that_has_the_database_open_is_named(
    path: Path, program: Callable[..., subprocess.Popen[str]]
) -> None:
    process = program(
        """
        import duckdb, sys
        connection = duckdb.connect(sys.argv[1])
        print("open", flush=True)
        sys.stdin.read()
        """,
        path,
    )
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(StoreLocked, match=f"process {process.pid} "):
        open_store(path)


def test_the_holder_tells_who_it_is(path: Path) -> None:
    owned = Ownership(path, now_us=1_767_225_600_000_000)
    facts_file = path.with_name("store.duckdb.owner")
    facts = json.loads(facts_file.read_text())
    assert facts["pid"] == os.getpid()
    assert facts["since"] == "2026-01-01T00:00:00+00:00"
    assert facts_file.stat().st_mode & 0o077 == 0
    owned.release()
    assert not facts_file.exists()


@pytest.mark.parametrize("facts", ["", "{", "[]", '{"pid": 1}'])
def test_a_holder_that_cannot_be_read_is_still_a_holder(path: Path, facts: str) -> None:
    owned = Ownership(path, now_us=0)
    path.with_name("store.duckdb.owner").write_text(facts)
    with pytest.raises(StoreLocked, match="another process"):
        Ownership(path, now_us=0)
    owned.release()


def test_ownership_can_be_taken_again_after_its_release(path: Path) -> None:
    first = Ownership(path, now_us=0)
    first.release()
    first.release()
    second = Ownership(path, now_us=0)
    with pytest.raises(StoreLocked):
        Ownership(path, now_us=0)
    second.release()


def test_a_place_without_room_for_a_lock_is_unwritable() -> None:
    with pytest.raises(StoreUnwritable):
        Ownership(Path("/proc/store.duckdb"), now_us=0)
