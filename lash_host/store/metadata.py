"""What is said about a session besides its turns; see `lash_host.contracts.store.SessionDirectory`."""

from __future__ import annotations

from lash_host.domain.session import SessionMeta
from lash_host.store.head import Head
from lash_host.store.records import dump_value, load_session_meta
from lash_host.store.work import Work

__all__ = ["create_session", "load_meta", "save_meta"]


def create_session(work: Work, meta: SessionMeta) -> SessionMeta:
    """Note a session, unless it has metadata; give those it has now."""
    head = work.ensure_head(meta.session_id)
    known = _meta_of(head)
    if known is None:
        _write(work, head, meta)
    return known or meta


def save_meta(work: Work, meta: SessionMeta) -> None:
    """Write a session's metadata over what was there."""
    _write(work, work.ensure_head(meta.session_id), meta)


def load_meta(work: Work, session_id: str) -> SessionMeta | None:
    """Read a session's metadata; None when there are none.

    Raises:
        RecordVersionError: They are of a version this program does not read.
    """
    head = work.head(session_id)
    return None if head is None else _meta_of(head)


def _meta_of(head: Head) -> SessionMeta | None:
    text = head.row["meta"]
    return None if text is None else load_session_meta(text)


def _write(work: Work, head: Head, meta: SessionMeta) -> None:
    """Write metadata. The parent they name is the session's where no commit has said otherwise."""
    values = {"meta": dump_value(meta)}
    if not head.is_session and meta.parent_session_id is not None:
        values["parent_session_id"] = meta.parent_session_id
    work.put_head(head.changed(values))
