"""Comparing what is in a store with what must be there after upkeep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crashing.kept import Kept, attachment_ids, blobs_of, dead_nodes, settled_inputs
from crashing.plan import live_nodes_at
from crashing.verify import Problem, Rows, facts_of, ids_of, problems_of_rows, queries
from lash_host.contracts.store import ReadScope, SessionStore
from lash_host.store.schema import metadata

__all__ = ["problems_of_kept", "problems_of_kept_store", "rows_of_store"]

_OWNED = [table.name for table in metadata.sorted_tables if "session_key" in table.columns]
_STRAYS = " UNION ALL ".join(
    f"SELECT '{name}', count(*) FROM {{r}}.{name} AS n"
    " WHERE NOT EXISTS (SELECT 1 FROM {r}.sessions AS s WHERE s.session_key = n.session_key)"
    for name in _OWNED
    if name not in {"sessions", "commit_log"}
)


def rows_of_store(store: SessionStore, schema: str) -> Rows:
    """Read everything, from the tables alone too, and how many rows each table has that belong to no session."""
    store._engine.fold()
    asked = {name: sql for name, sql in queries(schema).items() if not name.startswith("usage_")}
    asked["strays"] = _STRAYS.replace("{r}", schema)
    return {name: store.query(sql).fetchall() for name, sql in asked.items()}


def problems_of_kept(rows: Rows, kept: Kept, *, where: str) -> list[Problem]:
    """Compare what is there with what must be: without what upkeep removed, with all that it may not touch."""
    found = [Problem("torn", f"{where}: {count} {name} of no session") for name, count in rows["strays"] if count]
    found += _problems_of_blobs({row[0] for row in rows["blobs"]}, kept, where)
    facts = facts_of(rows)
    columns: dict[str, dict[str, list[Any]]] = {name: {} for name in ("nodes", "live", "inputs")}
    hidden_from: dict[str, int] = {}
    for session_id in kept.expected.sessions.keys() & facts.keys():
        there, session = facts[session_id], kept.expected.of(session_id)
        hidden = set(kept.hidden.get(session_id, []))
        live = live_nodes_at(session_id, session.revision)
        hidden_from[session_id] = len(hidden & set(live))
        seen = {*there.get("nodes"), *there.get("inputs")} & set(kept.gone.get(session_id, []))
        found += [Problem("torn", f"{where}: {session_id}: {one} was removed, and is there") for one in seen]
        seen = hidden & set(there.get("live"))
        found += [Problem("torn", f"{where}: {session_id}: {one} was hidden, and is live") for one in seen]
        ids = ids_of(session_id, session.revision, lambda plan: plan.node_ids)
        columns["nodes"][session_id] = [_restored(ids, there.get("nodes"), dead_nodes(kept, session_id))]
        columns["live"][session_id] = [_restored(live, there.get("live"), hidden)]
        states = dict(zip(there.get("inputs"), there.get("inputs", 1), strict=True))
        keys = _restored(list(session.inputs), there.get("inputs"), settled_inputs(session))
        columns["inputs"][session_id] = [keys, [states.get(key, session.inputs.get(key)) for key in keys]]
    sessions = [
        (session_id, revision, turns, count + hidden_from.get(session_id, 0), leaf)
        for session_id, revision, turns, count, leaf in rows["sessions"]
    ]
    every_blob = {
        ref
        for one, session in kept.expected.sessions.items()
        for n in range(session.revision)
        for ref in blobs_of(one, n + 1)
    }
    restored = {
        **rows,
        **{name: [(one, *lists) for one, lists in found_now.items()] for name, found_now in columns.items()},
        "sessions": sessions,
        "blobs": [(ref,) for ref in every_blob],
    }
    return found + problems_of_rows(restored, kept.expected, where=where)


def _restored(wanted: list[Any], there: list[Any], may_lack: Iterable[Any]) -> list[Any]:
    """Give all that is wanted where only that is lacking which may be, and the rest is in order."""
    seen = set(there)
    is_fine = there == [one for one in wanted if one in seen] and set(wanted) - seen <= set(may_lack)
    return wanted if is_fine else there


def _problems_of_blobs(there: set[str], kept: Kept, where: str) -> list[Problem]:
    found = [Problem("lost", f"{where}: blob {ref}") for ref in kept.referred_blobs() - there]
    found += [Problem("torn", f"{where}: blob {ref} was deleted, and is there") for ref in there & set(kept.gone_blobs)]
    return found + [Problem("torn", f"{where}: blob {ref} was never committed") for ref in there - set(kept.blobs)]


def problems_of_kept_store(store: SessionStore, kept: Kept) -> list[Problem]:
    """Ask a store itself: for its sessions, their attachments, its own check."""
    found = [Problem("check", f"{problem.kind}: {problem.detail}") for problem in store.check().problems]
    for session_id in kept.expected.sessions:
        loaded = store.load_session(session_id, scope=ReadScope.FULL_GRAPH)
        wanted = kept.visible(session_id)
        nodes = [] if loaded is None else [node.node_id for node in loaded.graph.nodes]
        if nodes != wanted:
            found.append(Problem("lost", f"load_session({session_id}): {nodes}, not {wanted}"))
    bytes_there = set(store.stored_attachment_ids())
    for session_id, session in kept.expected.sessions.items():
        named = [
            one
            for one, is_named in zip(attachment_ids(session_id, session), session.attachments.values(), strict=True)
            if is_named
        ]
        found += [Problem("lost", f"{session_id}: bytes of {one}") for one in named if one not in bytes_there]
        found += [
            Problem("torn", f"{session_id}: bytes of {one}")
            for one in named
            if one in bytes_there and not store.get_attachment(session_id, one)
        ]
    return found
