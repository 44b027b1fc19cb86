"""Ids are text, made by a factory that is passed in, so that tests can make them predictable."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["IdFactory", "compaction_frame_id", "initial_frame_id"]

IdFactory = Callable[[str], str]
"""Gives a new unique id for a kind of thing: ``ids("turn")`` might give ``"turn_0192…"``."""


def initial_frame_id(session_id: str) -> str:
    """Name the frame every session starts with."""
    return f"{session_id}:frame:initial"


def compaction_frame_id(session_id: str, unique: str) -> str:
    """Name a frame that a compaction opens."""
    return f"{session_id}:frame:compaction:{unique}"
