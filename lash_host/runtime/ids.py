"""The default id factory."""

from __future__ import annotations

import uuid

__all__ = ["random_ids"]


def random_ids(kind: str) -> str:
    """Give an id nobody else has: ``turn_3f2a…``."""
    return f"{kind}_{uuid.uuid4().hex}"
