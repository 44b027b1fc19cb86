"""Places that cannot be written, and disks that fill up."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lash_host.errors import StoreUnwritable
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

Program = Callable[..., "subprocess.Popen[str]"]

FILL_THE_DISK = """
import os, resource, signal, sys
from lash_host.domain.commit import content_ref
from lash_host.errors import StoreUnwritable
from lash_host.store import open_store
from lash_host.store.dialects import duckdb as dialect
from lash_host.testing.conformance import SampleSession

path, limit, threshold = sys.argv[1], int(sys.argv[2]), sys.argv[3]
dialect._CONFIG["checkpoint_threshold"] = threshold
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(path)
session = SampleSession(store, "alpha")
session.commit("root")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
landed = 0
try:
    while landed < 1_000:
        body = os.urandom(100_000)
        session.commit(f"n{landed}", after=f"n{landed - 1}" if landed else "root", blobs={content_ref(body): body})
        landed += 1
except StoreUnwritable as error:
    print("refused:", error.problem)
assert len(session.node_ids()) == landed + 1, "what was refused has left something"
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
session.commit("after", after=f"n{landed - 1}")
assert len(session.node_ids()) == landed + 2
store.close()
store = open_store(path)
assert len(SampleSession(store, "alpha").node_ids()) == landed + 2
store.close()
print("landed:", landed)
"""


@pytest.mark.parametrize("place", ["/proc/store.duckdb", "/proc/sub/store.duckdb", "/dev/null/store.duckdb"])
def test_a_place_where_nothing_can_be_made(place: str) -> None:
    with pytest.raises(StoreUnwritable) as caught:
        open_store(place)
    assert place in str(caught.value)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnwritable):
        open_store(tmp_path / "file" / "store.duckdb")


@pytest.mark.parametrize(
    ("limit", "threshold"), [(2_000_000, "1GB"), (3_000_000, "1MB")], ids=["in the log", "in a checkpoint"]
)
def test_a_full_disk_fails_one_commit_and_no_more(path: Path, program: Program, limit: int, threshold: str) -> None:
    process = program(FILL_THE_DISK, path, limit, threshold)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    refused, landed = output.splitlines()
    assert "File too large" in refused
    assert int(landed.removeprefix("landed: ")) > 5


def test_a_store_can_be_opened_after_a_failure_to_open(path: Path) -> None:
    path.mkdir()
    with pytest.raises(Exception, match="directory"):
        open_store(path)
    path.rmdir()
    store = open_store(path)
    assert SampleSession(store, "alpha").commit("a").head_revision == 1
    store.close()
