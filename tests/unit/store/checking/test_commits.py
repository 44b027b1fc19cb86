"""What a check says of commits that were changed, left out or made up."""

from __future__ import annotations

import pytest

from lash_host.testing.conformance import SampleSession


@pytest.mark.parametrize(
    ("sql", "revision"),
    [
        ("UPDATE lash_tables.nodes SET payload = replace(payload, 'text of a', 'text of x') WHERE node_id = 'a'", 1),
        ("UPDATE lash_tables.nodes SET created_at_us = 5 WHERE node_id = 'e'", 4),
        ("UPDATE lash_tables.model_calls SET input_tokens = 30 WHERE call_id = 'c2'", 4),
        ("UPDATE lash_tables.turns SET duration_ms = 250.25 WHERE turn_id = 't2'", 4),
        ("UPDATE lash_tables.hook_calls SET errors = 1", 1),
        ("DELETE FROM lash_tables.hook_calls", 1),
        ("DELETE FROM lash_tables.model_calls WHERE call_id = 'c1'", 1),
        ("DELETE FROM lash_tables.turns WHERE turn_id = 't2'", 4),
    ],
)
def test_rows_that_were_changed(store, damage, sql, revision):
    damage(sql)
    alpha = [one for one in store.check().problems if one.session_id == "alpha" and one.kind != "ledger"]
    assert {one.kind for one in alpha} == {"commit_content"}
    assert alpha[0].detail.startswith(f"the rows of revision {revision} hash to ")


def test_a_row_that_was_slipped_in(store, damage):
    damage(
        "INSERT INTO lash_tables.model_calls SELECT session_key, call_key + 1, 'forged', turn_id, frame_id, iteration,"
        " source, plugin_id, provider_id, model, started_at_us, duration_ms, time_to_first_token_ms, attempts,"
        " terminal_reason, error_kind, input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens,"
        " reasoning_output_tokens, cost_usd FROM lash_tables.model_calls WHERE call_id = 'c2'"
    )
    found = {one.kind: one.detail for one in store.check().problems}
    assert found.keys() == {"commit_content", "ledger"}
    assert found["commit_content"].startswith("the rows of revision 4 hash to ")


def test_a_turn_that_was_made_up(store, damage):
    damage("INSERT INTO lash_tables.turns (session_key, turn_id) VALUES ({alpha}, 'forged')")
    (problem,) = store.check().problems
    assert (problem.kind, problem.detail) == ("commit_content", "turn 'forged' came with no recorded commit")


@pytest.mark.parametrize("revision", [1, 2, 3])
def test_a_commit_that_is_missing(store, damage, kinds, revision):
    damage(f"DELETE FROM lash_tables.commits WHERE session_key = {{alpha}} AND head_revision = {revision}")
    found = kinds(store.check())
    assert found.get("commit_gap") == (1 if revision > 1 else None)
    assert found.get("commit_chain") == (1 if revision == 1 else None)


@pytest.mark.parametrize(
    ("sql", "kind", "said"),
    [
        ("DELETE FROM lash_tables.commits WHERE head_revision = 5", "commit_gap", "at revision 5, and the last"),
        ("DELETE FROM lash_tables.commits WHERE session_key = {beta}", "commit_gap", "no commit is recorded"),
        (
            "UPDATE lash_tables.sessions SET chain_hash = 'x' WHERE session_id = 'beta'",
            "commit_chain",
            "its head has the chain hash x, and revision 1 has",
        ),
        (
            "UPDATE lash_tables.commits SET chain_hash = 'x' WHERE head_revision = 5",
            "commit_chain",
            "revision 5, after revision 4, has the chain hash x instead of",
        ),
        (
            "UPDATE lash_tables.commits SET session_key = 3 WHERE session_key = {beta}",
            "commit_chain",
            "revision 1 is of no session",
        ),
    ],
)
def test_a_chain_that_does_not_hold(store, damage, sql, kind, said):
    damage(sql)
    assert any(one.kind == kind and said in one.detail for one in store.check().problems)


def test_a_hash_that_was_made_to_fit_the_rows_breaks_the_chain(store, damage, kinds):
    damage("UPDATE lash_tables.commits SET content_hash = 'x' WHERE session_key = {alpha} AND head_revision = 3")
    assert kinds(store.check()) == {"commit_chain": 1, "commit_content": 1}


def test_pruned_commits_keep_their_place_in_the_chain(store, damage, kinds):
    assert store.vacuum().removed_nodes == 2
    assert store.check().problems == ()
    damage("UPDATE lash_tables.commits SET is_pruned = false")
    assert kinds(store.check()) == {"commit_content": 1}


def test_commits_are_checked_bit_by_bit(store, monkeypatch, damage, kinds):
    """With bits of two rows at most: what is between them is not overlooked."""
    alpha, gamma = SampleSession(store, "alpha"), SampleSession(store, "gamma")
    for number in range(7):
        alpha.commit(f"n{number}", after=f"n{number - 1}" if number else "f")
        gamma.commit(f"n{number}", f"m{number}", after=f"m{number - 1}" if number else None)
    monkeypatch.setattr("lash_host.store.checking.commits.ROWS_A_SPAN", 2)
    monkeypatch.setitem(_spans().__kwdefaults__, "rows", 3)
    report = store.check()
    assert (report.commits, report.problems) == (20, ())
    damage("UPDATE lash_tables.nodes SET label = 'x' WHERE node_id IN ('n3', 'm6')")
    found = [(one.session_id, one.detail.split(" hash to")[0]) for one in store.check().problems]
    assert found == [
        ("alpha", "the rows of revision 9"),
        ("gamma", "the rows of revision 4"),
        ("gamma", "the rows of revision 7"),
    ]
    damage("UPDATE lash_tables.commits SET first_key = last_key WHERE session_key = {alpha} AND head_revision = 4")
    assert kinds(store.check())["commit_content"] >= 4


def _spans():
    from lash_host.store.spans import spans

    return spans
