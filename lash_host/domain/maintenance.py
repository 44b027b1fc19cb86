"""Keeping a store in order: what may go, and the reports of what went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lash_host.domain.value import Value

__all__ = [
    "CheckProblem",
    "CheckReport",
    "GcReport",
    "Retention",
    "RetentionReport",
    "VacuumReport",
]


class VacuumReport(Value):
    """What a vacuum removed for good, in this call."""

    removed_nodes: int
    removed_turn_inputs: int


class GcReport(Value):
    """What a collection of unreferenced blobs did.

    Attributes:
        roots: Checkpoints and nodes' images that were followed.
        retained: Blobs that something refers to.
        deleted: Blobs that nothing referred to.
        deleted_bytes: Their size.
    """

    roots: int
    retained: int
    deleted: int
    deleted_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept; None is for ever.

    Attributes:
        sessions_ms: Sessions since their latest commit. A session that somebody holds, or that has queued work or
            pending input, is kept.
        receipts_ms: Receipts of completed session commands.
        turn_inputs_ms: Turn inputs that were cancelled or completed.
    """

    sessions_ms: int | None = None
    receipts_ms: int | None = None
    turn_inputs_ms: int | None = None


class RetentionReport(Value):
    """What retention removed."""

    sessions: tuple[str, ...]
    receipts: int
    turn_inputs: int


class CheckProblem(Value):
    """One thing that is wrong.

    Attributes:
        kind: Which invariant is broken.
        session_id: Where; None for what belongs to no session.
        detail: Exactly what: ids, revisions, hashes.
    """

    kind: Literal[
        "duplicate_node_id",
        "missing_parent",
        "missing_leaf",
        "active_frames",
        "ledger",
        "live_node_count",
        "checkpoint_ref",
        "missing_blob",
        "blob_hash",
        "attachment_hash",
        "missing_attachment",
        "commit_chain",
        "commit_content",
        "commit_gap",
        "log_entry",
        "unreadable_record",
    ]
    session_id: str | None
    detail: str


class CheckReport(Value):
    """What a check looked at, and what is wrong. Nothing is wrong where `problems` is empty."""

    sessions: int
    commits: int
    nodes: int
    blobs: int
    attachments: int
    unfolded_commits: int
    problems: tuple[CheckProblem, ...]
