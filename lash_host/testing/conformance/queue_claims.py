"""What claiming queued work promises, one test a promise."""

from __future__ import annotations

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired
from lash_host.domain.queue import DeliveryPolicy, MergeKey, QueueBoundary, QueuedWorkBatch, QueuedWorkClaim, SlotPolicy
from lash_host.errors import QueuedWorkClaimExpired
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance.backend import DeadOwners, StoreSuite
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, got, owner

__all__ = ["QueueClaimConformance", "QueueSelectionConformance", "batches_of"]

CHECKPOINT = QueueBoundary.ACTIVE_TURN_CHECKPOINT
AFTER_COMMIT = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT


def batches_of(claim: QueuedWorkClaim | None) -> list[str]:
    """Give the ids of the batches that were claimed; none where nothing was."""
    return [] if claim is None else [batch.batch_id for batch in claim.batches]


def join(session: SampleSession, number: int, *, group: str = "g", delivery: DeliveryPolicy | None = None) -> str:
    """Queue a wake that may share a turn with others of its group."""
    changes = {} if delivery is None else {"delivery_policy": delivery}
    merge_key = MergeKey(kind="group", group=group)
    return session.wake(number, slot_policy=SlotPolicy.JOIN, merge_key=merge_key, **changes).batch_id


class QueueClaimConformance(StoreSuite):
    """A claim holds work until it is settled, abandoned, or expired and taken again."""

    def test_a_claim_has_the_batches_as_they_were_queued(self, session: SampleSession, clock: ManualClock) -> None:
        batch = session.wake()
        claim = got(session.claim_work())
        assert claim.batches == (batch,)
        assert (claim.claim.session_id, claim.claim.owner) == ("alpha", session.owner)
        assert claim.claim.claimed_at_ms == clock.now_us() // 1000
        assert claim.claim.expires_at_ms == claim.claim.claimed_at_ms + TTL_MS
        assert claim.exclusive_session_command is None

    def test_a_command_is_claimed_alone(self, session: SampleSession) -> None:
        batch, _ = session.command("one"), session.command("two")
        claim = got(session.claim_command())
        assert got(claim.exclusive_session_command)[0] == batch

    def test_where_no_work_waits_none_is_claimed(self, store: SessionStore, session: SampleSession) -> None:
        SampleSession(store, "beta").wake()
        assert session.claim_work() is None
        assert session.claim_command() is None

    def test_a_limit_of_zero_claims_no_work(self, session: SampleSession) -> None:
        batch = session.wake()
        assert session.claim_work(limit=0) is None
        assert session.queued(include_claimed=False) == [batch.batch_id]

    def test_abandoned_work_can_be_claimed_again(self, store: SessionStore, session: SampleSession) -> None:
        """RP18: the next claim's fencing token is greater."""
        batch = session.wake()
        first = got(session.claim_work())
        store.abandon_queued_work_claim(first)
        second = got(session.claim_work())
        assert batches_of(second) == [batch.batch_id]
        assert second.claim.fencing_token > first.claim.fencing_token
        assert second.claim.claim_token != first.claim.claim_token

    def test_a_stale_abandon_of_work_changes_nothing(self, store: SessionStore, session: SampleSession) -> None:
        session.wake()
        first = got(session.claim_work())
        store.abandon_queued_work_claim(first)
        second = got(session.claim_work())
        store.abandon_queued_work_claim(first)
        assert session.queued(include_claimed=False) == []
        session.settle(second)
        store.abandon_queued_work_claim(second)
        assert session.queued() == []

    def test_a_claim_can_be_renewed(self, store: SessionStore, session: SampleSession, clock: ManualClock) -> None:
        """RP18: the same claim and batches, a later expiry."""
        session.wake()
        claim = got(session.claim_work(ttl_ms=10_000))
        clock.advance(9)
        renewed = store.renew_queued_work_claim(claim, ttl_ms=10_000)
        assert renewed.batches == claim.batches
        expiry = {"expires_at_ms": claim.claim.expires_at_ms + 9_000}
        assert renewed.claim == claim.claim.model_copy(update=expiry)
        clock.advance(9)
        assert session.claim_work() is None

    def test_an_expired_claim_can_be_renewed_while_nobody_took_the_work(
        self, store: SessionStore, session: SampleSession, clock: ManualClock
    ) -> None:
        session.wake()
        claim = got(session.claim_work(ttl_ms=1_000))
        clock.advance(2)
        store.renew_queued_work_claim(claim, ttl_ms=1_000)
        assert session.claim_work() is None

    @pytest.mark.parametrize("fate", ["taken again", "abandoned", "completed", "cancelled"])
    def test_a_claim_that_is_not_held_cannot_be_renewed(
        self, store: SessionStore, session: SampleSession, fate: str
    ) -> None:
        batch = session.wake()
        claim = got(session.claim_work(ttl_ms=0))
        if fate == "taken again":
            session.claim_work()
        elif fate == "abandoned":
            store.abandon_queued_work_claim(claim)
        elif fate == "completed":
            session.settle(claim)
        else:
            store.cancel_queued_work_batch("alpha", batch.batch_id)
        with pytest.raises(QueuedWorkClaimExpired) as caught:
            store.renew_queued_work_claim(claim, ttl_ms=TTL_MS)
        assert (caught.value.session_id, caught.value.claim_id) == ("alpha", claim.claim.claim_id)

    def test_a_claim_of_work_ends_exactly_when_it_expires(self, session: SampleSession, clock: ManualClock) -> None:
        """RP19: expired work is claimed again, with a greater fencing token."""
        batch = session.wake()
        first = got(session.claim_work(ttl_ms=1_000))
        clock.advance(0.999)
        assert session.claim_work() is None
        clock.advance(0.001)
        second = got(session.claim_work(ttl_ms=0))
        third = got(session.claim_work())
        assert batches_of(second) == batches_of(third) == [batch.batch_id]
        assert first.claim.fencing_token < second.claim.fencing_token < third.claim.fencing_token

    def test_a_claim_of_work_outlives_the_lease_it_was_taken_under(
        self, store: SessionStore, session: SampleSession
    ) -> None:
        session.wake()
        claim = got(session.claim_work())
        store.release_lease(session.claim())
        other = session.on(store, owner=owner("other"))
        assert other.claim_work() is None
        renewed = store.renew_queued_work_claim(claim, ttl_ms=TTL_MS)
        other.settle(renewed)
        assert session.queued() == []

    def test_the_dead_hold_no_work(self, store: SessionStore, session: SampleSession, dead: DeadOwners) -> None:
        batch = session.wake()
        old = got(session.claim_work())
        observed = session.claim()
        dead.owner_ids.add(session.owner.owner_id)
        other = session.on(store, owner=owner("other"))
        taken = store.reclaim_lease("alpha", other.owner, observed=observed, ttl_ms=TTL_MS)
        assert isinstance(taken, LeaseAcquired)
        assert batches_of(other.claim_work()) == [batch.batch_id]
        with pytest.raises(QueuedWorkClaimExpired):
            other.settle(old)


