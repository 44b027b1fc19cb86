"""A fork in the middle of everything: the child gets a clear error, the parent goes on, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Ran = Callable[..., str]

PROGRAM = """
import os, sys, threading
from lash_host.errors import StoreError
from lash_host.store import open_store
from lash_host.store.logged import folding
from lash_host.store.points import watch
from lash_host.testing.conformance import SampleSession

path, point, way_out = sys.argv[1:]
folding._ENTRIES = 8
store = open_store(path)
first = SampleSession(store, "first")
first.commit("a")
arrived, go_on = threading.Event(), threading.Event()

def hold(reached):
    if reached == point and not arrived.is_set():
        arrived.set()
        go_on.wait()

answered = []

def commit():
    session = SampleSession(store, "second")
    for number in range(40):
        node = f"n{number}"
        store.commit(session.turn(f"t{number}", node, after=f"n{number - 1}" if number else None))
        answered.append(node)

watch(hold)
writer = threading.Thread(target=commit)
writer.start()
assert arrived.wait(60)

pid = os.fork()
if pid == 0:
    for call in (
        lambda: first.commit("b", after="a"),
        lambda: store.load_session("first"),
        lambda: store.list_sessions(),
        lambda: store.query("SELECT 1"),
        lambda: store.session_info("first"),
        lambda: first.say("hello"),
        lambda: store.check(),
    ):
        try:
            call()
        except StoreError as error:
            if "opened by process" not in str(error):
                os._exit(2)
        else:
            os._exit(1)
    store.close()
    other = open_store(path + ".child")
    SampleSession(other, "own").commit("a")
    other.close()
    if way_out == "long":
        sys.exit(0)
    os._exit(0)

_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, os.waitstatus_to_exitcode(status)
watch(None)
go_on.set()
writer.join(60)
assert len(answered) == 40
assert first.commit("b", after="a").head_revision == 2
assert SampleSession(store, "second").node_ids() == answered
assert not store.check().problems
store.close()
store = open_store(path)
assert SampleSession(store, "second").node_ids() == answered
assert SampleSession(store, "first").node_ids() == ["a", "b"]
assert not store.check().problems
store.close()
print("done")
"""


@pytest.mark.parametrize("way_out", ["short", "long"])
@pytest.mark.parametrize("point", ["before_sync", "after_sync", "in_fold", "after_fold"])
def test_a_fork_in_the_middle(path: Path, ran: Ran, point: str, way_out: str) -> None:
    assert ran(PROGRAM, path, point, way_out) == "done\n"
