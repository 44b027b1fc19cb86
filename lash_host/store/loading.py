"""Loading a session, from one snapshot, in as much of its graph as was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Select, Table, bindparam, literal_column, select

from lash_host.contracts.store import PersistedSession, ReadScope
from lash_host.domain.graph import SessionGraph, SessionNode
from lash_host.domain.session import CheckpointManifest
from lash_host.domain.usage import TokenLedgerEntry
from lash_host.errors import StoreError, UsageFault
from lash_host.store import schema
from lash_host.store.database import Transaction
from lash_host.store.ledger import added_up, calls_query
from lash_host.store.records import load_checkpoint, load_frames, load_ledger, load_policy
from lash_host.store.schema import rows_of
from lash_host.store.work import Engine

__all__ = ["load_blob", "load_node", "load_session"]

_HEAD_COLUMNS = (
    "session_key", "head_revision", "leaf_node_id", "live_nodes", "current_frame_id", "frame_start_key",
    "replaced_before_key", "frames", "policy", "checkpoint", "checkpoint_ref", "ledger",
)  # fmt: skip
_NODE_COLUMNS = ("node_key", "node_id", "parent_node_id", "frame_id", "created_at_us", "kind", "label", "payload")
_NODE_KEY, _NODE_ID = 0, 1
_NODE_BATCH = 256
_BLOB = select(schema.blobs.c.body).where(schema.blobs.c.ref == bindparam("ref"))


class _Queries:
    """What a load asks, of the tables or of the views over every committed row."""

    def __init__(self, of: Callable[[Table], Table]) -> None:
        self._nodes = nodes = of(schema.nodes)
        sessions = of(schema.sessions)
        is_it = sessions.c.session_id == bindparam("session_id")
        self._live = (
            nodes.c.session_key == bindparam("session_key"),
            nodes.c.node_key >= bindparam("live_from"),
            nodes.c.tombstoned.is_(False),
        )
        self._columns = tuple(nodes.c[name] for name in _NODE_COLUMNS)
        self.head = select(*(sessions.c[name] for name in _HEAD_COLUMNS)).where(
            is_it, sessions.c.head_revision > literal_column("0")
        )
        self.place = select(sessions.c.session_key, sessions.c.replaced_before_key).where(is_it)
        self.nodes = select(*self._columns).where(*self._live)
        self.frame_nodes = select(*self._columns).where(
            *self._live, nodes.c.frame_id == bindparam("frame_id"), nodes.c.node_key >= bindparam("frame_start_key")
        )
        self.node = select(*self._columns).where(*self._live, nodes.c.node_id == bindparam("node_id"))
        self.parents = select(nodes.c.node_id, nodes.c.parent_node_id, nodes.c.node_key).where(*self._live)
        self.ledger = calls_query(of(schema.model_calls))
        self._by_keys: Select[Any] | None = None

    @property
    def by_keys(self) -> Select[Any]:
        """Nodes by their keys, a batch at a time."""
        if self._by_keys is None:
            wanted: list[BindParameter[int]] = [bindparam(f"key_{n}") for n in range(_NODE_BATCH)]
            key = self._nodes.c.node_key
            span = key.between(bindparam("first"), bindparam("last"))
            self._by_keys = select(*self._columns).where(*self._live, span, key.in_(wanted))
        return self._by_keys


_TABLES, _ROWS = _Queries(lambda table: table), _Queries(rows_of)


def _queries(engine: Engine, session_id: str) -> _Queries:
    """Ask the tables, which is faster, where they hold all of the session."""
    return _TABLES if engine.fold(session_id) else _ROWS


Row = Sequence[Any]


def load_session(
    engine: Engine, session_id: str, *, scope: ReadScope, leaf_node_id: str | None
) -> PersistedSession | None:
    """Load a session; see `CommitStore.load_session`."""
    if leaf_node_id is not None and scope is not ReadScope.ACTIVE_PATH:
        raise UsageFault(f"leaf_node_id goes with scope active_path, not with {scope.value}")
    queries = _queries(engine, session_id)
    with engine.read() as transaction:
        head = transaction.row(queries.head, {"session_id": session_id})
        if head is None:
            return None
        key, revision, stored_leaf, live_nodes, frame_id, frame_start, live_from, *texts, ref, spent = head
        frames, policy, checkpoint = texts
        span = _Span(queries=queries, session_key=key, live_from=live_from)
        manifest = load_checkpoint(checkpoint)
        leaf = stored_leaf if leaf_node_id is None else leaf_node_id
        match scope:
            case ReadScope.FULL_GRAPH:
                loaded = _all_nodes(transaction, span)
            case ReadScope.ACTIVE_PATH:
                loaded = _path_nodes(transaction, span, leaf)
            case ReadScope.CURRENT_FRAME:
                loaded = _frame_nodes(transaction, span, leaf, frame_id, frame_start)
        bodies = _bodies(transaction, session_id, manifest)
        ledger = _ledger(transaction, queries, key) if spent is None else load_ledger(spent)
    return PersistedSession(
        session_id=session_id,
        head_revision=revision,
        policy=load_policy(policy),
        agent_frames=load_frames(frames),
        current_agent_frame_id=frame_id,
        graph=SessionGraph(loaded, leaf_node_id=leaf, is_trimmed=len(loaded) < live_nodes),
        checkpoint_ref=ref,
        checkpoint=manifest,
        tool_state=bodies.get(manifest.tool_state_ref),
        plugin_snapshot=bodies.get(manifest.plugin_snapshot_ref),
        token_ledger=ledger,
    )


def load_node(engine: Engine, session_id: str, node_id: str) -> SessionNode | None:
    """Load one node; see `CommitStore.load_node`."""
    queries = _queries(engine, session_id)
    with engine.read() as transaction:
        session = transaction.row(queries.place, {"session_id": session_id})
        if session is None:
            return None
        span = _Span(queries=queries, session_key=session[0], live_from=session[1])
        row = transaction.row(queries.node, span.params(node_id=node_id))
    return None if row is None else _node(row)


def load_blob(engine: Engine, ref: str) -> bytes | None:
    """Load bytes; see `BlobStore.load_blob`."""
    with engine.read() as transaction:
        row = transaction.row(_BLOB, {"ref": ref})
    return None if row is None else bytes(row[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Where a session's live nodes are."""

    queries: _Queries
    session_key: int
    live_from: int

    def params(self, **others: Any) -> dict[str, Any]:
        """Give the parameters of a query over them."""
        return {"session_key": self.session_key, "live_from": self.live_from, **others}