class QueueSelectionConformance(StoreSuite):
    """Which work a claim takes."""

    def test_an_exact_claim_takes_what_it_names_or_nothing(self, session: SampleSession) -> None:
        """RP16: earlier work is never skipped, and nothing is held after a refusal."""
        first, second = session.wake(1).batch_id, session.wake(2).batch_id
        assert session.claim_work(second) is None
        assert session.queued(include_claimed=False) == [first, second]
        assert batches_of(session.claim_work(first)) == [first]
        assert session.queued(include_claimed=False) == [second]

    def test_an_exact_claim_is_in_the_order_of_the_queue(self, session: SampleSession) -> None:
        first, second, third = (join(session, number) for number in (1, 2, 3))
        for wrong in ((second, first), (first, third), (first, "nowhere"), (first, first)):
            assert session.claim_work(*wrong) is None
        assert session.queued(include_claimed=False) == [first, second, third]
        assert batches_of(session.claim_work(first, second)) == [first, second]

    def test_an_exact_claim_of_nothing_takes_nothing(self, store: SessionStore, session: SampleSession) -> None:
        batch = session.wake()
        nothing = store.claim_queued_work(
            "alpha", session.claim(), session.owner, boundary=QueueBoundary.IDLE, ttl_ms=TTL_MS, limit=64, batch_ids=[]
        )
        assert nothing is None
        assert session.queued(include_claimed=False) == [batch.batch_id]

    def test_turn_work_does_not_pass_a_command(self, session: SampleSession) -> None:
        """RP17: the command is claimed and completed first; then the work behind it can be claimed."""
        command, wake = session.command(), session.wake()
        assert session.claim_work() is None
        assert session.claim_work(wake.batch_id) is None
        claim = got(session.claim_command())
        assert batches_of(claim) == [command.batch_id]
        session.settle(claim)
        assert batches_of(session.claim_work(wake.batch_id)) == [wake.batch_id]

    def test_a_command_does_not_pass_turn_work(self, store: SessionStore, session: SampleSession) -> None:
        """RP17: the order is kept when the work is given back."""
        wake, command = session.wake(), session.command()
        assert session.claim_command() is None
        claim = got(session.claim_work())
        assert batches_of(claim) == [wake.batch_id]
        store.abandon_queued_work_claim(claim)
        assert session.claim_command() is None
        assert session.queued(include_claimed=False) == [wake.batch_id, command.batch_id]

    def test_a_checkpoint_looks_at_the_head_alone(self, session: SampleSession) -> None:
        """RP18: work for idle sessions at the head blocks it; once that is claimed, the next one is the head."""
        idle, early = session.wake(1, delivery_policy=AFTER_COMMIT), session.wake(2)
        assert session.claim_work(boundary=CHECKPOINT) is None
        assert batches_of(session.claim_work()) == [idle.batch_id]
        assert batches_of(session.claim_work(boundary=CHECKPOINT)) == [early.batch_id]

    def test_work_is_not_claimed_before_its_time(self, session: SampleSession, clock: ManualClock) -> None:
        """RP19: it is passed over until then."""
        later = session.wake(1, available_at_ms=clock.now_us() // 1000 + 1_000)
        now = session.wake(2)
        assert batches_of(session.claim_work()) == [now.batch_id]
        assert session.claim_work() is None
        clock.advance(1)
        assert batches_of(session.claim_work()) == [later.batch_id]

    def test_exclusive_work_is_claimed_alone(self, session: SampleSession) -> None:
        """RP19: what may join waits for the next claim."""
        alone, joined = session.wake(1), join(session, 2)
        assert batches_of(session.claim_work()) == [alone.batch_id]
        assert batches_of(session.claim_work()) == [joined]

    def test_work_that_joins_does_not_reach_past_exclusive_work(self, session: SampleSession) -> None:
        first, alone, second = join(session, 1), session.wake(2), join(session, 3)
        found = [batches_of(session.claim_work()) for _ in range(3)]
        assert found == [[first], [alone.batch_id], [second]]

    def test_work_that_joins_does_not_reach_past_a_command(self, session: SampleSession) -> None:
        first, command, second = join(session, 1), session.command(), join(session, 3)
        assert batches_of(session.claim_work()) == [first]
        assert session.claim_work() is None
        assert batches_of(session.claim_command()) == [command.batch_id]
        assert batches_of(session.claim_work()) == [second]

    def test_a_group_is_no_larger_than_the_limit(self, session: SampleSession) -> None:
        """RP19: the rest can be claimed after."""
        ids = [join(session, number) for number in range(3)]
        assert batches_of(session.claim_work(limit=2)) == ids[:2]
        assert batches_of(session.claim_work(limit=2)) == ids[2:]

    def test_sessions_are_claimed_apart(self, store: SessionStore, session: SampleSession) -> None:
        """RP19: a claim in one session neither takes nor holds up the work of another."""
        mine, theirs = session.wake(), SampleSession(store, "beta").wake()
        assert batches_of(session.claim_work()) == [mine.batch_id]
        assert batches_of(SampleSession(store, "beta").claim_work()) == [theirs.batch_id]

    def test_groups_are_of_one_delivery_and_merge_key(self, session: SampleSession) -> None:
        """RP20: a, a, b and a for idle sessions are three groups."""
        ids = [join(session, 1, group="a"), join(session, 2, group="a"), join(session, 3, group="b")]
        ids.append(join(session, 4, group="a", delivery=AFTER_COMMIT))
        assert [batches_of(session.claim_work()) for _ in range(4)] == [ids[:2], ids[2:3], ids[3:], []]

    def test_work_of_another_delivery_does_not_join(self, session: SampleSession) -> None:
        ids = [join(session, 1), join(session, 2, delivery=AFTER_COMMIT), join(session, 3)]
        assert [batches_of(session.claim_work()) for _ in ids] == [[one] for one in ids]

    def test_a_command_never_joins_turn_work(self, session: SampleSession) -> None:
        alike = {"slot_policy": SlotPolicy.JOIN, "delivery_policy": DeliveryPolicy.EARLIEST_SAFE_BOUNDARY}
        wake, command = session.wake(slot_policy=SlotPolicy.JOIN), session.command(**alike)
        assert batches_of(session.claim_work()) == [wake.batch_id]
        assert batches_of(session.claim_command()) == [command.batch_id]

    def test_merge_keys_are_compared_by_equality(self, session: SampleSession) -> None:
        def wake(number: int, merge_key: MergeKey) -> QueuedWorkBatch:
            return session.wake(number, slot_policy=SlotPolicy.JOIN, merge_key=merge_key)

        never, default = MergeKey(), MergeKey(kind="payload_default")
        ids = [wake(number, key).batch_id for number, key in enumerate((never, never, default, default))]
        assert [batches_of(session.claim_work()) for _ in range(2)] == [ids[:2], ids[2:]]

    def test_much_claimed_work_hides_nothing_behind_it(self, session: SampleSession) -> None:
        for number in range(100):
            session.wake(number)
            session.claim_work()
        ready = session.wake(100)
        assert batches_of(session.claim_work()) == [ready.batch_id]
