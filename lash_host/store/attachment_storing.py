"""Attachments as a whole, references and bytes: stored, given, reclaimed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy import bindparam, literal_column, select

from lash_host.domain.attachment import AttachmentRef, ReclaimReport
from lash_host.domain.commit import content_ref
from lash_host.errors import AttachmentNotFound, StoreError
from lash_host.store.attachment_bytes import AttachmentBytes, StoredBytes
from lash_host.store.attachments import forget_aged, holds_ref, record_intent
from lash_host.store.points import reached
from lash_host.store.schema import attachments, rows_of, sessions
from lash_host.store.work import Engine

__all__ = ["References", "SqlReferences", "get_attachment", "put_attachment", "reclaim_attachments"]

_ATTACHMENTS = rows_of(attachments)
_SESSIONS = rows_of(sessions)
_UNCOMMITTED = (
    select(
        _SESSIONS.c.session_id,
        _ATTACHMENTS.c.attachment_id,
        _ATTACHMENTS.c.media_type,
        _ATTACHMENTS.c.label,
        _ATTACHMENTS.c.size_bytes,
        _ATTACHMENTS.c.intent_at_us,
    )
    .join(_SESSIONS, _SESSIONS.c.session_key == _ATTACHMENTS.c.session_key)
    .where(_ATTACHMENTS.c.committed_at_us.is_(None), _ATTACHMENTS.c.intent_at_us <= bindparam("older_than_us"))
    .order_by(_ATTACHMENTS.c.intent_at_us, _ATTACHMENTS.c.session_key, _ATTACHMENTS.c.attachment_id)
)
_IDS = select(_ATTACHMENTS.c.attachment_id).distinct().order_by(_ATTACHMENTS.c.attachment_id)
_REFERS = (
    select(_ATTACHMENTS.c.session_key)
    .where(_ATTACHMENTS.c.attachment_id == bindparam("attachment_id"))
    .limit(literal_column("1"))
)


class References(Protocol):
    """The references of all sessions."""

    def uncommitted(self, *, older_than_us: int) -> Sequence[AttachmentRef]:
        """List those that no commit named and whose intent is no later than this moment, the oldest first."""
        ...

    def ids(self) -> Sequence[str]:
        """List the ids that any session refers to, each once."""
        ...

    def exists(self, attachment_id: str) -> bool:
        """Whether any session refers to the bytes."""
        ...


class SqlReferences:
    """The references of all sessions, as the database has them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def uncommitted(self, *, older_than_us: int) -> Sequence[AttachmentRef]:
        """List those that no commit named, up to an age."""
        with self._engine.read() as transaction:
            rows = transaction.rows(_UNCOMMITTED, {"older_than_us": older_than_us})
        names = _UNCOMMITTED.selected_columns.keys()
        return [AttachmentRef(**dict(zip(names, row, strict=True))) for row in rows]

    def ids(self) -> Sequence[str]:
        """List the ids that any session refers to."""
        with self._engine.read() as transaction:
            return [row[0] for row in transaction.rows(_IDS)]

    def exists(self, attachment_id: str) -> bool:
        """Whether any session refers to the bytes."""
        with self._engine.read() as transaction:
            return transaction.row(_REFERS, {"attachment_id": attachment_id}) is not None


def put_attachment(
    engine: Engine, stored: AttachmentBytes, session_id: str, body: bytes, *, media_type: str, label: str | None
) -> AttachmentRef:
    """Store bytes for a session: the intent first, durably, so that no bytes are ever unaccounted for.

    Raises:
        StoreUnwritable: The bytes cannot be written. The reference stays until it is reclaimed.
    """
    attachment_id = content_ref(body)
    ref = engine.run(
        lambda work: record_intent(
            work, session_id, attachment_id, media_type=media_type, label=label, size_bytes=len(body)
        )
    )
    stored.put(attachment_id, body, now_us=ref.intent_at_us)
    return ref


def get_attachment(engine: Engine, stored: AttachmentBytes, session_id: str, attachment_id: str) -> bytes:
    """Give the bytes that a session refers to.

    Raises:
        AttachmentNotFound: It refers to no such bytes, even if they exist; or they were never written.
        StoreError: The bytes are not those that were written.
    """
    body = None
    if engine.run(lambda work: holds_ref(work, session_id, attachment_id)):
        body = stored.get(attachment_id)
    if body is None:
        raise AttachmentNotFound(session_id=session_id, attachment_id=attachment_id)
    if content_ref(body) != attachment_id:
        raise StoreError(f"the bytes of attachment {attachment_id!r} are damaged")
    return body


@dataclass(slots=True)
class _Tally:
    examined: int = 0
    reclaimed: int = 0
    reclaimed_bytes: int = 0
    within_grace: int = 0


def reclaim_attachments(
    engine: Engine, stored: AttachmentBytes, references: References, *, grace_ms: int
) -> ReclaimReport:
    """Delete bytes that no session refers to; see `AttachmentStore.reclaim_attachments`.

    References are looked at again for each before it is deleted, and bytes that were put in the meantime stay, whoever
    put them. What cannot be deleted is reported, and the others are.
    """
    cutoff_us = engine.run(lambda work: work.now_us) - grace_ms * 1000
    forgotten = _forget_aged(engine, references, older_than_us=cutoff_us)
    reached("in_reclaim")
    referred = frozenset(references.ids())
    tally, failures = _Tally(), list[str]()
    for one in stored.stored():
        tally.examined += 1
        try:
            _reclaim(stored, references, one, tally, referred=referred, cutoff_us=cutoff_us)
        except StoreError as exc:
            failures.append(f"{one.attachment_id}: {exc}")
    return ReclaimReport(
        examined=tally.examined,
        reclaimed=tally.reclaimed,
        reclaimed_bytes=tally.reclaimed_bytes,
        within_grace=tally.within_grace,
        forgotten_intents=forgotten,
        failures=tuple(failures),
    )


def _forget_aged(engine: Engine, references: References, *, older_than_us: int) -> int:
    by_session: defaultdict[str, list[str]] = defaultdict(list)
    for ref in references.uncommitted(older_than_us=older_than_us):
        by_session[ref.session_id].append(ref.attachment_id)
    forgotten = 0
    for session_id, ids in by_session.items():
        forgotten += engine.run(
            partial(forget_aged, session_id=session_id, attachment_ids=ids, older_than_us=older_than_us)
        )
    return forgotten


def _reclaim(
    stored: AttachmentBytes,
    references: References,
    one: StoredBytes,
    tally: _Tally,
    *,
    referred: AbstractSet[str],
    cutoff_us: int,
) -> None:
    if one.attachment_id in referred:
        return
    if one.modified_at_us > cutoff_us:
        tally.within_grace += 1
    elif not references.exists(one.attachment_id) and stored.delete(one.attachment_id, not_after_us=cutoff_us):
        tally.reclaimed += 1
        tally.reclaimed_bytes += one.size_bytes
        reached("in_reclaim")
