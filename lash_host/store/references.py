"""Which blobs are referred to: by checkpoints, and by images in messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_, literal_column, or_

from lash_host.domain.message import ImagePart, Message
from lash_host.domain.session import CheckpointManifest
from lash_host.errors import StoreError
from lash_host.store.database import Transaction
from lash_host.store.schema import nodes, rows_of
from lash_host.store.spans import rows_in, spans

__all__ = ["ImageRefs", "checkpoint_refs", "image_refs", "images_of"]

_COLUMNS = ("session_key", "node_id", "payload")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRefs:
    """A message with images, or one that cannot be read.

    Attributes:
        session_key: The session's key.
        node_id: The message's node.
        refs: The images' blobs.
        problem: Why it cannot be read; None where it can.
    """

    session_key: int
    node_id: str
    refs: frozenset[str] = frozenset()
    problem: str | None = None


def checkpoint_refs(manifest: CheckpointManifest) -> frozenset[str]:
    """Give the blobs that a checkpoint names."""
    named = (manifest.tool_state_ref, manifest.plugin_snapshot_ref, manifest.execution_state_ref)
    return frozenset(ref for ref in named if ref is not None)


def images_of(transaction: Transaction, table: Table) -> Iterator[ImageRefs]:
    """Give the messages that may refer to blobs, tombstoned ones too, and those that are no JSON object.

    Args:
        transaction: Where to read.
        table: `nodes`, or the view of it.
    """
    may_refer = _MAY_REFER[table.schema]
    for span in spans(transaction, table):
        for session_key, node_id, payload in rows_in(transaction, table, span, columns=_COLUMNS, where=may_refer):
            try:
                refs = image_refs(payload)
            except StoreError as exc:
                yield ImageRefs(session_key=session_key, node_id=node_id, problem=str(exc))
            else:
                if refs:
                    yield ImageRefs(session_key=session_key, node_id=node_id, refs=refs)


def image_refs(payload: str) -> frozenset[str]:
    """Give the blobs that a stored message names.

    Raises:
        StoreError: It is not a stored message.
    """
    try:
        message = Message.model_validate_json(payload)
    except ValueError as exc:
        raise StoreError(f"a stored message cannot be read: {str(exc).splitlines()[0]}") from exc
    return frozenset(part.blob_ref for part in message.parts if isinstance(part, ImagePart))


def _may_refer(table: Table) -> ColumnElement[bool]:
    is_no_object = ~table.c.payload.like(literal_column("'{%}'"))
    names_one = table.c.payload.like(literal_column("'%blob_ref%'"))
    return and_(table.c.kind == literal_column("'message'"), or_(names_one, is_no_object))


_MAY_REFER = {table.schema: _may_refer(table) for table in (nodes, rows_of(nodes))}
