"""Agent frames: the stretches of a session that a model sees at a time."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lash_host.domain.ids import initial_frame_id
from lash_host.domain.policy import PluginOptions, ProtocolTurnOptions, SessionPolicy, ToolAccess
from lash_host.domain.value import JsonObject, Value

__all__ = [
    "AgentFrame",
    "AgentFrameAssignment",
    "FrameOpened",
    "FrameRefused",
    "NoFrameOpened",
    "decide_open_frame",
    "initial_frame",
    "with_active_frame",
]


class AgentFrameAssignment(Value):
    """What a frame runs with."""

    policy: SessionPolicy
    plugin_options: PluginOptions = Field(default_factory=dict)
    tool_access: ToolAccess = ToolAccess()
    usage_source: str | None = None


class AgentFrame(Value):
    """One frame of a session. Exactly one of a session's frames is active.

    Attributes:
        frame_id: Unique within the session.
        previous_frame_id: The frame it followed; None for the first.
        status: Active, or superseded by a later one.
        reason: An open label: ``initial``, ``continue_as``, ``compaction`` or anybody's own word.
        created_at_us: UTC microseconds.
        assignment: What it runs with.
        protocol_turn_options: The protocol's options in it.
        caused_by: What led to it, in its author's words.
    """

    schema_version: Literal[1] = 1
    frame_id: str = Field(min_length=1)
    previous_frame_id: str | None = None
    status: Literal["active", "superseded"] = "active"
    reason: str = "initial"
    created_at_us: int
    assignment: AgentFrameAssignment
    protocol_turn_options: ProtocolTurnOptions = ProtocolTurnOptions()
    caused_by: JsonObject | None = None


class FrameOpened(Value):
    """The frames as they are after opening one, the new one last."""

    frames: tuple[AgentFrame, ...]
    frame: AgentFrame


class NoFrameOpened(Value):
    """The id was blank or named the current frame: nothing changes, offered nodes are not appended."""

    frame_id: str


class FrameRefused(Value):
    """The id names an older frame of the session."""

    frame_id: str


def initial_frame(session_id: str, *, assignment: AgentFrameAssignment, created_at_us: int) -> AgentFrame:
    """Make the frame every session starts with."""
    return AgentFrame(frame_id=initial_frame_id(session_id), created_at_us=created_at_us, assignment=assignment)


def decide_open_frame(
    frames: tuple[AgentFrame, ...],
    current_frame_id: str,
    *,
    frame_id: str,
    reason: str,
    created_at_us: int,
    caused_by: JsonObject | None = None,
) -> FrameOpened | NoFrameOpened | FrameRefused:
    """Decide what opening ``frame_id`` does.

    The new frame takes over assignment and options of the current one, which becomes superseded. Opening an older
    frame's id again is refused: a second record of that id would make history ambiguous.
    """
    wanted = frame_id.strip()
    if not wanted or wanted == current_frame_id:
        return NoFrameOpened(frame_id=current_frame_id)
    if any(frame.frame_id == wanted for frame in frames):
        return FrameRefused(frame_id=wanted)
    current = next(frame for frame in frames if frame.frame_id == current_frame_id)
    opened = AgentFrame(
        frame_id=wanted,
        previous_frame_id=current_frame_id,
        reason=reason,
        created_at_us=created_at_us,
        assignment=current.assignment,
        protocol_turn_options=current.protocol_turn_options,
        caused_by=caused_by,
    )
    superseded = tuple(
        frame.model_copy(update={"status": "superseded"}) if frame.frame_id == current_frame_id else frame
        for frame in frames
    )
    return FrameOpened(frames=(*superseded, opened), frame=opened)


def with_active_frame(frames: tuple[AgentFrame, ...], frame_id: str) -> tuple[AgentFrame, ...]:
    """Give a session's frames with another one of them active, as after a branch back into it."""

    def settled(frame: AgentFrame) -> AgentFrame:
        status = "active" if frame.frame_id == frame_id else "superseded"
        return frame if frame.status == status else frame.model_copy(update={"status": status})

    return tuple(settled(frame) for frame in frames)
