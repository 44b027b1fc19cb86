"""The bridge to the store: calls beside each other, carried out whatever becomes of their caller."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lash_host.errors import StoreError
from lash_host.runtime.store_gateway import StoreGateway


class Store:
    """What of a store the bridge itself uses."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


def cancelled_within(gateway: StoreGateway, work: str, gate: threading.Event, method) -> asyncio.Task:
    loop = asyncio.get_running_loop()

    def run():
        loop.call_soon_threadsafe(task.cancel)
        loop.call_soon_threadsafe(gate.set)
        gate.wait(10)
        return method()

    task = asyncio.create_task(getattr(gateway, work)(run))
    return task


async def test_results_and_errors_come_back() -> None:
    gateway = StoreGateway(Store())
    assert await gateway.call(divmod, 7, 2) == (3, 1)
    assert await gateway.settle(divmod, 7, 2) == ((3, 1), False)
    with pytest.raises(ZeroDivisionError):
        await gateway.call(divmod, 7, 0)
    assert await gateway.call(threading.get_ident) != threading.get_ident()
    await gateway.close()


async def test_a_call_is_carried_out_before_its_callers_cancellation_goes_on(gate) -> None:
    gateway, done = StoreGateway(Store()), []
    task = cancelled_within(gateway, "call", gate, lambda: done.append(1))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1]
    await gateway.close()


async def test_who_must_know_gets_the_result_and_is_told_of_the_cancellation(gate) -> None:
    gateway = StoreGateway(Store())
    task = cancelled_within(gateway, "settle", gate, lambda: "landed")
    assert await task == ("landed", True)
    await gateway.close()


async def test_a_failure_of_a_cancelled_call_is_the_cancellations_cause(gate) -> None:
    gateway = StoreGateway(Store())
    task = cancelled_within(gateway, "settle", gate, lambda: divmod(1, 0))
    with pytest.raises(asyncio.CancelledError):
        await task
    await gateway.close()


async def test_a_timeout_around_a_call_is_a_timeout(gate) -> None:
    gateway = StoreGateway(Store())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await gateway.call(lambda: None)
    assert asyncio.current_task().cancelling() == 0
    assert await gateway.call(lambda: 1) == 1
    await gateway.close()


async def test_after_its_end_calls_are_refused_in_words() -> None:
    store = Store()
    gateway = StoreGateway(store)
    await gateway.close()
    await gateway.close()
    assert store.closed == 1
    with pytest.raises(StoreError, match="closed"):
        await gateway.call(lambda: None)


async def test_calls_made_at_once_run_at_once() -> None:
    gateway, together = StoreGateway(Store()), threading.Barrier(8, timeout=10)
    await asyncio.gather(*(gateway.call(together.wait) for _ in range(8)))
    await gateway.close()


async def test_the_store_is_closed_after_what_is_under_way(gate) -> None:
    store = Store()
    gateway, seen = StoreGateway(store), []
    work = asyncio.create_task(gateway.call(lambda: seen.append((gate.wait(10), store.closed))))
    await asyncio.sleep(0)
    closing = asyncio.create_task(gateway.close())
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(work, closing)
    assert seen == [(True, 0)]
    assert store.closed == 1
