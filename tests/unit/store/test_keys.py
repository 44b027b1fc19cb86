"""Keys only grow."""

from __future__ import annotations

from lash_host.store.keys import KeySequence


def test_keys_grow_with_time() -> None:
    keys = KeySequence(0)
    assert keys.next(1_000) < keys.next(1_001) < keys.next(2_000)


def test_keys_grow_though_time_stands_still_or_turns_back() -> None:
    keys = KeySequence(0)
    given = [keys.next(5_000), keys.next(5_000), keys.next(4_000), keys.next(4_000)]
    assert given == sorted(set(given))


def test_keys_go_on_after_the_last_one_in_use() -> None:
    assert KeySequence(10**18).next(0) == 10**18 + 1


def test_many_keys_come_in_a_row() -> None:
    keys = KeySequence(0)
    taken = keys.take(5, now_us=1)
    assert list(taken) == list(range(taken.start, taken.start + 5))
    assert keys.next(1) == taken.stop


def test_taking_no_keys_changes_nothing() -> None:
    keys = KeySequence(7)
    assert list(keys.take(0, now_us=0)) == []
    assert keys.next(0) == 8


def test_keys_fit_in_64_bits_for_two_centuries() -> None:
    in_2250_us = 280 * 365 * 86_400 * 1_000_000
    assert KeySequence(0).next(in_2250_us) < 2**63
