"""A session's head: the one row that every decision about the session begins with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lash_host.domain.commit import HeadRow
from lash_host.domain.lease import LeaseOwner, LeaseRow, SessionLease
from lash_host.store.keys import KeySequence
from lash_host.store.schema import sessions

__all__ = ["HEAD_COLUMNS", "Head"]

HEAD_COLUMNS = tuple(sessions.columns.keys())
_ZEROS = (
    "turns", "head_revision", "live_nodes", "frame_start_key", "fencing_token", "lease_claimed_at_ms",
    "lease_expires_at_ms", "last_key", "replaced_before_key",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """A session's row, by column. A value: changing it means making another.

    Attributes:
        row: Every column of `lash_tables.sessions`.
    """

    row: Mapping[str, Any]
    _lease: list[LeaseRow] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def fresh(cls, session_id: str, *, session_key: int, now_us: int) -> Head:
        """Make the head of a session that has no row yet."""
        row = dict.fromkeys(HEAD_COLUMNS) | dict.fromkeys(_ZEROS, 0)
        return cls(
            row
            | {
                "session_key": session_key,
                "session_id": session_id,
                "root_session_id": session_id,
                "created_at_us": now_us,
                "updated_at_us": now_us,
                "last_key": session_key,
            }
        )

    @property
    def session_key(self) -> int:
        """The session's 64-bit key."""
        key: int = self.row["session_key"]
        return key

    @property
    def lease(self) -> LeaseRow:
        """The lease, as the rules want it; read once."""
        if not self._lease:
            self._lease.append(_lease_of(self.row))
        return self._lease[0]

    @property
    def commit_head(self) -> HeadRow:
        """The head, as the rules want it."""
        return HeadRow(session_id=self.row["session_id"], head_revision=self.row["head_revision"], lease=self.lease)

    @property
    def frame_ids(self) -> frozenset[str]:
        """The frames the session has had."""
        return frozenset(frame["frame_id"] for frame in json.loads(self.row["frames"] or "[]"))

    @property
    def blob_refs(self) -> frozenset[str]:
        """The blobs its checkpoint names."""
        manifest = json.loads(self.row["checkpoint"] or "{}")
        return frozenset(value for name, value in manifest.items() if name.endswith("_ref") and value is not None)

    @property
    def session_id(self) -> str:
        """The session's id."""
        session_id: str = self.row["session_id"]
        return session_id

    @property
    def is_session(self) -> bool:
        """Whether anything was ever committed to the session's head."""
        return bool(self.row["head_revision"] > 0)

    @property
    def keys(self) -> KeySequence:
        """Give keys for new rows of the session. What was taken is lost unless a head with `last_key` is put."""
        return KeySequence(self.row["last_key"])

    def changed(self, values: Mapping[str, Any]) -> Head:
        """Give the head with some columns changed."""
        return Head({**self.row, **values})

    def with_lease(self, lease: SessionLease) -> Head:
        """Give the head with a lease granted."""
        return self.changed(
            {
                "fencing_token": lease.fence.fencing_token,
                "lease_token": lease.fence.lease_token,
                "lease_owner": lease.fence.owner.model_dump_json(),
                "lease_claimed_at_ms": lease.claimed_at_ms,
                "lease_expires_at_ms": lease.expires_at_ms,
            }
        )


def _lease_of(row: Mapping[str, Any]) -> LeaseRow:
    if row["lease_token"] is None:
        return LeaseRow(fencing_token=row["fencing_token"])
    return LeaseRow(
        fencing_token=row["fencing_token"],
        owner=LeaseOwner.model_validate_json(row["lease_owner"]),
        lease_token=row["lease_token"],
        claimed_at_ms=row["lease_claimed_at_ms"],
        expires_at_ms=row["lease_expires_at_ms"],
    )