def _all_nodes(transaction: Transaction, span: _Span) -> list[SessionNode]:
    """Read every live node. They come in order but for some: sorting whole payloads would cost more."""
    rows = transaction.rows(span.queries.nodes, span.params())
    rows.sort(key=itemgetter(_NODE_KEY))
    return [_node(row) for row in rows]


def _path_nodes(transaction: Transaction, span: _Span, leaf: str | None) -> list[SessionNode]:
    """Follow parents over ids alone; payloads are read of the path only."""
    links = transaction.rows(span.queries.parents, span.params())
    parents = {node_id: parent for node_id, parent, _ in links}
    path: list[str] = []
    at = leaf
    while at is not None and at in parents:
        path.append(at)
        at = parents[at]
    path.reverse()
    if len(path) == len(links):
        found = _all_nodes(transaction, span)
    else:
        keys = {node_id: node_key for node_id, _, node_key in links}
        found = _nodes_by_key(transaction, span, [keys[node_id] for node_id in path])
    by_id = {node.node_id: node for node in found}
    return [by_id[node_id] for node_id in path]


def _nodes_by_key(transaction: Transaction, span: _Span, node_keys: list[int]) -> list[SessionNode]:
    found: list[SessionNode] = []
    for start in range(0, len(node_keys), _NODE_BATCH):
        batch = node_keys[start : start + _NODE_BATCH]
        padded = [*batch, *batch[:1] * (_NODE_BATCH - len(batch))]
        params = span.params(first=min(batch), last=max(batch))
        rows = transaction.rows(span.queries.by_keys, params | {f"key_{n}": value for n, value in enumerate(padded)})
        found.extend(_node(row) for row in rows)
    return found


def _frame_nodes(
    transaction: Transaction, span: _Span, leaf: str | None, frame_id: str, frame_start: int
) -> list[SessionNode]:
    """Follow parents inside the frame. A leaf outside it, as of a frame without nodes yet, is loaded alone."""
    params = span.params(frame_id=frame_id, frame_start_key=frame_start)
    found = {row[_NODE_ID]: row for row in transaction.rows(span.queries.frame_nodes, params)}
    if leaf is not None and leaf not in found:
        row = transaction.row(span.queries.node, span.params(node_id=leaf))
        return [] if row is None else [_node(row)]
    path: list[SessionNode] = []
    at = leaf
    while at is not None and at in found:
        node = _node(found[at])
        path.append(node)
        at = node.parent_node_id
    path.reverse()
    return path


def _node(row: Row) -> SessionNode:
    _, node_id, parent_node_id, frame_id, created_at_us, kind, label, payload = row
    return SessionNode(
        node_id=node_id,
        parent_node_id=parent_node_id,
        frame_id=frame_id,
        created_at_us=created_at_us,
        kind=kind,
        label=label,
        payload_json=payload,
    )


def _bodies(transaction: Transaction, session_id: str, manifest: CheckpointManifest) -> dict[str | None, bytes]:
    bodies: dict[str | None, bytes] = {}
    for ref in {manifest.tool_state_ref, manifest.plugin_snapshot_ref} - {None}:
        row = transaction.row(_BLOB, {"ref": ref})
        if row is None:
            raise StoreError(f"the checkpoint of session {session_id!r} names blob {ref!r}, which is not in the store")
        bodies[ref] = bytes(row[0])
    return bodies


def _ledger(transaction: Transaction, queries: _Queries, session_key: int) -> tuple[TokenLedgerEntry, ...]:
    """Add up what a session spent whose head does not say it."""
    params = {"first_session": session_key, "last_session": session_key}
    return added_up(transaction.rows(queries.ledger, params)).get(session_key, ())
