"""Checking that every stored value can be read: what nodes hold, and what waits for a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Table

from lash_host.errors import StoreError
from lash_host.store import schema
from lash_host.store.checking.findings import Findings
from lash_host.store.claim_columns import claim_row
from lash_host.store.database import Transaction
from lash_host.store.input_columns import input_of
from lash_host.store.queue_columns import batch_of, receipt_batch
from lash_host.store.references import image_refs
from lash_host.store.schema import rows_of
from lash_host.store.spans import rows_in, spans
from lash_host.store.state import Row

__all__ = ["check_records"]

_nodes = rows_of(schema.nodes)
_NODE = ("session_key", "node_id", "kind", "payload")


def _read_input(row: Row) -> None:
    input_of(row, session_id="")
    claim_row(row)


def _read_batch(row: Row) -> None:
    batch_of(row, session_id="")
    claim_row(row)


class _Kind(NamedTuple):
    """A kind of rows that wait for a session."""

    name: str
    table: Table
    key: str
    read: Callable[[Row], object]


_WAITING = (
    _Kind("turn input", rows_of(schema.turn_inputs), "input_id", _read_input),
    _Kind("queued work", rows_of(schema.queued_work), "batch_id", _read_batch),
    _Kind("receipt", rows_of(schema.receipts), "source_key", receipt_batch),
)


def check_records(transaction: Transaction, findings: Findings) -> None:
    """Read every node, and all that waits; note which blobs messages refer to."""
    total, done = findings.counts["nodes"], 0
    for span in spans(transaction, _nodes):
        rows = rows_in(transaction, _nodes, span, columns=_NODE)
        for session_key, node_id, kind, payload in rows:
            _check_node(findings, session_key, node_id, kind, payload)
        done += len(rows)
        findings.tell("nodes", done, total)
    for kind in _WAITING:
        _check_waiting(transaction, findings, kind)


def _check_node(findings: Findings, session_key: int, node_id: str, kind: str, payload: str) -> None:
    try:
        if kind != "message":
            json.loads(payload)
            return
        for ref in image_refs(payload):
            findings.referred_blobs.setdefault(ref, (session_key, f"an image of node {node_id!r}"))
    except (StoreError, ValueError, TypeError) as exc:
        findings.problem("unreadable_record", session_key, f"node {node_id!r}: {exc}")


def _check_waiting(transaction: Transaction, findings: Findings, kind: _Kind) -> None:
    names = kind.table.columns.keys()
    for span in spans(transaction, kind.table):
        for values in rows_in(transaction, kind.table, span):
            row = dict(zip(names, values, strict=True))
            try:
                kind.read(row)
            except (StoreError, ValueError) as exc:
                findings.problem("unreadable_record", row["session_key"], f"{kind.name} {row[kind.key]!r}: {exc}")
