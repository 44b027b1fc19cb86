"""Checking attachments: what commits named is there, and all that is there is what its name says."""

from __future__ import annotations

from sqlalchemy import select

from lash_host.domain.commit import content_ref
from lash_host.errors import StoreError
from lash_host.store import schema
from lash_host.store.attachment_bytes import AttachmentBytes
from lash_host.store.checking.findings import Findings
from lash_host.store.database import Transaction
from lash_host.store.schema import rows_of

__all__ = ["check_attachments"]

_attachments = rows_of(schema.attachments)
_REFS = select(
    _attachments.c.session_key,
    _attachments.c.attachment_id,
    _attachments.c.size_bytes,
    _attachments.c.committed_at_us,
).order_by(_attachments.c.attachment_id, _attachments.c.session_key)


def check_attachments(transaction: Transaction, stored: AttachmentBytes, findings: Findings) -> None:
    """Read the bytes of every reference, once.

    Bytes that no commit named yet may be missing: their intent comes first. Bytes of no reference are left alone.
    """
    refs = transaction.rows(_REFS)
    findings.counts["attachments"] = len(refs)
    last_id, problem = None, None
    for done, (session_key, attachment_id, size_bytes, committed_at_us) in enumerate(refs, start=1):
        if attachment_id != last_id:
            last_id, problem = attachment_id, _problem_with(stored, attachment_id, size_bytes)
        if problem is not None and (committed_at_us is not None or problem[0] != "missing_attachment"):
            findings.problem(problem[0], session_key, problem[1])
        findings.tell("attachments", done, len(refs))


def _problem_with(stored: AttachmentBytes, attachment_id: str, size_bytes: int) -> tuple[str, str] | None:
    try:
        body = stored.get(attachment_id)
    except StoreError as exc:
        return "missing_attachment", f"attachment {attachment_id}: {exc}"
    if body is None:
        return "missing_attachment", f"the {size_bytes:,} bytes of attachment {attachment_id} are not stored"
    if (found := content_ref(body)) != attachment_id:
        return "attachment_hash", f"attachment {attachment_id} hashes to {found}"
    return None
