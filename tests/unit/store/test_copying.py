"""Copies of whole stores, from each database to each, through interruptions."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import HookCallFact, PluginSeen
from lash_host.domain.graph import ReplaceGraph
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.errors import StoreError, UsageFault
from lash_host.store import open_store
from lash_host.store.copy_source import COPIED
from lash_host.store.copying import copy_store
from lash_host.store.schema import sessions
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import draft, got, message_nodes, model_call

Program = Callable[..., "subprocess.Popen[str]"]
Dump = dict[str, list[tuple[Any, ...]]]

LEASE = {"lease_token", "lease_owner", "lease_claimed_at_ms", "lease_expires_at_ms"}

TOKEN = [column.name for column in sessions.columns if column.name not in LEASE].index("fencing_token")
HOOK = HookCallFact(plugin_id="p", hook="lash_before_turn", calls=1, total_ms=1.5, max_ms=1.0, errors=0)
PLUGIN = PluginSeen(plugin_id="p", version="1")
TOOL_CALL = ToolCallRecord(
    call_id="k1",
    tool_id="p:look",
    tool_name="look",
    plugin_id=None,
    arguments={"path": "ä"},
    attempts=1,
    output=ToolOutput.success([1, 2.5, None]),
    started_at_us=1_000,
    duration_ms=2.5,
)

COPY_AND_DIE = """
import os, signal, sys
from lash_host.store.copying import copy_store
from lash_host.store.points import watch
from lash_host.store.spans import spans

spans.__kwdefaults__["rows"] = 2
left = int(sys.argv[3])

def count(point):
    global left
    left -= point == "in_copy"
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

