"""Comparing what is in a store with what must be there: every row of every session, each exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crashing.model import Expected, Op, SessionExpected
from crashing.plan import INPUT_TOKENS, attachment_of, live_nodes_at, planned
from lash_host.contracts.store import ReadScope, SessionStore
from lash_host.domain.commit import content_ref

__all__ = ["Problem", "Rows", "facts_of", "has_landed", "ids_of", "problems_of_rows", "problems_of_store", "queries"]

Rows = Mapping[str, list[Any]]
"""Answers to `queries`, by their names."""

_BY_SESSION = {
    "nodes": "SELECT s.session_id, array_agg(n.node_id ORDER BY n.node_key) FROM {r}.nodes AS n",
    "live": "SELECT s.session_id, array_agg(n.node_id ORDER BY n.node_key)"
    " FILTER (WHERE NOT n.tombstoned AND n.node_key >= s.replaced_before_key) FROM {r}.nodes AS n",
    "commits": "SELECT s.session_id, array_agg(n.turn_id ORDER BY n.head_revision) FROM {r}.commits AS n",
    "turns": "SELECT s.session_id, array_agg(n.turn_id) FROM {r}.turns AS n",
    "model_calls": "SELECT s.session_id, array_agg(n.call_id ORDER BY n.call_key) FROM {r}.model_calls AS n",
    "tool_calls": "SELECT s.session_id, array_agg(n.call_id ORDER BY n.call_key) FROM {r}.tool_calls AS n",
    "inputs": "SELECT s.session_id, array_agg(n.source_key ORDER BY n.enqueue_seq),"
    " array_agg(n.state ORDER BY n.enqueue_seq) FROM {r}.turn_inputs AS n",
    "work": "SELECT s.session_id, array_agg(n.source_key ORDER BY n.enqueue_seq) FROM {r}.queued_work AS n",
    "receipts": "SELECT s.session_id, array_agg(n.source_key) FROM {r}.receipts AS n",
    "attachments": "SELECT s.session_id, array_agg(n.attachment_id), array_agg(n.committed_at_us IS NOT NULL)"
    " FROM {r}.attachments AS n",
}
_EVERY_KEY = (
    "SELECT session_key, node_key AS row_key FROM {r}.nodes"
    " UNION ALL SELECT session_key, call_key FROM {r}.model_calls"
    " UNION ALL SELECT session_key, call_key FROM {r}.tool_calls"
    " UNION ALL SELECT session_key, enqueue_seq FROM {r}.turn_inputs"
    " UNION ALL SELECT session_key, enqueue_seq FROM {r}.queued_work"
)
_WHOLE = {
    "sessions": "SELECT session_id, head_revision, turns, live_nodes, leaf_node_id FROM {r}.sessions",
    "blobs": "SELECT ref FROM {r}.blobs",
    "keys_twice": f"SELECT session_key, row_key FROM ({_EVERY_KEY}) AS k GROUP BY ALL HAVING count(*) > 1",
    "keys_beyond": f"SELECT s.session_id, max(k.row_key) FROM ({_EVERY_KEY}) AS k JOIN {{r}}.sessions AS s"
    " ON s.session_key = k.session_key GROUP BY s.session_id, s.last_key HAVING max(k.row_key) > s.last_key",
}
_USAGE = {
    "usage_turns": "SELECT session_id, array_agg(turn_id) FROM usage.turns GROUP BY session_id",
    "usage_messages": "SELECT session_id, array_agg(node_id) FROM usage.messages GROUP BY session_id",
    "usage_active": "SELECT session_id, array_agg(node_id) FROM usage.messages WHERE on_active_path"
    " GROUP BY session_id",
    "usage_calls": "SELECT session_id, CAST(sum(input_tokens) AS BIGINT) FROM usage.model_calls GROUP BY session_id",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is not as it must be. `kind`: lost, torn, twice, order, token, check, stuck."""

    kind: str
    detail: str


