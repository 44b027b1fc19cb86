"""Ctrl-C in the thread that writes for others: nobody hangs, nobody is told what is not so, and the store goes on."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.errors import StoreError
from lash_host.store import open_store
from lash_host.store.points import watch
from lash_host.testing.conformance import SampleSession

Program = Callable[..., "subprocess.Popen[str]"]
Ran = Callable[..., str]

_TIMEOUT_S = 60


@pytest.fixture
def store(path: Path) -> Iterator[SessionStore]:
    store = open_store(path)
    yield store
    watch(None)
    store.close()


@contextmanager
def _held_back(store: SessionStore) -> Iterator[None]:
    """Let nobody write during the body, so that what is asked for meanwhile is written together."""
    with store._engine._log._deciding:
        yield


def _until_waiting(store: SessionStore, count: int) -> None:
    turn = threading.Event()
    while len(store._engine._log._waiting) < count:
        turn.wait(0.001)


@pytest.mark.parametrize("point", ["before_sync", "after_sync"])
def test_an_interrupted_writer_leaves_nobody_hanging(store: SessionStore, point: str) -> None:
    sessions = [SampleSession(store, f"s{number}") for number in range(8)]
    commits = [session.draft("a") for session in sessions]
    told: dict[int, object] = {}

    def commit(number: int) -> None:
        try:
            told[number] = store.commit(commits[number]).head_revision
        except (StoreError, KeyboardInterrupt) as error:
            told[number] = error

    def interrupt(reached: str) -> None:
        if reached == point:
            watch(None)
            raise KeyboardInterrupt

    threads = [threading.Thread(target=commit, args=(number,), daemon=True) for number in range(8)]
    with _held_back(store):
        for thread in threads:
            thread.start()
        _until_waiting(store, 8)
        watch(interrupt)
    for thread in threads:
        thread.join(_TIMEOUT_S)
    assert not any(thread.is_alive() for thread in threads)
    assert sum(isinstance(answer, KeyboardInterrupt) for answer in told.values()) == 1
    for number, session in enumerate(sessions):
        info = store.session_info(session.session_id)
        landed = 0 if info is None else info.head_revision
        assert landed == 1 or told[number] != 1
        assert session.on(store).commit("b", after="a" if landed else None).head_revision == landed + 1
    assert not store.check().problems


REALLY_INTERRUPTED = """
import faulthandler, os, random, signal, sys, threading, time
from lash_host.errors import StoreError
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

faulthandler.dump_traceback_later(240, exit=True)
store = open_store(sys.argv[1])
wanted, over, inside, interrupts, unknown = int(sys.argv[2]), threading.Event(), False, 0, 0
sessions = {}

class Writing:
    def __init__(self, name):
        self.session, self.nodes = SampleSession(store, name), []
        sessions[name] = self

    def next(self):
        node = f"{self.session.session_id}.{len(self.nodes)}"
        return node, self.session.turn(f"t.{node}", node, after=self.nodes[-1] if self.nodes else None)

    def find_out(self, node):
        info = store.session_info(self.session.session_id)
        landed = 0 if info is None else info.head_revision
        assert landed in (len(self.nodes), len(self.nodes) + 1), (landed, len(self.nodes))
        if landed > len(self.nodes):
            self.nodes.append(node)

def commit_until_over(writing):
    global unknown
    try:
        while not over.is_set():
            node, commit = None, None
            try:
                node, commit = writing.next()
                store.commit(commit)
                writing.nodes.append(node)
            except StoreError as error:
                assert "interrupted" in str(error), error
                unknown += 1
                if node is not None:
                    writing.find_out(node)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(5)

def handler(number, frame):
    global inside
    if inside:
        inside = False
        raise KeyboardInterrupt

def interrupt():
    while not over.is_set():
        time.sleep(random.uniform(0.0, 0.004))
        os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, handler)
mine = Writing("main")
threads = [threading.Thread(target=commit_until_over, args=(Writing(f"other{n}"),), daemon=True) for n in range(3)]
threads.append(threading.Thread(target=interrupt, daemon=True))
for thread in threads:
    thread.start()
while interrupts < wanted:
    node, commit = mine.next()
    try:
        inside = True
        store.commit(commit)
        inside = False
        mine.nodes.append(node)
    except KeyboardInterrupt:
        interrupts += 1
        mine.find_out(node)
over.set()
for thread in threads:
    thread.join(60)
assert not any(thread.is_alive() for thread in threads)
for name, writing in sessions.items():
    assert writing.session.node_ids() == writing.nodes, name
assert not store.check().problems
store.close()
store = open_store(sys.argv[1])
for name, writing in sessions.items():
    assert SampleSession(store, name).node_ids() == writing.nodes, name
store.close()
print(interrupts, unknown, {name: len(writing.nodes) for name, writing in sessions.items()})
"""


def test_interrupts_at_any_moment(path: Path, ran: Ran) -> None:
    assert ran(REALLY_INTERRUPTED, path, 100).startswith("100 ")


ENDS_MEANWHILE = """
import sys, threading
from lash_host.errors import StoreError
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

store, busy = open_store(sys.argv[1]), threading.Barrier(6)

def commit(name):
    session, after, number = SampleSession(store, name), None, 0
    while True:
        node, number = f"{name}.{number}", number + 1
        store.commit(session.turn(f"t.{node}", node, after=after))
        after = node
        if number == 3:
            busy.wait()

def query():
    busy.wait()
    while True:
        store.query("SELECT count(*) FROM range(3000000) AS a WHERE a.range % 7 = 3").fetchall()

def start(target, *arguments):
    def run():
        try:
            target(*arguments)
        except StoreError:
            pass
    threading.Thread(target=run, daemon=True).start()

for number in range(3):
    start(commit, f"s{number}")
for _ in range(2):
    start(query)
busy.wait()
sys.exit(7)
"""


def test_a_program_ends_as_it_wants_to_while_its_threads_are_inside_the_store(path: Path, program: Program) -> None:
    for _ in range(3):
        process = program(ENDS_MEANWHILE, path)
        _, errors = process.communicate()
        assert process.returncode == 7, errors
        path.unlink()
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
