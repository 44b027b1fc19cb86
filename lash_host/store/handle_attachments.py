"""The part of a store's handle that is about attachments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from lash_host.contracts.attachments import AttachmentStore
from lash_host.domain.attachment import AttachmentRef, ReclaimReport
from lash_host.store import attachment_storing, attachments
from lash_host.store.attachment_storing import SqlReferences
from lash_host.store.work import Engine

__all__ = ["AttachmentHandle"]


class AttachmentHandle(AttachmentStore):
    """Attachments, through the engine."""

    @property
    @abstractmethod
    def _engine(self) -> Engine:
        """The engine; an error where the handle was closed."""

    def put_attachment(
        self, session_id: str, body: bytes, *, media_type: str, label: str | None = None
    ) -> AttachmentRef:
        """Store bytes for a session."""
        engine = self._engine
        return attachment_storing.put_attachment(
            engine, engine.attachment_bytes, session_id, body, media_type=media_type, label=label
        )

    def get_attachment(self, session_id: str, attachment_id: str) -> bytes:
        """Give the bytes that a session refers to."""
        engine = self._engine
        return attachment_storing.get_attachment(engine, engine.attachment_bytes, session_id, attachment_id)

    def record_attachment_intent(
        self, session_id: str, attachment_id: str, *, media_type: str, label: str | None = None, size_bytes: int
    ) -> AttachmentRef:
        """Say that a session is about to refer to bytes."""
        return self._engine.run(
            lambda work: attachments.record_intent(
                work, session_id, attachment_id, media_type=media_type, label=label, size_bytes=size_bytes
            )
        )

    def commit_attachments(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Stamp a session's references as committed."""
        self._engine.run(lambda work: attachments.commit_refs(work, session_id, attachment_ids))

    def list_attachments(self, session_id: str) -> Sequence[AttachmentRef]:
        """List a session's references."""
        return self._engine.run(lambda work: attachments.list_refs(work, session_id))

    def list_uncommitted_attachments(self, *, older_than_us: int) -> Sequence[AttachmentRef]:
        """List references of all sessions that no commit named, up to an age."""
        return SqlReferences(self._engine).uncommitted(older_than_us=older_than_us)

    def holds_attachment(self, session_id: str, attachment_id: str) -> bool:
        """Whether the session refers to the bytes."""
        return self._engine.run(lambda work: attachments.holds_ref(work, session_id, attachment_id))

    def list_attachment_ids(self) -> Sequence[str]:
        """List the ids that any session refers to."""
        return SqlReferences(self._engine).ids()

    def forget_attachment(self, session_id: str, attachment_id: str) -> None:
        """Drop a session's reference."""
        self._engine.run(lambda work: attachments.forget(work, session_id, attachment_id))

    def stored_attachment_ids(self) -> Sequence[str]:
        """List the ids of all bytes that are stored."""
        return sorted(one.attachment_id for one in self._engine.attachment_bytes.stored())

    def reclaim_attachments(self, *, grace_ms: int) -> ReclaimReport:
        """Delete bytes that no session refers to."""
        engine = self._engine
        return attachment_storing.reclaim_attachments(
            engine, engine.attachment_bytes, SqlReferences(engine), grace_ms=grace_ms
        )
