"""Whose clock decides what has expired: the database's."""

from __future__ import annotations

import pytest

from lash_host.contracts.clock import SystemClock
from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired, LeaseBusy
from lash_host.errors import SessionLeaseExpired
from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import got, owner

_DAY_US = 86_400_000_000


class WrongClock(SystemClock):
    """A machine's clock that is a day off."""

    def __init__(self, *, off_us: int) -> None:
        self._off_us = off_us

    def now_us(self) -> int:
        """Tell the wrong time."""
        return super().now_us() + self._off_us


def _database_now_us(store: SessionStore) -> int:
    ((now_us,),) = store.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchall()
    return int(now_us)


def _pass_time(store: SessionStore, seconds: float) -> None:
    """Let time pass where it counts: in the database."""
    store.query(f"SELECT pg_sleep({seconds})").fetchall()


@pytest.mark.parametrize("off_us", [-_DAY_US, _DAY_US])
def test_times_are_the_databases(postgres_url: str, off_us: int) -> None:
    store = open_store(postgres_url, clock=WrongClock(off_us=off_us))
    session = SampleSession(store, "alpha")
    before = _database_now_us(store)
    session.commit("a")
    session.wake()
    after = _database_now_us(store)
    assert before <= got(store.session_info("alpha")).created_at_us <= after
    (batch,) = store.list_queued_work("alpha")
    assert before // 1000 <= batch.enqueued_at_ms <= after // 1000
    store.close()


@pytest.mark.parametrize("off_us", [-_DAY_US, _DAY_US])
def test_a_lease_expires_by_the_databases_clock(postgres_url: str, off_us: int) -> None:
    """A host whose clock is wrong holds its lease as long as any other, and loses it as any other."""
    right, wrong = open_store(postgres_url), open_store(postgres_url, clock=WrongClock(off_us=off_us))
    stale = got(_acquired(wrong, "stale", ttl_ms=400))
    assert isinstance(right.claim_lease("alpha", owner("next"), ttl_ms=60_000), LeaseBusy)
    _pass_time(right, 0.45)
    taken = got(_acquired(right, "next", ttl_ms=60_000))
    assert taken.fence.fencing_token == stale.fence.fencing_token + 1
    for refused in (stale.fence, stale.fence.model_copy(update={"fencing_token": taken.fence.fencing_token})):
        with pytest.raises(SessionLeaseExpired):
            wrong.renew_lease(refused, ttl_ms=60_000)
        with pytest.raises(SessionLeaseExpired):
            SampleSession(wrong, "alpha").commit("a", fence=refused)
    assert right.renew_lease(taken.fence, ttl_ms=60_000).fence == taken.fence
    right.close()
    wrong.close()


def test_the_clock_is_read_after_the_lock_was_waited_for(postgres_url: str) -> None:
    """Who waits for a session's row decides by the time when it has the row, not by when it asked."""
    import psycopg

    store = open_store(postgres_url)
    got(_acquired(store, "first", ttl_ms=300))
    with psycopg.connect(postgres_url) as blocking:
        blocking.execute("SELECT 1 FROM lash_tables.sessions FOR UPDATE")
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.claim_lease, "alpha", owner("second"), ttl_ms=60_000)
            blocking.execute("SELECT pg_sleep(0.4)")
            blocking.commit()
            assert isinstance(waiting.result(), LeaseAcquired)
    store.close()


def test_a_clock_that_was_given_is_believed(postgres_url: str) -> None:
    clock = ManualClock()
    store = open_store(postgres_url, clock=clock)
    SampleSession(store, "alpha").commit("a")
    assert got(store.session_info("alpha")).created_at_us == clock.now_us()
    got(_acquired(store, "first", ttl_ms=1_000))
    clock.advance(1)
    assert isinstance(store.claim_lease("alpha", owner("second"), ttl_ms=1_000), LeaseAcquired)
    store.close()


def _acquired(store: SessionStore, name: str, *, ttl_ms: int):
    claimed = store.claim_lease("alpha", owner(name), ttl_ms=ttl_ms)
    return claimed.lease if isinstance(claimed, LeaseAcquired) else None
