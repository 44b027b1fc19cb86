"""Operations on references of sessions to attachments; see `lash_host.contracts.attachments.AttachmentStore`."""

from __future__ import annotations

from collections.abc import Sequence

from lash_host.domain.attachment import AttachmentRef
from lash_host.store.head import Head
from lash_host.store.work import ATTACHMENTS, Row, Work

__all__ = [
    "commit_refs",
    "forget",
    "forget_aged",
    "holds_ref",
    "list_refs",
    "record_intent",
    "stamp",
]


def record_intent(
    work: Work, session_id: str, attachment_id: str, *, media_type: str, label: str | None, size_bytes: int
) -> AttachmentRef:
    """Say that a session is about to refer to bytes. Said again, the intent is new and a commit's stamp stays."""
    head = work.ensure_head(session_id)
    known = work.find(ATTACHMENTS, head, "attachment_id", attachment_id)
    row: Row = {
        "session_key": head.session_key,
        "attachment_id": attachment_id,
        "media_type": media_type,
        "label": label,
        "size_bytes": size_bytes,
        "intent_at_us": work.now_us,
        "committed_at_us": None if known is None else known["committed_at_us"],
    }
    work.put(ATTACHMENTS, row)
    return _ref(row, session_id)


def commit_refs(work: Work, session_id: str, attachment_ids: Sequence[str]) -> None:
    """Stamp a session's references as committed; those it does not have are left out."""
    head = work.head(session_id)
    if head is not None:
        stamp(work, head, attachment_ids)


def stamp(work: Work, head: Head, attachment_ids: Sequence[str]) -> None:
    """Stamp references as committed now. Those that were stay as they are; those that do not exist are left out."""
    for attachment_id in dict.fromkeys(attachment_ids):
        row = work.find(ATTACHMENTS, head, "attachment_id", attachment_id)
        if row is not None and row["committed_at_us"] is None:
            work.put(ATTACHMENTS, {**row, "committed_at_us": work.now_us})


def list_refs(work: Work, session_id: str) -> list[AttachmentRef]:
    """List a session's references, the oldest intent first."""
    head = work.head(session_id)
    return [] if head is None else [_ref(row, session_id) for row in work.live(ATTACHMENTS, head)]


def holds_ref(work: Work, session_id: str, attachment_id: str) -> bool:
    """Whether the session refers to the bytes, committed or not."""
    return _find(work, session_id, attachment_id) is not None


def forget(work: Work, session_id: str, attachment_id: str) -> None:
    """Drop a session's reference, if it has it."""
    row = _find(work, session_id, attachment_id)
    if row is not None:
        work.remove(ATTACHMENTS, row)


def forget_aged(work: Work, session_id: str, attachment_ids: Sequence[str], *, older_than_us: int) -> int:
    """Drop those of a session's references that no commit named and whose intent is no later than this moment.

    Looked at again here: since they were listed, a commit may have named them, or the intent may be new.

    Returns:
        How many were dropped.
    """
    forgotten = 0
    for attachment_id in attachment_ids:
        row = _find(work, session_id, attachment_id)
        if row is not None and row["committed_at_us"] is None and row["intent_at_us"] <= older_than_us:
            work.remove(ATTACHMENTS, row)
            forgotten += 1
    return forgotten


def _find(work: Work, session_id: str, attachment_id: str) -> Row | None:
    head = work.head(session_id)
    return None if head is None else work.find(ATTACHMENTS, head, "attachment_id", attachment_id)


def _ref(row: Row, session_id: str) -> AttachmentRef:
    return AttachmentRef(
        session_id=session_id,
        attachment_id=row["attachment_id"],
        media_type=row["media_type"],
        label=row["label"],
        size_bytes=row["size_bytes"],
        intent_at_us=row["intent_at_us"],
        committed_at_us=row["committed_at_us"],
    )
