"""Attachments: files of a session's, kept as content-addressed bytes that several sessions may refer to."""

from __future__ import annotations

from lash_host.domain.value import Value

__all__ = ["AttachmentRef", "ReclaimReport"]


class AttachmentRef(Value):
    """One session's reference to some bytes.

    Attributes:
        attachment_id: SHA-256 of the bytes, hex. Equal bytes have one id in all sessions.
        media_type: What this session calls them, such as ``image/png``.
        label: What this session calls them, such as a file's name.
        size_bytes: How many.
        intent_at_us: When the session last said it would store them; UTC microseconds.
        committed_at_us: When a commit first named them; None: not yet, and after a grace time they may go.
    """

    session_id: str
    attachment_id: str
    media_type: str
    label: str | None = None
    size_bytes: int
    intent_at_us: int
    committed_at_us: int | None = None


class ReclaimReport(Value):
    """What reclaiming attachments did.

    Attributes:
        examined: Stored bytes that were looked at.
        reclaimed: How many were deleted.
        reclaimed_bytes: Their size.
        within_grace: Left alone because they were written too lately.
        forgotten_intents: References that were never committed and are too old.
        failures: What could not be deleted, with the reason; the others were.
    """

    examined: int
    reclaimed: int
    reclaimed_bytes: int
    within_grace: int
    forgotten_intents: int
    failures: tuple[str, ...] = ()
