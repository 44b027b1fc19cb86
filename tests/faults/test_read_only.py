"""Places that are read-only, and files of another process: the error says which and what, and nothing is touched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from lash_host.errors import StoreLocked
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

Program = Callable[..., "subprocess.Popen[str]"]
Ran = Callable[..., str]

READ_ONLY = """
import os, sys
from pathlib import Path
from crashing.disk import make_read_only
from lash_host.errors import StoreUnwritable
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

path, read_only = Path(sys.argv[1]), Path(sys.argv[2])
store = open_store(path)
session = SampleSession(store, "alpha")
session.commit("a")
store.close()
before = path.read_bytes()
make_read_only(read_only)
for create in (True, False):
    try:
        open_store(path, create=create)
    except StoreUnwritable as error:
        assert str(path) in str(error), error
        print(error.problem)
    else:
        raise AssertionError("it was opened")
assert path.read_bytes() == before
assert not Path(f"{path}.wal").exists()
"""

HOLD = """
import os, sys
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

store = open_store(sys.argv[1])
SampleSession(store, "alpha").commit("a")
print("committed", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("what", ["store.duckdb", "."])
def test_a_read_only_place_is_said_to_be_one(tmp_path: Path, ran_with_mounts: Ran, what: str) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    said = ran_with_mounts(READ_ONLY, folder / "store.duckdb", folder / what).splitlines()
    assert len(said) == 2
    assert all("Read-only file system" in problem or "Permission denied" in problem for problem in said)


def test_what_another_process_holds_can_be_opened_neither_to_write_nor_to_read(path: Path, program: Program) -> None:
    process = program(HOLD, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "committed\n"
    for _ in range(2):
        with pytest.raises(StoreLocked, match=f"process {process.pid} "):
            open_store(path)
        with pytest.raises(duckdb.IOException, match=str(process.pid)):
            duckdb.connect(path, read_only=True)


def test_a_killed_holder_is_in_nobodys_way(path: Path, program: Program) -> None:
    process = program(HOLD, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "committed\n"
    process.kill()
    process.wait()
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.execute("SELECT node_id FROM lash_rows.nodes").fetchall() == [("a",)]
    store = open_store(path)
    session = SampleSession(store, "alpha")
    assert session.node_ids() == ["a"]
    assert session.commit("b", after="a").head_revision == 2
    store.close()