watch(count)
copy_store(sys.argv[1], sys.argv[2])
print("finished")
"""


def fill(store: SessionStore, clock: ManualClock) -> None:
    """Leave something in every table."""
    for session_id in ("alpha", "beta"):
        session = SampleSession(store, session_id)
        body = draft(tool_state=f"tools of {session_id} ☕".encode())
        facts = {"model_calls": (model_call("c1", input_tokens=3),), "tool_calls": (TOOL_CALL,), "hook_calls": (HOOK,)}
        store.commit(session.turn("t1", "a", "b", checkpoint=body, plugins=(PLUGIN,), **facts))
        clock.advance(1)
        session.commit(graph=ReplaceGraph(nodes=message_nodes("c", "d"), leaf_node_id="d"), checkpoint=body)
        session.command()
        session.wake(1)
        session.say("naïve")
        session.settle(got(session.claim_command()))
        store.commit(session.turn("t2", "e", after="d", checkpoint=body))
        kept = store.put_attachment(session_id, b"shared bytes", media_type="text/plain", label=session_id)
        store.put_attachment(session_id, session_id.encode(), media_type="text/plain")
        store.commit_attachments(session_id, [kept.attachment_id])
        session.claim()


def dump(url: str) -> Dump:
    """Read all tables but for leases, in an order that both databases have."""
    is_file = "://" not in url
    connection: Any = duckdb.connect(url, read_only=True) if is_file else psycopg.connect(url.replace("+psycopg", ""))
    with connection:
        found: Dump = {}
        for table in COPIED:
            columns = ", ".join(column.name for column in table.columns if column.name not in LEASE)
            rows = connection.execute(f"SELECT {columns} FROM lash_tables.{table.name}").fetchall()
            found[table.name] = sorted(rows, key=repr)
    return found


@pytest.fixture
def urls(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    def make(kind: str) -> str:
        if kind == "postgresql":
            return str(request.getfixturevalue("empty_postgres_url"))
        return str(tmp_path / f"{kind}.duckdb")

    return make


@pytest.fixture
def source(tmp_path: Path, clock: ManualClock) -> str:
    url = str(tmp_path / "source.duckdb")
    store = open_store(url, clock=clock)
    fill(store, clock)
    store.close()
    return url


def test_a_copy_on_a_server_and_back_is_the_same(source: str, urls: Callable[[str], str]) -> None:
    server, back = urls("postgresql"), urls("back")
    there, here = copy_store(source, server), copy_store(server, back)
    assert there.check.problems == here.check.problems == ()
    assert (there.resumed, there.attachments, there.rows) == (False, 3, here.rows)
    assert dump(source) == dump(server) == dump(back)
    assert all(there.rows.values())


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_the_copys_sessions_go_on(source: str, urls: Callable[[str], str], clock: ManualClock, kind: str) -> None:
    target = urls(kind)
    before = {row[1]: row[TOKEN] for row in dump(source)["sessions"]}
    copy_store(source, target)
    old, new = open_store(source, clock=clock), open_store(target, clock=clock)
    session = SampleSession(new, "alpha")
    assert session.load().tool_state == "tools of alpha ☕".encode()
    fence = session.claim()
    assert fence.fencing_token > before["alpha"]
    new.release_lease(fence)
    session.commit("f", after="e")
    assert session.node_ids() == ["c", "d", "e", "f"]
    assert session.pending() == SampleSession(old, "alpha").pending()
    refs = new.list_attachments("alpha")
    assert {new.get_attachment("alpha", ref.attachment_id) for ref in refs} == {b"shared bytes", b"alpha"}
    assert new.check().problems == ()
    assert new.info().created_at_us == old.info().created_at_us
    old.close()
    new.close()


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
@pytest.mark.parametrize("batches", [1, 6, 14])
def test_a_copy_that_was_killed_goes_on(
    source: str, urls: Callable[[str], str], program: Program, kind: str, batches: int
) -> None:
    target = urls(kind)
    process = program(COPY_AND_DIE, source, target, batches)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (-signal.SIGKILL, ""), err
    with pytest.raises(StoreError, match="is a copy that was interrupted: run lash store copy again"):
        open_store(target)
    finish = program(COPY_AND_DIE, source, target, 10_000)
    assert finish.communicate(timeout=120)[0] == "finished\n"
    assert dump(target) == dump(source)
    open_store(target).close()


def test_a_copy_that_is_taken_up_writes_nothing_twice(
    source: str, urls: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = urls("target")
    _interrupt(source, target, monkeypatch)
    told: list[tuple[str, int, int]] = []
    report = copy_store(source, target, progress=lambda *step: told.append(step))
    assert (report.resumed, report.check.problems) == (True, ())
    assert dump(target) == dump(source)
    assert ("copying nodes", 10, 10) in told
    assert all(0 <= done <= total for _, done, total in told)


def test_a_copy_begins_anew_when_the_source_has_changed(
    source: str, urls: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    target = urls("target")
    _interrupt(source, target, monkeypatch)
    store = open_store(source, clock=clock)
    store.cancel_turn_input("alpha", SampleSession(store, "alpha").pending()[0])
    store.close()
    report = copy_store(source, target)
    assert (report.resumed, report.check.problems) == (False, ())
    assert dump(target) == dump(source)


def _interrupt(source: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(point: str) -> None:
        raise KeyboardInterrupt(point)

    with monkeypatch.context() as patched:
        patched.setattr("lash_host.store.copying.reached", stop)
        with pytest.raises(KeyboardInterrupt):
            copy_store(source, target)


def test_a_store_that_holds_something_is_not_written_over(source: str, urls: Callable[[str], str]) -> None:
    target = urls("target")
    store = open_store(target)
    SampleSession(store, "mine").commit("a")
    store.close()
    before = dump(target)
    with pytest.raises(UsageFault, match=r"the target holds a store already: commits, nodes, sessions"):
        copy_store(source, target)
    assert dump(target) == before
    with pytest.raises(UsageFault, match="holds a store already"):
        copy_store(source, source.replace("source", "target"))


def test_a_finished_copy_is_not_copied_over(source: str, urls: Callable[[str], str]) -> None:
    copy_store(source, urls("target"))
    with pytest.raises(UsageFault, match="holds a store already"):
        copy_store(source, urls("target"))


@pytest.mark.parametrize(
    ("target", "said"), [("source.duckdb", "cannot be copied to itself"), (":memory:", "would be gone at once")]
)
def test_places_that_make_no_sense_are_refused(source: str, tmp_path: Path, target: str, said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        copy_store(source, target if target == ":memory:" else str(tmp_path / target))


def test_a_source_that_is_not_there_is_not_made(urls: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="there is no store at"):
        copy_store(urls("nothing"), urls("target"))
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_copy_is_no_source(
    source: str, urls: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupt(source, urls("target"), monkeypatch)
    with pytest.raises(StoreError, match="is a copy that was interrupted"):
        copy_store(urls("target"), urls("further"))
