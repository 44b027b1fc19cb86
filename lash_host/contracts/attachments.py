"""What a store promises of attachments: references of sessions to content-addressed bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from lash_host.domain.attachment import AttachmentRef, ReclaimReport

__all__ = ["AttachmentStore"]


class AttachmentStore(ABC):
    """Attachments. The intent to write is recorded before the bytes are, so that no bytes are ever unaccounted for.

    A reference is made with its intent and kept for good by the first commit that names it. Bytes that no session
    refers to any more are deleted by `reclaim_attachments`, after a grace time.
    """

    @abstractmethod
    def put_attachment(
        self, session_id: str, body: bytes, *, media_type: str, label: str | None = None
    ) -> AttachmentRef:
        """Store bytes for a session. Equal bytes are stored once; each session has its own media type and label.

        Raises:
            StoreUnwritable: The bytes cannot be written.
        """

    @abstractmethod
    def get_attachment(self, session_id: str, attachment_id: str) -> bytes:
        """Give the bytes that a session refers to.

        Raises:
            AttachmentNotFound: It refers to no such bytes, even if another session does.
        """

    @abstractmethod
    def record_attachment_intent(
        self, session_id: str, attachment_id: str, *, media_type: str, label: str | None = None, size_bytes: int
    ) -> AttachmentRef:
        """Say that a session is about to refer to bytes. Said again, the intent is new and a commit's stamp stays."""

    @abstractmethod
    def commit_attachments(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Stamp a session's references as committed; those it does not have are left out."""

    @abstractmethod
    def list_attachments(self, session_id: str) -> Sequence[AttachmentRef]:
        """List a session's references, the oldest intent first."""

    @abstractmethod
    def list_uncommitted_attachments(self, *, older_than_us: int) -> Sequence[AttachmentRef]:
        """List references of all sessions that no commit named and whose intent is no later than this moment."""

    @abstractmethod
    def holds_attachment(self, session_id: str, attachment_id: str) -> bool:
        """Whether the session refers to the bytes, committed or not."""

    @abstractmethod
    def list_attachment_ids(self) -> Sequence[str]:
        """List the ids that any session refers to, each once."""

    @abstractmethod
    def forget_attachment(self, session_id: str, attachment_id: str) -> None:
        """Drop a session's reference. The bytes stay until they are reclaimed."""

    @abstractmethod
    def stored_attachment_ids(self) -> Sequence[str]:
        """List the ids of all bytes that are stored, referred to or not."""

    @abstractmethod
    def reclaim_attachments(self, *, grace_ms: int) -> ReclaimReport:
        """Delete bytes that no session refers to.

        References never committed whose intent is older than ``grace_ms`` are forgotten first; bytes written within
        ``grace_ms`` are left alone.
        """
