"""Four processes that take work from the queues of many sessions, on one PostgreSQL server, beside a bare queue.

Each looks for sessions with work, claims one's lease, claims its work, and commits a turn that completes it. What they
completed is compared with what was queued.
"""

from __future__ import annotations

import importlib.util
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.cells import Cases, Cell, run, serve
from bench.gates import closed_gate, pass_gate
from bench.lash_commits import EVENTS, Session
from bench.tables import median, milliseconds, print_table, quantile
from bench.texts import texts
from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired, LeaseOwner
from lash_host.domain.queue import ProcessWake, QueueBoundary, QueuedWorkDraft, SlotPolicy
from lash_host.store import open_store

PROCESSES = 4
_TTL_MS = 60_000
_LOOK = 32
_TABLES = "CREATE TABLE work (id BIGINT PRIMARY KEY); CREATE TABLE done (id BIGINT, body TEXT)"
_FILL = "INSERT INTO work SELECT * FROM generate_series(1, %s)"
_TAKE = """
DELETE FROM work WHERE id = (SELECT id FROM work ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id
"""


def lash(_: Path, url: str, number: int) -> dict[str, Any]:
    """Our store: work until there is none."""
    owner = LeaseOwner(owner_id=f"process-{number}", incarnation_id="1")
    made, chance = texts(64), random.Random(number)  # noqa: S311
    with closing(open_store(url)) as store:

        def take() -> list[str] | None:
            waiting = [*store.sessions_with_work(limit=_LOOK)]
            chance.shuffle(waiting)
            for session_id in waiting:
                if batches := _work_on(Session(store, session_id, owner=owner), made):
                    return batches
            return [] if waiting else None

        return _until_done(url, take)


def _work_on(session: Session, made: list[str]) -> list[str]:
    """Take a session's next work and complete it with a turn; give the batches."""
    store = session.store
    answer = store.claim_lease(session.session_id, session.owner, ttl_ms=_TTL_MS)
    if not isinstance(answer, LeaseAcquired):
        return []
    fence = answer.lease.fence
    claim = store.claim_queued_work(
        session.session_id, fence, session.owner, boundary=QueueBoundary.IDLE, ttl_ms=_TTL_MS, limit=1
    )
    if claim is None:
        store.release_lease(fence)
        return []
    session.resume().commit_under(fence, session.new_nodes(EVENTS, made), completes=(claim,))
    return [batch.batch_id for batch in claim.batches]


def bare(_: Path, url: str, __: int) -> dict[str, Any]:
    """A table as the queue: a row locked and deleted, a row as long as a turn's texts inserted, one transaction."""
    import psycopg

    body = "".join(texts(EVENTS))
    with psycopg.connect(url) as connection:

        def take() -> list[str] | None:
            with connection.transaction():
                row = connection.execute(_TAKE, prepare=True).fetchone()
                if row is None:
                    return None
                connection.execute("INSERT INTO done VALUES (%s, %s)", (row[0], body), prepare=True)
            return [str(row[0])]

        return _until_done(url, take)


def _until_done(url: str, take: Callable[[], list[str] | None]) -> dict[str, Any]:
    """Wait for the others, then take work until there is none; times are by the clock that processes share."""
    pass_gate(url)
    taken: list[str] = []
    times: list[float] = []
    began = time.monotonic()
    while True:
        started = time.monotonic()
        batches = take()
        if batches is None:
            return {"taken": taken, "times": times, "began": began, "ended": started}
        if batches:
            taken += batches
            times.append(time.monotonic() - started)


def waiting(_: Path, url: str, wakes: int) -> list[float]:
    """Our store: wait for work, again and again; give when it came."""
    with closing(open_store(url)) as store:
        store.wait_for_work(timeout_ms=1)
        pass_gate(url)
        found: list[float] = []
        while len(found) < wakes and store.wait_for_work(timeout_ms=10_000):
            found.append(time.monotonic())
    return found


CASES: Cases = {"lash": lash, "bare": bare, "waiting": waiting}


def main(*, quick: bool = False) -> None:
    """Print both tables."""
    if not importlib.util.find_spec("psycopg"):
        print("queue_claims: install lash-host[postgresql] to see it")
        return
    from lash_host.testing.postgres_server import PostgresServer

    sessions, each, wakes = (20, 3, 3) if quick else (200, 10, 20)
    with PostgresServer() as server:
        url, other = server.database(), server.database()
        with closing(open_store(url)) as store:
            queued = {_enqueue(store, f"s{n % sessions}") for n in range(sessions * each)}
            ours = _row("lash", _in_processes("lash", url), queued)
            left = len(store.sessions_with_work(limit=_LOOK))
        rows = [(*ours, left), (*_row("bare queue", *_bare(other, len(queued))), "0")]
        print_table(
            f"{PROCESSES} processes, {len(queued):,} batches of work in the queues of {sessions} sessions",
            ["", "completed/s", "p50 ms", "p95 ms", "completed", "missing", "twice", "sessions with work left"],
            rows,
        )
        delays = _delays(server.database(), wakes)
    print_table(
        "From the enqueueing in one process to the waking of another that waits for work",
        ["", "p50 ms", "longest ms"],
        [("lash", milliseconds(median(delays)), milliseconds(max(delays)))],
    )


def _enqueue(store: SessionStore, session_id: str) -> str:
    wake = ProcessWake(process_id="bench", event_sequence=1, wake={"q": "x"})
    draft = QueuedWorkDraft(session_id=session_id, slot_policy=SlotPolicy.EXCLUSIVE, payloads=(wake,))
    return store.enqueue_queued_work(draft).batch_id


def _bare(url: str, count: int) -> tuple[list[dict[str, Any]], set[str]]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLES)
        connection.execute(_FILL, (count,))
    return _in_processes("bare", url), {str(number) for number in range(1, count + 1)}


def _in_processes(case: str, url: str) -> list[dict[str, Any]]:
    """Run a case in all processes, which begin together."""
    cells = [Cell("bench.queue_claims", case, (url, number)) for number in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        with closed_gate(url) as wait_for:
            running = [pool.submit(run, cell) for cell in cells]
            wait_for(PROCESSES, lambda: any(one.done() for one in running))
        return [one.result() for one in running]


def _row(name: str, found: list[dict[str, Any]], queued: set[str]) -> tuple[str, ...]:
    counts = Counter(batch for one in found for batch in one["taken"])
    seconds = max(one["ended"] for one in found) - min(one["began"] for one in found)
    times = [taken for one in found for taken in one["times"]]
    rate, shown = f"{counts.total() / seconds:,.0f}", (median(times), quantile(times, 0.95))
    missing, twice = len(queued - counts.keys()), sum(1 for count in counts.values() if count > 1)
    return (name, rate, *map(milliseconds, shown), f"{counts.total():,}", str(missing), str(twice))


def _delays(url: str, wakes: int) -> list[float]:
    """Enqueue while another process waits; give how long it took to notice, each time."""
    enqueued: list[float] = []
    with closing(open_store(url)) as store, ThreadPoolExecutor(1) as pool:
        with closed_gate(url) as wait_for:
            waiter = pool.submit(run, Cell("bench.queue_claims", "waiting", (url, wakes)))
            wait_for(1, waiter.done)
        for number in range(wakes):
            time.sleep(0.2)
            enqueued.append(time.monotonic())
            _enqueue(store, f"s{number}")
        woken: list[float] = waiter.result()
    return [min(after - before for after in woken if after > before) for before in enqueued]


if __name__ == "__main__":
    serve(CASES)
