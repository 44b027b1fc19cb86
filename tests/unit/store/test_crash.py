"""What was acknowledged survives a kill; what was forked off does no harm."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.errors import StoreError
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

Program = Callable[..., "subprocess.Popen[str]"]

COMMIT_FOR_EVER = """
import sys
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

store = open_store(sys.argv[1])
session = SampleSession(store, "alpha")
known = store.session_info("alpha")
number = known.head_revision if known else 0
while True:
    store.commit(session.turn(f"t{number}", f"n{number}", after=f"n{number - 1}" if number else None))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 20])
def test_nothing_acknowledged_is_lost_by_kill_9(path: Path, program: Program, acknowledged: int) -> None:
    last = -1
    for _ in range(2):
        process = program(COMMIT_FOR_EVER, path)
        assert process.stdout is not None
        for _ in range(acknowledged):
            last = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read()  # what readline has read ahead, too
        process.wait(60)
        last = max([last, *map(int, rest.split())])
        store = open_store(path)
        nodes = SampleSession(store, "alpha").node_ids()
        info = store.session_info("alpha")
        store.close()
        assert info is not None
        assert nodes == [f"n{number}" for number in range(len(nodes))]
        assert len(nodes) == info.head_revision == info.turns
        assert last + 1 <= len(nodes) <= last + 2


def _in_a_fork(action: Callable[[], int]) -> int:
    """Run ``action`` in a forked child; give its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(action())
        finally:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def test_a_forked_child_is_told_to_open_its_own(store: SessionStore) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")

    def use() -> int:
        for call in (lambda: store.session_info("alpha"), lambda: session.commit("b"), lambda: store.query("SELECT 1")):
            try:
                call()
            except StoreError as error:
                if "opened by process" not in str(error):
                    return 2
            else:
                return 1
        store.close()
        return 0

    assert _in_a_fork(use) == 0
    assert session.commit("b", after="a").head_revision == 2


def test_a_forked_child_may_open_another_store(store: SessionStore, tmp_path: Path) -> None:
    def use() -> int:
        other = open_store(tmp_path / "child.duckdb")
        revision = SampleSession(other, "alpha").commit("a").head_revision
        other.close()
        return 0 if revision == 1 else 1

    SampleSession(store, "alpha").commit("a")
    assert _in_a_fork(use) == 0


def test_a_child_that_exits_the_long_way_harms_nothing(path: Path, program: Program) -> None:
    process = program(
        """
        import os, sys
        from lash_host.store import open_store
        from lash_host.testing.conformance import SampleSession

        store = open_store(sys.argv[1])
        session = SampleSession(store, "alpha")
        session.commit("a")
        result = store.query("SELECT 1")
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        session.commit("b", after="a")
        os._exit(0)
        """,
        path,
    )
    output, errors = process.communicate()
    assert output == "7\n", errors
    store = open_store(path)
    assert SampleSession(store, "alpha").node_ids() == ["a", "b"]
    store.close()
