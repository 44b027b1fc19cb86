"""Many processes on one database: nobody does anybody's work twice, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession

_PROCESSES = 4

_WRITER = """
    import json, sys
    from lash_host.domain.lease import LeaseAcquired
    from lash_host.store import open_store
    from lash_host.testing.conformance import SampleSession
    from lash_host.testing.conformance.samples import owner

    url, name, turns, sessions = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4].split(",")
    store = open_store(url)
    sys.stdin.readline()
    landed = []
    for number in range(turns):
        session = SampleSession(store, sessions[number % len(sessions)])
        session.owner = owner(name)
        claimed = None
        while not isinstance(claimed, LeaseAcquired):
            claimed = store.claim_lease(session.session_id, session.owner, ttl_ms=60_000)
        before = store.session_info(session.session_id)
        leaf = store.load_session(session.session_id).graph.leaf_node_id if before else None
        node_id = f"{name}:{number}"
        result = session.commit(
            node_id, after=leaf, fence=claimed.lease.fence, expected_head_revision=before.head_revision if before else 0
        )
        landed.append([session.session_id, node_id, result.head_revision, claimed.lease.fence.fencing_token])
    print(json.dumps(landed))
    store.close()
"""

_WORKER = """
    import json, sys
    from lash_host.domain.lease import LeaseAcquired
    from lash_host.store import open_store
    from lash_host.testing.conformance import SampleSession
    from lash_host.testing.conformance.samples import owner

    url, name = sys.argv[1], sys.argv[2]
    store = open_store(url)
    sys.stdin.readline()
    done = []
    while waiting := store.sessions_with_work(limit=100):
        for session_id in waiting:
            session = SampleSession(store, session_id)
            session.owner = owner(name)
            if not isinstance(store.claim_lease(session_id, session.owner, ttl_ms=60_000), LeaseAcquired):
                continue
            claim = session.claim_work(limit=1)
            if claim is not None:
                session.settle(claim)
                done.extend(batch.batch_id for batch in claim.batches)
            else:
                store.release_lease(session.claim())
    print(json.dumps(done))
    store.close()
"""


def _all_at_once(source: str, *arguments: list[str]) -> list[object]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source), *each],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for each in arguments
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        told.append(json.loads(out))
    return told


def test_processes_that_write_to_the_same_sessions_lose_nothing(postgres_url: str) -> None:
    turns, sessions = 12, ["x", "y", "z"]
    writers = [[postgres_url, f"writer{n}", str(turns), ",".join(sessions)] for n in range(_PROCESSES)]
    landed = [tuple(each) for told in _all_at_once(_WRITER, *writers) for each in told]
    assert len(landed) == _PROCESSES * turns
    store = open_store(postgres_url)
    for session_id in sessions:
        own = sorted((each for each in landed if each[0] == session_id), key=lambda each: each[2])
        assert [revision for _, _, revision, _ in own] == list(range(1, len(own) + 1))
        fences = [fence for *_, fence in own]
        assert fences == sorted(set(fences))
        assert SampleSession(store, session_id).node_ids() == [node_id for _, node_id, _, _ in own]
    keys = store.query("SELECT count(DISTINCT session_key) FROM lash_tables.sessions").fetchall()
    assert keys == [(len(sessions),)]
    assert store.check().problems == ()
    store.close()


def test_processes_that_share_a_queue_do_each_batch_once(postgres_url: str) -> None:
    store = open_store(postgres_url)
    queued = [SampleSession(store, f"session {n % 5}").wake(n).batch_id for n in range(40)]
    workers = [[postgres_url, f"worker{n}"] for n in range(_PROCESSES)]
    done = Counter(batch_id for told in _all_at_once(_WORKER, *workers) for batch_id in told)
    assert done == Counter(queued)
    assert store.sessions_with_work(limit=1) == []
    assert store.check().problems == ()
    store.close()


def test_sessions_made_in_the_same_microsecond_have_keys_of_their_own(postgres_url: str) -> None:
    from lash_host.testing.clock import ManualClock

    handles = [open_store(postgres_url, clock=ManualClock()) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: SampleSession(handles[n % 4], f"session {n}").claim(), range(40)))
    keys = handles[0].query("SELECT DISTINCT session_key FROM lash_tables.sessions").fetchall()
    assert len(keys) == 40
    for store in handles:
        store.close()


def test_who_waits_for_work_is_told_by_another_handle(postgres_url: str) -> None:
    waiting, working = open_store(postgres_url), open_store(postgres_url)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(waiting.wait_for_work, timeout_ms=1).result()
        waits = [pool.submit(_wait_twice, waiting) for _ in range(3)]
        SampleSession(working, "alpha").say()
        assert [wait.result() for wait in waits] == [True] * 3
        assert waiting.sessions_with_work(limit=1) == ["alpha"]
    waiting.close()
    working.close()


def _wait_twice(store: object) -> bool:
    """Wait until something waits: the first answer of a thread may come for nothing."""
    while not store.sessions_with_work(limit=1):
        if not store.wait_for_work(timeout_ms=30_000):
            return False
    return True


def test_waiting_ends_with_its_time_and_with_the_store(postgres_url: str) -> None:
    store = open_store(postgres_url)
    store.wait_for_work(timeout_ms=0)
    assert store.wait_for_work(timeout_ms=1) in {True, False}
    assert not store.wait_for_work(timeout_ms=50)
    with ThreadPoolExecutor(1) as pool:
        forever = pool.submit(_wait_until_told_nothing, store)
        store.close()
        assert forever.result() is False


def _wait_until_told_nothing(store: object) -> bool:
    while store.wait_for_work(timeout_ms=60_000):
        pass
    return False
