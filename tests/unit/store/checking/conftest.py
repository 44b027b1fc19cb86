"""Stores with a little of everything in them, and ways to damage them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import HookCallFact
from lash_host.domain.graph import ReplaceGraph, UnchangedGraph
from lash_host.domain.maintenance import CheckReport
from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession
from lash_host.testing.conformance.samples import draft, message_nodes, model_call

Damage = Callable[[str], None]


@pytest.fixture(params=["duckdb", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "x.duckdb") if request.param == "duckdb" else request.getfixturevalue("postgres_url")


@pytest.fixture
def store(url: str) -> Iterator[SessionStore]:
    """Two sessions. Of alpha's commits, r1 to r5, the third replaces the graph; beta has one commit."""
    store = open_store(url, clock=ManualClock())
    alpha = SampleSession(store, "alpha")
    hooks = (HookCallFact(plugin_id="p", hook="lash_before_turn", calls=1, total_ms=1.5, max_ms=1, errors=0),)
    body = draft(tool_state=b"tools", plugin_snapshot=b"plugins", plugin_snapshot_revision=1)
    store.commit(alpha.turn("t1", "a", "b", checkpoint=body, model_calls=(model_call("c1"),), hook_calls=hooks))
    alpha.commit(graph=UnchangedGraph(leaf_node_id="b"), checkpoint=body)
    alpha.commit(graph=ReplaceGraph(nodes=message_nodes("c", "d"), leaf_node_id="d"), checkpoint=body)
    store.commit(alpha.turn("t2", "e", after="d", checkpoint=body, model_calls=(model_call("c2", input_tokens=3),)))
    alpha.commit("f", after="e", checkpoint=body)
    SampleSession(store, "beta").commit("a")
    yield store
    store.close()


@pytest.fixture
def damage(store: SessionStore) -> Damage:
    """Run SQL on the tables, behind the store's back. ``{alpha}`` and ``{beta}`` are the sessions' keys."""

    def run(sql: str) -> None:
        keys = {name: f"(SELECT session_key FROM lash_tables.sessions WHERE session_id = '{name}')" for name in NAMES}
        with store._engine.exclusive() as transaction:
            transaction.script(sql.format(**keys))

    return run


NAMES = ("alpha", "beta")


@pytest.fixture
def kinds() -> Callable[[CheckReport], dict[str, int]]:
    """Count a report's problems by their kind."""
    return lambda report: dict(Counter(problem.kind for problem in report.problems))