def queries(schema: str) -> dict[str, str]:
    """Give the queries that tell everything: of `lash_rows`, with what `usage` shows; or of the tables alone."""
    group = " JOIN {r}.sessions AS s ON s.session_key = n.session_key GROUP BY s.session_id"
    every = _WHOLE | {name: sql + group for name, sql in _BY_SESSION.items()}
    return {name: sql.replace("{r}", schema).replace("GROUP BY ALL", "GROUP BY session_key, row_key")
            for name, sql in every.items()} | (_USAGE if schema == "lash_rows" else {})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Facts:
    """What there is of one session."""

    revision: int
    turns: int
    live_nodes: int
    leaf: str | None
    columns: Mapping[str, list[Any]]

    def get(self, name: str, column: int = 0) -> list[Any]:
        found = self.columns.get(name)
        return [] if found is None or found[column] is None else found[column]


def facts_of(rows: Rows) -> dict[str, _Facts]:
    """Sort answers by session."""
    by_session: dict[str, dict[str, list[Any]]] = {}
    for name in (*_BY_SESSION, *(_USAGE.keys() & rows.keys())):
        for session_id, *columns in rows[name]:
            by_session.setdefault(session_id, {})[name] = columns
    return {
        session_id: _Facts(revision, turns, live, leaf, by_session.get(session_id, {}))
        for session_id, revision, turns, live, leaf in rows["sessions"]
    }


def has_landed(op: Op, facts: Mapping[str, _Facts]) -> bool:
    """Say whether an operation that was never answered is in the store."""
    session = facts.get(op["session"])
    if session is None:
        return False
    match op["op"]:
        case "commit":
            return session.revision == op["revision"]
        case "attach":
            return content_ref(attachment_of(planned(op["session"], op["revision"]))) in session.get("attachments")
        case "input":
            return op["key"] in session.get("inputs")
        case "work":
            return op["key"] in session.get("work")
        case "cancel_input":
            return dict(zip(session.get("inputs"), session.get("inputs", 1), strict=True))[op["key"]] == "cancelled"
        case "cancel_work":
            return op["key"] not in session.get("work")
        case _:
            return True


def ids_of(session_id: str, revision: int, part: Callable[[Any], Iterable[str]]) -> list[str]:
    """Give the ids of a part of every commit up to a revision, in order."""
    return [found for number in range(1, revision + 1) for found in part(planned(session_id, number))]


def problems_of_rows(rows: Rows, expected: Expected, *, where: str) -> list[Problem]:
    """Compare answers to `queries` with what must be there."""
    facts = facts_of(rows)
    found = [Problem("twice", f"{where}: key {row}") for row in rows["keys_twice"]]
    found += [Problem("order", f"{where}: key beyond the last {row}") for row in rows["keys_beyond"]]
    refs = [row[0] for row in rows["blobs"]]
    found += _differences(f"{where}: blobs", _blobs(expected), refs, ordered=False)
    for session_id, session in expected.sessions.items():
        there = facts.get(session_id, _Facts(0, 0, 0, None, {}))
        found += _problems_of_session(
            f"{where}: {session_id}", session_id, session, there, shows_usage="usage_turns" in rows
        )
    leased_only = _Facts(0, 0, 0, None, {})
    strangers = {session_id for session_id, there in facts.items() if there != leased_only} - expected.sessions.keys()
    return found + [Problem("torn", f"{where}: session {stranger} was never made") for stranger in strangers]


