"""Tables whose rows change: few a session, decided on, written whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from lash_host.store.schema import attachments, plugins_seen, queued_work, receipts, turn_inputs

__all__ = [
    "ATTACHMENTS",
    "PLUGINS_SEEN",
    "QUEUED_WORK",
    "RECEIPTS",
    "STATE_TABLES",
    "TURN_INPUTS",
    "Row",
    "StateTable",
]

Row = dict[str, Any]
"""A row of a state table, by column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTable:
    """A table whose rows change: few a session, decided on, written whole.

    Attributes:
        table: The table; its first column is `session_key`.
        key: The columns that tell a session's rows apart.
        order: The column that orders them.
        fixed: Columns that never change once a row is written, so that a change need not repeat them.
        settled: A column and the values of it that mark rows nobody decides on any more. They are found one by one and
            not loaded with their session.
    """

    table: Table
    key: tuple[str, ...]
    order: str
    fixed: frozenset[str] = frozenset()
    settled: tuple[str, frozenset[str]] | None = None

    def key_of(self, row: Row) -> tuple[Any, ...]:
        """Give a row's key within its session."""
        return tuple(row[name] for name in self.key)

    def is_settled(self, row: Row) -> bool:
        """Whether nobody decides on the row any more."""
        return self.settled is not None and row[self.settled[0]] in self.settled[1]


TURN_INPUTS = StateTable(
    table=turn_inputs,
    key=("input_id",),
    order="enqueue_seq",
    fixed=frozenset({"enqueue_seq", "source_key", "submitted_ingress", "enqueued_at_ms", "input"}),
    settled=("state", frozenset({"cancelled", "completed"})),
)
QUEUED_WORK = StateTable(
    table=queued_work,
    key=("batch_id",),
    order="enqueue_seq",
    fixed=frozenset(
        {
            "enqueue_seq",
            "source_key",
            "work_class",
            "delivery_policy",
            "slot_policy",
            "merge_key",
            "available_at_ms",
            "enqueued_at_ms",
            "items",
        }
    ),
)
RECEIPTS = StateTable(
    table=receipts,
    key=("source_key",),
    order="completed_at_us",
    fixed=frozenset({"batch", "completed_at_us"}),
)
ATTACHMENTS = StateTable(table=attachments, key=("attachment_id",), order="intent_at_us")
PLUGINS_SEEN = StateTable(table=plugins_seen, key=("plugin_id", "version"), order="first_seen_at_us")
STATE_TABLES = (TURN_INPUTS, QUEUED_WORK, RECEIPTS, ATTACHMENTS, PLUGINS_SEEN)
