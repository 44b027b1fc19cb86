"""The mark of a copy that is not finished: how far it is, in the copy's own `meta`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from sqlalchemy import bindparam, delete, literal_column, select, update

from lash_host.errors import StoreError
from lash_host.store.database import Transaction
from lash_host.store.schema import meta

__all__ = ["CopyMark", "refuse_unfinished_copy"]

_KEY = "copy"
_IS_MARK = meta.c.key == literal_column(f"'{_KEY}'")
_READ = select(meta.c.value).where(_IS_MARK)
_SET = update(meta).where(_IS_MARK).values(value=bindparam("mark"))
_REMOVE = delete(meta).where(_IS_MARK)


@dataclass(slots=True)
class CopyMark:
    """How far a copy is.

    Attributes:
        source: The source's fingerprint.
        done: How many batches of each table are in the copy.
    """

    source: str
    done: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, transaction: Transaction) -> CopyMark | None:
        """Read a store's mark; None where the store is no unfinished copy."""
        row = transaction.row(_READ)
        if row is None:
            return None
        record = json.loads(row[0])
        return cls(source=record["source"], done=dict(record["done"]))

    def write(self, transaction: Transaction, *, is_new: bool = False) -> None:
        """Write it; ``is_new`` where there is none."""
        text = json.dumps({"source": self.source, "done": self.done})
        if is_new:
            transaction.insert(meta, [(_KEY, text)])
        else:
            transaction.rows(_SET, {"mark": text})

    @staticmethod
    def remove(transaction: Transaction) -> None:
        """Say that the copy is finished."""
        transaction.rows(_REMOVE)


def refuse_unfinished_copy(transaction: Transaction, *, place: str) -> None:
    """See to it that nobody works in half a store.

    Raises:
        StoreError: The store is a copy that is not finished.
    """
    if transaction.row(_READ) is not None:
        raise StoreError(
            f"{place} is a copy that was interrupted: run lash store copy again to finish it, or delete it"
        )
