"""Losing a session's lease in the middle of a turn, and keeping it through a long one."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from lash_host import (
    SessionBusy,
    SessionLeaseLost,
    SessionPlugin,
    StoreError,
    SwitchFrameControl,
    ToolOutput,
    ToolSuccess,
    hookimpl,
    tool,
)
from lash_host.domain.lease import LeaseAcquired, LeaseOwner
from lash_host.testing import ManualClock, ScriptedProvider, scripted_host, text, tool_call

OTHER = LeaseOwner(owner_id="other", incarnation_id="1")


class Count(BaseModel):
    value: int = 0


class Counter(SessionPlugin[Count]):
    @tool
    async def count(self) -> int:
        """Count."""
        self.state.value += 1
        return self.state.value


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def expire(clock: ManualClock) -> None:
    """Let the lease expire before anybody can renew it."""
    clock.set(clock.now_us() + 31_000_000)


async def turn_until_waiting(session, gate):
    """Start a turn, and come back when its model is being asked."""
    started = asyncio.Event()
    task = asyncio.create_task(session.turn("one", on_activity=lambda _: started.set()))
    await started.wait()
    return task


async def test_a_turn_longer_than_the_lease_keeps_it(clock, assert_sound) -> None:
    gate = asyncio.Event()
    async with scripted_host([gate, text("late")], clock=clock) as host, host.session("s") as session:
        task = await turn_until_waiting(session, gate)
        for _ in range(9):
            await clock.until_sleeping()
            clock.advance(10)
            await asyncio.sleep(0.01)
        assert not isinstance(host.store.claim_lease("s", OTHER, ttl_ms=1000), LeaseAcquired)
        gate.set()
        result = await task
        assert (result.text, result.duration_ms) == ("late", pytest.approx(90_000))
        await assert_sound(host, session)


async def test_a_turn_whose_lease_was_taken_over_commits_nothing_and_the_next_one_sees_what_is_new(
    clock, plugin_of, assert_sound
) -> None:
    gate = asyncio.Event()
    replies = [tool_call("count", {}), [gate, text("lost")], text("theirs"), text("mine")]
    provider = ScriptedProvider(replies=replies)
    async with scripted_host(provider=provider, plugins=[plugin_of(Counter)], clock=clock) as host:
        async with host.session("s") as session, host.session("s") as other:
            asked = asyncio.Event()
            task = asyncio.create_task(session.turn("one", on_activity=lambda a: asked.set() if second(a) else None))
            await asked.wait()
            expire(clock)
            await other.turn("taken over")
            gate.set()
            with pytest.raises(SessionLeaseLost):
                await task
            assert [m.text for m in session.read_view().messages] == ["taken over", "theirs"]
            await assert_sound(host, session)
            result = await session.turn("two")
            assert (result.text, result.turn_index) == ("mine", 2)
            assert [m.text for m in provider.requests[-1].messages] == ["taken over", "theirs", "two"]
            await assert_sound(host, session)
            turns = host.usage.sql("select turn_id from usage.turns").fetchall()
            assert len(turns) == 2
            calls = host.usage.sql("select turn_id, total_tokens from usage.model_calls").fetchall()
            assert sorted(calls, key=str) == sorted([(None, 168), (None, 168), *((t[0], 168) for t in turns)], key=str)


def second(activity) -> bool:
    return activity.kind == "model_request_started" and activity.iteration == 2


async def test_a_renewal_that_fails_ends_the_turn_early(clock, plugin_of, assert_sound) -> None:
    gate = asyncio.Event()
    async with scripted_host([gate], text("b"), clock=clock, plugins=[plugin_of(Counter)]) as host:
        async with host.session("s") as session:
            task = await turn_until_waiting(session, gate)
            await clock.until_sleeping()
            expire(clock)
            assert isinstance(host.store.claim_lease("s", OTHER, ttl_ms=5000), LeaseAcquired)
            clock.advance(10)
            with pytest.raises(SessionLeaseLost):
                await task
            assert list(await host.sessions()) == []
            assert session.read_view().turn_index == 0
            assert (await session.turn("two")).text == "b"  # the other one's lease has expired too
            await assert_sound(host, session)


@pytest.mark.parametrize("error", [StoreError("the disk is gone"), RuntimeError("unforeseen")])
async def test_a_store_that_cannot_renew_ends_the_turn_and_its_lease(error, clock, monkeypatch, assert_sound) -> None:
    def fail(fence, *, ttl_ms):
        raise error

    async with scripted_host([asyncio.Event()], text("b"), clock=clock) as host, host.session("s") as session:
        task = await turn_until_waiting(session, None)
        await clock.until_sleeping()
        monkeypatch.setattr(host.store, "renew_lease", fail)
        clock.advance(10)
        with pytest.raises(SessionLeaseLost):
            await task
        assert (await session.turn("two")).text == "b"
        await assert_sound(host, session)


async def test_a_lease_lost_before_the_commit_is_seen_by_the_store(clock, plugin_of, assert_sound) -> None:
    class Late(Counter):
        @hookimpl
        async def lash_on_event(self, event):
            if type(event).__name__ == "TurnFinalized" and self.state.value == 0:
                self.state.value = 1
                expire(clock)

    async with scripted_host(text("a"), text("b"), clock=clock, plugins=[plugin_of(Late)]) as host:
        async with host.session("s") as session:
            with pytest.raises(SessionLeaseLost):
                await session.turn("one")
            assert list(await host.sessions()) == []
            assert session.export_persisted_state().plugin_snapshot.plugins["p"].state == {"value": 0}


async def test_a_lease_lost_before_a_frame_goes_on_keeps_what_was_committed(clock, plugin_of, assert_sound) -> None:
    class Switching(SessionPlugin[None]):
        @tool
        async def switch(self) -> ToolOutput:
            """Go on elsewhere."""
            return ToolOutput(outcome=ToolSuccess(), control=SwitchFrameControl(frame_id="f2", task="go on"))

    def lose(request):
        expire(clock)
        return text("never")

    replies = [tool_call("switch", {}), lose, text("here")]
    async with scripted_host(*replies, clock=clock, plugins=[plugin_of(Switching)]) as host:
        async with host.session("s") as session:
            with pytest.raises(SessionLeaseLost):
                await session.turn("one")
            assert session.read_view().frame_id == "f2"
            assert session.read_view().turn_index == 1
            await assert_sound(host, session)
            assert (await session.turn("two")).text == "here"
            await assert_sound(host, session)


async def test_a_busy_session_names_who_holds_it(clock) -> None:
    async with scripted_host(text("a"), clock=clock) as host, host.session("s") as session:
        assert isinstance(host.store.claim_lease("s", OTHER, ttl_ms=5000), LeaseAcquired)
        with pytest.raises(SessionBusy, match="other"):
            await session.turn("one")
        clock.advance(5)
        assert (await session.turn("one")).text == "a"
