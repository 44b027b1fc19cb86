"""How little an operation asks of the database when its session is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.graph import ReplaceGraph
from lash_host.domain.lease import LeaseAcquired
from lash_host.store import open_store
from lash_host.testing.conformance import SampleSession, message_nodes
from lash_host.testing.conformance.drafts import command_draft, input_draft, wake_draft
from lash_host.testing.conformance.samples import TTL_MS, model_call

INTO_LOG = "INSERT INTO lash_tables.commit_log"


@pytest.fixture
def session(store: SessionStore) -> SampleSession:
    session = SampleSession(store, "alpha")
    store.commit(session.turn("t0", "root"))
    return session


@pytest.fixture
def asked(statements: list[str]) -> Callable[[Callable[[], object]], list[str]]:
    """Make a call; give what it asked of the database, each by its first words."""

    def ask(call: Callable[[], object]) -> list[str]:
        statements.clear()
        call()
        return [" ".join(sql.split()[:3]) for sql in statements]

    return ask


Asked = Callable[[Callable[[], object]], list[str]]


def test_a_turn_is_one_statement(store: SessionStore, session: SampleSession, asked: Asked) -> None:
    commit = session.turn("t1", "a", "b", after="root", model_calls=(model_call("c1"), model_call("c2")))
    assert asked(lambda: store.commit(commit)) == [INTO_LOG]
    replay = asked(lambda: store.commit(commit))
    assert INTO_LOG not in replay


def test_a_replaced_graph_is_one_statement_too(session: SampleSession, asked: Asked) -> None:
    session.commit(*map(str, range(50)), after="root")
    commit = session.draft(graph=ReplaceGraph(nodes=message_nodes("new"), leaf_node_id="new"))
    assert asked(lambda: session.store.commit(commit)) == [INTO_LOG]


def test_a_refused_commit_writes_nothing(store: SessionStore, session: SampleSession, asked: Asked) -> None:
    commit = session.draft("a", after="root", expected_head_revision=7)

    def refused() -> None:
        with pytest.raises(Exception, match="revision 1"):
            store.commit(commit)

    assert asked(refused) == []


def test_a_lease_asks_for_nothing(store: SessionStore, session: SampleSession, asked: Asked) -> None:
    def hold() -> None:
        for _ in range(20):
            claimed = store.claim_lease("alpha", session.owner, ttl_ms=TTL_MS)
            assert isinstance(claimed, LeaseAcquired)
            store.renew_lease(claimed.lease.fence, ttl_ms=TTL_MS)
            store.release_lease(claimed.lease.fence)

    assert asked(hold) == []


def test_tokens_that_are_used_up_are_reserved_with_one_statement(session: SampleSession, asked: Asked) -> None:
    def hold() -> None:
        for _ in range(130):
            session.store.release_lease(session.claim())

    assert asked(hold) == [INTO_LOG] * 2


def test_queued_work_is_one_statement_a_step(store: SessionStore, session: SampleSession, asked: Asked) -> None:
    store.enqueue_queued_work(wake_draft("alpha", 1))
    fence = session.claim()
    assert store.list_queued_work("alpha")
    assert asked(lambda: store.list_queued_work("alpha")) == []
    claims = []
    assert asked(lambda: claims.append(session.claim_work())) == [INTO_LOG]
    assert asked(lambda: claims.append(store.renew_queued_work_claim(claims[0], ttl_ms=TTL_MS))) == [INTO_LOG]
    commit = session.draft(after="root", fence=fence, completed_queue_claims=(claims[1],))
    assert asked(lambda: store.commit(commit)) == [INTO_LOG]


def test_waiting_input_is_one_statement_a_step(store: SessionStore, session: SampleSession, asked: Asked) -> None:
    kept = store.enqueue_turn_input(input_draft("alpha"))
    assert store.list_pending_turn_inputs("alpha") == [kept]
    assert asked(lambda: store.enqueue_turn_input(input_draft("alpha", "more"))) == [INTO_LOG]
    fence = session.claim()
    claims = []
    assert asked(lambda: claims.append(session.claim_inputs())) == [INTO_LOG]
    commit = session.draft(after="root", fence=fence, completed_turn_input_claims=(claims[0],))
    assert asked(lambda: store.commit(commit)) == [INTO_LOG]


def test_the_same_command_again_writes_nothing(store: SessionStore, session: SampleSession, asked: Asked) -> None:
    first = store.enqueue_queued_work(command_draft("alpha"))
    assert INTO_LOG not in asked(lambda: store.enqueue_queued_work(command_draft("alpha")))
    assert session.queued() == [first.batch_id]


def test_a_session_of_an_earlier_process_is_asked_for_single_ids_first(
    store: SessionStore, path: Path, statements: list[str]
) -> None:
    store.commit(SampleSession(store, "alpha").turn("t1", "a"))
    store.close()
    again = open_store(path)
    session = SampleSession(again, "alpha")
    kinds = []
    for number in range(3):
        commit = session.turn(f"u{number}", f"b{number}", after=f"b{number - 1}" if number else "a")
        statements.clear()
        again.commit(commit)
        kinds.append([" IN (" in sql for sql in statements if sql.startswith("SELECT") and "node_id" in sql])
    again.close()
    assert kinds == [[True], [False], []]


def test_what_is_folded_is_read_from_the_tables(
    path: Path, store: SessionStore, fold: Callable[[SessionStore], None], statements: list[str]
) -> None:
    session = SampleSession(store, "alpha")
    session.commit("a")
    fold(store)
    statements.clear()
    assert session.node_ids() == ["a"]
    assert statements
    assert not [sql for sql in statements if "lash_rows" in sql]