def _problems_of_session(
    where: str, session_id: str, session: SessionExpected, there: _Facts, *, shows_usage: bool
) -> list[Problem]:
    revision = session.revision
    if there.revision != revision:
        kind = "lost" if there.revision < revision else "torn"
        return [Problem(kind, f"{where} is at revision {there.revision}, not {revision}")]
    nodes = ids_of(session_id, revision, lambda plan: plan.node_ids)
    live = live_nodes_at(session_id, revision)
    turns = ids_of(session_id, revision, lambda plan: [plan.turn_id])
    calls = ids_of(session_id, revision, lambda plan: plan.call_ids)
    tools = ids_of(session_id, revision, lambda plan: plan.tool_call_ids)
    attached = {_attachment(session_id, int(number)): named for number, named in session.attachments.items()}
    states = ["open" if state not in {"completed", "cancelled"} else state for state in there.get("inputs", 1)]
    found: list[Problem] = []
    for name, wanted, actual, ordered in (
        ("nodes", nodes, there.get("nodes"), True),
        ("live nodes", live, there.get("live"), True),
        ("commits", turns, there.get("commits"), True),
        ("turns", turns, there.get("turns"), False),
        ("model calls", calls, there.get("model_calls"), True),
        ("tool calls", tools, there.get("tool_calls"), True),
        ("inputs", list(session.inputs.items()), list(zip(there.get("inputs"), states, strict=True)), True),
        ("queued work", session.work, there.get("work"), True),
        ("receipts", session.receipts, there.get("receipts"), False),
        ("attachments", attached.items(),
         list(zip(there.get("attachments"), there.get("attachments", 1), strict=True)), False),
        ("counted turns", [revision], [there.turns], True),
        ("counted nodes", [len(live)], [there.live_nodes], True),
        ("leaf", live[-1:], [there.leaf] if there.leaf else [], True),
    ):  # fmt: skip
        found += _differences(f"{where}: {name}", wanted, actual, ordered=ordered)
    if shows_usage:
        found += _problems_of_usage(where, there, turns=turns, nodes=nodes, live=live, calls=calls)
    return found


def _problems_of_usage(
    where: str, there: _Facts, *, turns: list[str], nodes: list[str], live: list[str], calls: list[str]
) -> list[Problem]:
    found = _differences(f"{where}: usage.turns", turns, there.get("usage_turns"), ordered=False)
    found += _differences(f"{where}: usage.messages", nodes, there.get("usage_messages"), ordered=False)
    found += _differences(f"{where}: the active path", live, there.get("usage_active"), ordered=False)
    tokens = [INPUT_TOKENS * len(calls)] if calls else []
    return found + _differences(f"{where}: tokens", tokens, there.columns.get("usage_calls", []), ordered=True)


def _differences(where: str, wanted: Iterable[Any], actual: Iterable[Any], *, ordered: bool) -> list[Problem]:
    wanted, actual = list(wanted), list(actual)
    missing, extra = Counter(wanted) - Counter(actual), Counter(actual) - Counter(wanted)
    found = [Problem("lost", f"{where}: {item!r} is missing") for item in missing]
    for item in extra:
        kind = "twice" if item in wanted else "torn"
        found += [Problem(kind, f"{where}: {item!r} should not be there")]
    if ordered and not found and wanted != actual:
        found.append(Problem("order", f"{where}: another order"))
    return found


def _blobs(expected: Expected) -> set[str]:
    return {
        content_ref(body)
        for session_id, session in expected.sessions.items()
        for revision in range(1, session.revision + 1)
        for body in (planned(session_id, revision).blob, planned(session_id, revision).tool_state)
        if body is not None
    }


def _attachment(session_id: str, revision: int) -> str:
    return content_ref(attachment_of(planned(session_id, revision)))


def problems_of_store(store: SessionStore, expected: Expected) -> list[Problem]:
    """Ask a store itself: for its sessions, its listings, its own check."""
    found = [Problem("check", f"{problem.kind}: {problem.detail}") for problem in store.check().problems]
    listed = [info.session_id for info in store.list_sessions()]
    committed = [session_id for session_id, session in expected.sessions.items() if session.revision]
    found += _differences("list_sessions", committed, listed, ordered=False)
    for session_id in committed:
        session, where = expected.sessions[session_id], f"load_session({session_id})"
        loaded = store.load_session(session_id, scope=ReadScope.FULL_GRAPH)
        if loaded is None or loaded.head_revision != session.revision:
            found.append(Problem("lost", f"{where}: {loaded and loaded.head_revision}, not {session.revision}"))
            continue
        nodes = [node.node_id for node in loaded.graph.nodes]
        found += _differences(where, live_nodes_at(session_id, session.revision), nodes, ordered=True)
        for number, named in session.attachments.items():
            body = attachment_of(planned(session_id, int(number)))
            if named and store.get_attachment(session_id, content_ref(body)) != body:
                found.append(Problem("torn", f"{where}: attachment of revision {number}"))
    return found
