"""Ends of processes, and what plain DuckDB sees of the file that one left."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired
from lash_host.errors import SessionLeaseExpired
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import TTL_MS, model_call
from lash_host.usage.views import builtin_views

Program = Callable[..., "subprocess.Popen[str]"]

COMMIT_AND = """
import os, sys, threading
from lash_host.errors import SessionLeaseExpired
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

store = open_store(sys.argv[1])
session = SampleSession(store, "alpha")
store.commit(session.turn("t1", "a"))
session.say()
{ending}
"""

READ_PLAINLY = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print(connection.execute("SELECT turn_id, outcome, model_calls, input_tokens FROM usage.turns ORDER BY 1").fetchall())
print(connection.execute("SELECT session_id, turns, messages FROM usage.sessions ORDER BY 1").fetchall())
print(connection.execute("SELECT count(*) FROM lash_tables.turns").fetchall())
"""


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "store.close()",
        "sys.exit(0)",
        "session.store = store = None",
        "threading.Thread(target=session.say).start()",
    ],
    ids=["runs out", "closes", "exits", "lets go", "another thread goes on"],
)
def test_a_process_that_ends_says_nothing_and_loses_nothing(path: Path, program: Program, ending: str) -> None:
    process = program(COMMIT_AND.format(ending=ending), path)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output, errors) == (0, "", "")
    store = open_store(path)
    session = SampleSession(store, "alpha")
    assert session.node_ids() == ["a"]
    assert len(session.pending()) >= 1
    assert store.check().problems == ()
    store.close()


def test_an_error_that_ends_a_process_is_the_only_thing_it_says(path: Path, program: Program) -> None:
    process = program(COMMIT_AND.format(ending="raise SystemExit('enough')"), path)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (1, "enough\n")
    store = open_store(path)
    assert SampleSession(store, "alpha").node_ids() == ["a"]
    store.close()


def test_a_fork_that_exits_the_long_way_while_its_parent_folds_ends(path: Path, program: Program) -> None:
    ending = """
log = store._engine._log
with log._folder._noted, log._folder.folding:
    pid = os.fork()
    if pid == 0:
        sys.exit(7)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status), session.node_ids())
"""
    process = program(COMMIT_AND.format(ending=ending), path)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "7 ['a']\n"), errors


def test_a_fork_of_a_process_that_is_writing_is_told_to_open_its_own(path: Path, program: Program) -> None:
    ending = """
from lash_host.errors import StoreError

with store._engine._log._deciding:
    pid = os.fork()
    if pid == 0:
        for call in (lambda: store.session_info("alpha"), session.say, store.vacuum):
            try:
                call()
            except StoreError as error:
                print("open the store after forking" in str(error), flush=True)
        os._exit(7)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status), session.node_ids())
"""
    process = program(COMMIT_AND.format(ending=ending), path)
    output, errors = process.communicate(timeout=120)
    assert output == "True\nTrue\nTrue\n7 ['a']\n", errors


@pytest.mark.parametrize("mode", ["read", "write"])
def test_plain_duckdb_sees_turns_that_were_never_folded(
    path: Path, store: SessionStore, crash_copy: Callable[[Path], Path], program: Program, mode: str
) -> None:
    store.install_views(builtin_views())
    session = SampleSession(store, "alpha")
    store.commit(session.turn("t1", "a", "b", model_calls=(model_call("c", input_tokens=7),)))
    assert store._engine.fold()
    store.commit(session.turn("t2", "c", after="b"))
    store.commit(SampleSession(store, "beta").turn("t1", "x"))
    process = program(READ_PLAINLY, crash_copy(path), mode)
    output, errors = process.communicate(timeout=120)
    assert errors == ""
    turns, sessions, folded = map(eval, output.splitlines())
    assert [turn[0] for turn in turns] == ["t1", "t1", "t2"]
    assert {turn[1] for turn in turns} == {"finished"}
    assert sessions == [("alpha", 2, 3), ("beta", 1, 1)]
    assert folded == [(1,)]


@pytest.mark.parametrize("ends", ["closed", "crashed"])
def test_a_fence_of_before_a_restart_is_stale_for_ever(
    path: Path, store: SessionStore, crash_copy: Callable[[Path], Path], ends: str
) -> None:
    session = SampleSession(store, "alpha")
    fences = [session.claim()]
    for _ in range(100):
        store.release_lease(fences[-1])
        fences.append(session.claim())
    place = crash_copy(path) if ends == "crashed" else path
    store.close()
    again = open_store(place)
    for _ in range(3):
        claimed = again.claim_lease("alpha", session.owner, ttl_ms=TTL_MS)
        assert isinstance(claimed, LeaseAcquired)
        fences.append(claimed.lease.fence)
        again.release_lease(claimed.lease.fence)
    tokens = [fence.fencing_token for fence in fences]
    assert tokens == sorted(set(tokens))
    with pytest.raises(SessionLeaseExpired):
        again.renew_lease(fences[100], ttl_ms=TTL_MS)
    again.close()
