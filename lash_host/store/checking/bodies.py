"""Checking blobs: those that are named are there, and each is what its name says."""

from __future__ import annotations

from sqlalchemy import bindparam, func, literal_column, select

from lash_host.domain.commit import content_ref
from lash_host.store import schema
from lash_host.store.checking.findings import Findings
from lash_host.store.database import Transaction
from lash_host.store.schema import rows_of

__all__ = ["check_blobs"]

_PAGE = 10_000
_MOST_BYTES = 8 << 20
_blobs = rows_of(schema.blobs)
_COUNT = select(func.count()).select_from(_blobs)
_SIZES = (
    select(_blobs.c.ref, _blobs.c.size_bytes)
    .where(_blobs.c.ref > bindparam("after"))
    .order_by(_blobs.c.ref)
    .limit(literal_column(str(_PAGE)))
)
_BODIES = select(_blobs.c.ref, _blobs.c.body, _blobs.c.size_bytes).where(
    _blobs.c.ref >= bindparam("first"), _blobs.c.ref <= bindparam("last")
)


def check_blobs(transaction: Transaction, findings: Findings) -> None:
    """Hash every blob, a few megabytes at a time, and look for those that heads and messages named."""
    total = findings.counts["blobs"] = transaction.rows(_COUNT)[0][0]
    missing, done, after = dict(findings.referred_blobs), 0, ""
    while page := transaction.rows(_SIZES, {"after": after}):
        first, size = page[0][0], 0
        for place, (ref, size_bytes) in enumerate(page):
            missing.pop(ref, None)
            size += size_bytes
            if size >= _MOST_BYTES or place == len(page) - 1:
                done += _hash(transaction, findings, first, ref)
                findings.tell("blobs", done, total)
                size = 0
                first = page[min(place + 1, len(page) - 1)][0]
        after = page[-1][0]
    for ref, (session_key, referrer) in missing.items():
        findings.problem("missing_blob", session_key, f"blob {ref}, named by {referrer}, is not stored")


def _hash(transaction: Transaction, findings: Findings, first: str, last: str) -> int:
    rows = transaction.rows(_BODIES, {"first": first, "last": last})
    for ref, body, size_bytes in rows:
        if (found := content_ref(bytes(body))) != ref:
            findings.problem("blob_hash", None, f"blob {ref} hashes to {found}")
        elif size_bytes != len(body):
            findings.problem("blob_hash", None, f"blob {ref} holds {len(body)} bytes, and its row says {size_bytes}")
    return len(rows)
