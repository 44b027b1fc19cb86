"""Opening agent frames."""

from __future__ import annotations

import pytest

from lash_host.domain.frame import (
    AgentFrameAssignment,
    FrameOpened,
    FrameRefused,
    NoFrameOpened,
    decide_open_frame,
    initial_frame,
)
from lash_host.domain.ids import compaction_frame_id, initial_frame_id
from lash_host.domain.policy import ProtocolTurnOptions


@pytest.fixture
def first(policy):
    assignment = AgentFrameAssignment(policy=policy, plugin_options={"p": {"x": 1}}, usage_source="child")
    frame = initial_frame("s", assignment=assignment, created_at_us=5)
    return frame.model_copy(update={"protocol_turn_options": ProtocolTurnOptions(payload={"mode": "plan"})})


def opening(frames, current, frame_id, **more):
    return decide_open_frame(frames, current, frame_id=frame_id, reason="compaction", created_at_us=9, **more)


def test_a_session_starts_with_one_active_frame(first):
    assert (first.frame_id, first.status, first.reason) == ("s:frame:initial", "active", "initial")
    assert first.previous_frame_id is None
    assert first.created_at_us == 5
    assert initial_frame_id("s") == first.frame_id
    assert compaction_frame_id("s", "u") == "s:frame:compaction:u"


def test_a_new_frame_inherits_and_supersedes(first):
    opened = opening((first,), first.frame_id, " next ", caused_by={"by": "me"})
    assert isinstance(opened, FrameOpened)
    old, new = opened.frames
    assert new == opened.frame
    assert (new.frame_id, new.previous_frame_id, new.status, new.reason) == (
        "next", first.frame_id, "active", "compaction",
    )  # fmt: skip
    assert (new.assignment, new.protocol_turn_options) == (first.assignment, first.protocol_turn_options)
    assert (new.created_at_us, new.caused_by) == (9, {"by": "me"})
    assert old == first.model_copy(update={"status": "superseded"})


def test_exactly_one_frame_is_active_after_any_number_of_openings(first):
    frames, current = (first,), first.frame_id
    for name in ("a", "b", "c"):
        opened = opening(frames, current, name)
        frames, current = opened.frames, opened.frame.frame_id
        assert [frame.frame_id for frame in frames if frame.status == "active"] == [name]
    assert [frame.previous_frame_id for frame in frames] == [None, first.frame_id, "a", "b"]


@pytest.mark.parametrize("frame_id", ["", "  ", "s:frame:initial", " s:frame:initial "])
def test_a_blank_id_and_the_current_one_open_nothing(first, frame_id):
    assert opening((first,), first.frame_id, frame_id) == NoFrameOpened(frame_id=first.frame_id)


def test_an_older_frame_is_refused(first):
    opened = opening((first,), first.frame_id, "next")
    assert opening(opened.frames, "next", first.frame_id) == FrameRefused(frame_id=first.frame_id)
