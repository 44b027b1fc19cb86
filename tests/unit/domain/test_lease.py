"""Who may write to a session, and how that passes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lash_host.domain.lease import (
    LeaseAcquired,
    LeaseBusy,
    LeaseOwner,
    LeaseRow,
    LeaseTimings,
    ProcessIdentity,
    decide_claim,
    decide_reclaim,
    holds,
)

OTHER = LeaseOwner(owner_id="other", incarnation_id="1")


def claim(row, owner, *, now_ms, ttl_ms=500):
    return decide_claim("s", row, owner, now_ms=now_ms, ttl_ms=ttl_ms, new_token="new")


def reclaim(row, observed, *, dead, now_ms=500):
    return decide_reclaim(
        "s", row, OTHER, observed=observed, holder_is_dead=dead, now_ms=now_ms, ttl_ms=500, new_token="new"
    )


def test_a_free_session_is_granted_afresh(owner):
    acquired = claim(LeaseRow(), owner, now_ms=10)
    assert isinstance(acquired, LeaseAcquired)
    fence = acquired.lease.fence
    assert (acquired.kind, fence.session_id, fence.owner, fence.lease_token) == ("fresh", "s", owner, "new")
    assert fence.fencing_token == 1
    assert (acquired.lease.claimed_at_ms, acquired.lease.expires_at_ms) == (10, 510)


def test_a_released_lease_keeps_its_fencing_token(owner):
    assert claim(LeaseRow(fencing_token=7), owner, now_ms=0).lease.fence.fencing_token == 8


def test_the_same_incarnation_gets_its_own_lease_again(held, fence, owner):
    acquired = claim(held, owner, now_ms=900)
    assert acquired.kind == "reentry"
    assert acquired.lease.fence == fence
    assert (acquired.lease.claimed_at_ms, acquired.lease.expires_at_ms) == (100, 1_400)


@pytest.mark.parametrize("claimant", [OTHER, LeaseOwner(owner_id="host", incarnation_id="2")])
def test_a_live_lease_keeps_everybody_else_out(held, fence, claimant):
    assert claim(held, claimant, now_ms=999) == LeaseBusy(holder=fence, expires_at_ms=1_000)


def test_expiry_is_exclusive(held, fence):
    assert isinstance(claim(held, OTHER, now_ms=999), LeaseBusy)
    assert holds(held, fence, now_ms=999)
    assert not holds(held, fence, now_ms=1_000)
    taken = claim(held, OTHER, now_ms=1_000)
    assert (taken.kind, taken.lease.fence.fencing_token) == ("fresh", 8)


def test_an_expired_lease_is_new_even_for_its_old_holder(held, owner):
    acquired = claim(held, owner, now_ms=1_000)
    assert (acquired.kind, acquired.lease.fence.lease_token) == ("fresh", "new")


def test_a_lease_without_a_lifetime_never_lives(owner):
    acquired = claim(LeaseRow(), owner, now_ms=10, ttl_ms=0)
    lease = acquired.lease
    row = LeaseRow(fencing_token=1, owner=owner, lease_token="new", claimed_at_ms=10, expires_at_ms=lease.expires_at_ms)
    assert not row.is_live(10)
    assert not holds(row, lease.fence, now_ms=10)


@pytest.mark.parametrize(
    "change",
    [
        {"owner": OTHER},
        {"owner": LeaseOwner(owner_id="host", incarnation_id="2")},
        {"lease_token": "old"},
        {"fencing_token": 6},
    ],
)
def test_a_fence_that_differs_in_any_part_holds_nothing(held, fence, change):
    assert holds(held, fence, now_ms=500)
    assert not holds(held, fence.model_copy(update=change), now_ms=500)


def test_nobody_holds_a_free_session(fence):
    assert not holds(LeaseRow(fencing_token=7), fence, now_ms=0)


def test_a_dead_holder_that_was_observed_is_replaced(held, fence):
    acquired = reclaim(held, fence, dead=True)
    assert (acquired.kind, acquired.lease.fence.owner, acquired.lease.fence.fencing_token) == ("reclaimed", OTHER, 8)
    assert not holds(held, acquired.lease.fence, now_ms=500)


def test_a_holder_that_may_live_is_not_replaced(held, fence):
    assert reclaim(held, fence, dead=False) == LeaseBusy(holder=fence, expires_at_ms=1_000)


def test_a_stale_observation_replaces_nobody(held, fence):
    newer = replace(held, fencing_token=8, lease_token="newer")
    busy = reclaim(newer, fence, dead=True)
    assert isinstance(busy, LeaseBusy)
    assert busy.holder.fencing_token == 8


def test_a_lease_that_has_ended_meanwhile_is_simply_claimed(held, fence):
    assert reclaim(held, fence, dead=False, now_ms=1_000).kind == "fresh"
    assert reclaim(LeaseRow(fencing_token=7), fence, dead=True).kind == "fresh"


def test_the_default_timings_are_the_documented_ones():
    assert (LeaseTimings().ttl_ms, LeaseTimings().renew_interval_ms) == (30_000, 10_000)
    assert LeaseTimings.from_ttl(900) == LeaseTimings(ttl_ms=900, renew_interval_ms=300)


@pytest.mark.parametrize(("ttl_ms", "renew_interval_ms"), [(29_999, 10_000), (0, 0), (10, 0), (2, 1), (9, -3)])
def test_timings_under_which_a_live_holder_could_lose_are_refused(ttl_ms, renew_interval_ms):
    with pytest.raises(ValueError, match=r"renew_interval_ms must be|ttl_ms must be"):
        LeaseTimings(ttl_ms=ttl_ms, renew_interval_ms=renew_interval_ms)


@pytest.mark.parametrize("ttl_ms", [0, 1, 2])
def test_a_lifetime_too_short_to_renew_is_refused(ttl_ms):
    with pytest.raises(ValueError, match=r"three renewals \(3\), got"):
        LeaseTimings.from_ttl(ttl_ms)


def test_owners_are_named_for_people():
    process = ProcessIdentity(host_id="h", boot_id="b", pid=42, started_at_ms=1)
    assert LeaseOwner(owner_id="o", incarnation_id="1", process=process).describe() == "process 42"
    assert OTHER.describe() == "other"
