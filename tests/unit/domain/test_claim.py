"""Who has taken an item, and what proves it."""

from __future__ import annotations

import pytest

from lash_host.domain.claim import Claim, ClaimRow, grant_claim, holds_exactly
from lash_host.domain.lease import LeaseOwner


@pytest.fixture
def claim(owner) -> Claim:
    return grant_claim(
        ClaimRow(fencing_token=4),
        session_id="s",
        name="qwc:12",
        claim_token="proof",
        owner=owner,
        now_ms=100,
        ttl_ms=50,
    )


def test_a_claim_is_greater_than_all_before_it_and_says_so_in_its_name(claim, owner):
    assert (claim.session_id, claim.claim_id, claim.claim_token) == ("s", "qwc:12:5", "proof")
    assert (claim.fencing_token, claim.owner) == (5, owner)
    assert (claim.claimed_at_ms, claim.expires_at_ms) == (100, 150)


def test_an_item_counts_its_own_claims(claim, owner):
    row = ClaimRow(fencing_token=7).taken(claim)
    assert (row.fencing_token, row.claim_id, row.claim_token, row.owner) == (8, "qwc:12:5", "proof", owner)
    assert (row.claimed_at_ms, row.expires_at_ms) == (100, 150)
    assert row.freed() == ClaimRow(fencing_token=8)


def test_expiry_is_exclusive(claim):
    row = ClaimRow().taken(claim)
    assert row.is_live(149)
    assert not row.is_live(150)
    assert not ClaimRow(expires_at_ms=1_000).is_live(0)


def test_a_dead_owner_holds_nothing_before_the_claim_expires(claim):
    row = ClaimRow().taken(claim)
    assert not row.is_live(120, owner_is_dead=lambda owner: owner.owner_id == "host")
    assert row.is_live(120, owner_is_dead=lambda owner: owner.owner_id == "another")


def test_an_expired_claim_still_holds_what_nobody_took(claim):
    row = ClaimRow().taken(claim)
    assert not row.is_live(1_000)
    assert row.is_held_by(claim)
    assert not row.freed().is_held_by(claim)


def test_renewing_moves_the_expiry_alone(claim):
    row = ClaimRow().taken(claim)
    later = claim.model_copy(update={"expires_at_ms": 900})
    assert row.renewed(later) == ClaimRow().taken(later)
    assert row.renewed(later).fencing_token == row.fencing_token


@pytest.mark.parametrize(("part", "value"), [("claim_token", "forged"), ("claim_id", "qwc:12:4")])
def test_a_claim_proves_itself_by_name_and_token(claim, part, value):
    assert not ClaimRow().taken(claim).is_held_by(claim.model_copy(update={part: value}))


@pytest.mark.parametrize(
    ("named", "held", "others", "expected"),
    [
        (["a", "b"], ["a", "b"], [], True),
        (["b", "a"], ["a", "b"], ["c"], True),
        (["a", "b"], ["a"], ["b"], False),
        (["a"], ["a", "b"], [], False),
        (["a", "a"], ["a"], [], False),
        (["a", "a"], ["a", "b"], [], False),
        (["a"], [], [], False),
    ],
)
def test_a_claim_is_settled_whole(claim, named, held, others, expected):
    taken = ClaimRow().taken(claim)
    another = ClaimRow().taken(claim.model_copy(update={"claim_token": "another"}))
    rows = dict.fromkeys(held, taken) | dict.fromkeys(others, another)
    assert holds_exactly(claim, named, rows=rows) is expected


def test_a_claim_without_a_known_owner_lives_by_its_time(claim):
    row = ClaimRow(claim_id="c", claim_token="t", owner=None, expires_at_ms=10)
    assert row.is_live(5, owner_is_dead=lambda _: pytest.fail("nobody to ask about"))
    assert LeaseOwner(owner_id="host", incarnation_id="1") == claim.owner
