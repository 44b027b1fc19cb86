"""Deleting blobs that nothing refers to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import bindparam, delete, literal_column, select

from lash_host.domain.maintenance import GcReport
from lash_host.errors import StoreError
from lash_host.store.database import Transaction
from lash_host.store.records import load_checkpoint
from lash_host.store.references import checkpoint_refs, images_of
from lash_host.store.schema import blobs, nodes, sessions
from lash_host.store.upkeep import upkeep
from lash_host.store.work import Engine

__all__ = ["blob_sizes", "collect_garbage"]

_PAGE = 10_000
_AT_ONCE = 200

_CHECKPOINTS = (
    select(sessions.c.session_key, sessions.c.session_id, sessions.c.checkpoint)
    .where(sessions.c.session_key > bindparam("after"), sessions.c.checkpoint.is_not(None))
    .order_by(sessions.c.session_key)
    .limit(literal_column(str(_PAGE)))
)
_SIZES = (
    select(blobs.c.ref, blobs.c.size_bytes)
    .where(blobs.c.ref > bindparam("after"))
    .order_by(blobs.c.ref)
    .limit(literal_column(str(_PAGE)))
)
_DELETE = delete(blobs).where(blobs.c.ref.in_([bindparam(f"ref_{n}") for n in range(_AT_ONCE)]))


def collect_garbage(engine: Engine) -> GcReport:
    """Delete blobs that nothing refers to; see `StoreMaintenance.collect_garbage`.

    What refers: every session's checkpoint, and every message with images that was not vacuumed.
    """
    with upkeep(engine) as transaction:
        roots, referred = _referred(transaction)
        retained, deleted, deleted_bytes = 0, [], 0
        for ref, size_bytes in blob_sizes(transaction):
            if ref in referred:
                retained += 1
            else:
                deleted.append(ref)
                deleted_bytes += size_bytes
        _remove(transaction, deleted)
    return GcReport(roots=roots, retained=retained, deleted=len(deleted), deleted_bytes=deleted_bytes)


def blob_sizes(transaction: Transaction) -> Iterator[tuple[str, int]]:
    """Give every blob's ref and size, in the order of the refs."""
    after = ""
    while page := transaction.rows(_SIZES, {"after": after}):
        yield from ((ref, size_bytes) for ref, size_bytes in page)
        after = page[-1][0]


def _referred(transaction: Transaction) -> tuple[int, set[str]]:
    """Count what refers to blobs, and give the blobs it refers to.

    Raises:
        StoreError: Something that may refer to blobs cannot be read; names it.
    """
    roots, referred = 0, set[str]()
    after = -1
    while page := transaction.rows(_CHECKPOINTS, {"after": after}):
        for _, session_id, text in page:
            try:
                refs = checkpoint_refs(load_checkpoint(text))
            except StoreError as exc:
                raise StoreError(f"nothing was deleted: the checkpoint of session {session_id!r}: {exc}") from exc
            roots += 1
            referred |= refs
        after = page[-1][0]
    for image in images_of(transaction, nodes):
        if image.problem is not None:
            raise StoreError(f"nothing was deleted: node {image.node_id!r}: {image.problem}")
        roots += 1
        referred |= image.refs
    return roots, referred


def _remove(transaction: Transaction, refs: Sequence[str]) -> None:
    for start in range(0, len(refs), _AT_ONCE):
        batch = [*refs[start : start + _AT_ONCE]]
        batch += batch[:1] * (_AT_ONCE - len(batch))
        transaction.rows(_DELETE, {f"ref_{n}": ref for n, ref in enumerate(batch)})
