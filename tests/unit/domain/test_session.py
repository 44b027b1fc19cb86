"""A session's resident state, its view, and the options on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lash_host.domain.effect import EffectEnvelope, EffectKind, EffectScope
from lash_host.domain.frame import AgentFrameAssignment, decide_open_frame, initial_frame
from lash_host.domain.graph import SessionGraph
from lash_host.domain.policy import ProtocolTurnOptions
from lash_host.domain.session import RuntimeSessionState, SessionReadView, SessionSnapshot

PLAN = ProtocolTurnOptions(payload={"mode": "plan"})


@pytest.fixture
def state(policy) -> RuntimeSessionState:
    """A session in its second frame."""
    first = initial_frame("s", assignment=AgentFrameAssignment(policy=policy), created_at_us=1)
    opened = decide_open_frame((first,), first.frame_id, frame_id="f2", reason="continue_as", created_at_us=2)
    return RuntimeSessionState(
        session_id="s", policy=policy, agent_frames=opened.frames, current_agent_frame_id="f2", turn_index=4
    )


def test_a_policy_is_recorded_on_the_session_and_its_current_frame(state, policy):
    other = policy.model_copy(update={"max_turns": 3})
    changed = state.with_policy(other)
    assert changed.policy == changed.effective_policy == other
    assert changed.agent_frames[0] == state.agent_frames[0]
    assert state.effective_policy == policy


def test_protocol_options_go_to_the_current_frame_or_to_all(state):
    one = state.with_protocol_options(PLAN, all_frames=False)
    assert one.protocol_turn_options == one.effective_protocol_turn_options == PLAN
    assert one.agent_frames[0].protocol_turn_options.is_empty
    every = state.with_protocol_options(PLAN, all_frames=True)
    assert [frame.protocol_turn_options for frame in every.agent_frames] == [PLAN, PLAN]


def test_a_turns_own_options_are_laid_over_key_by_key():
    base = ProtocolTurnOptions(payload={"a": 1, "b": {"x": 1}})
    merged = base.merged_with_override(ProtocolTurnOptions(payload={"b": {"y": 2}}))
    assert merged.payload == {"a": 1, "b": {"y": 2}}
    assert base.merged_with_override(None) is base
    assert base.merged_with_override(ProtocolTurnOptions()) is base


def test_a_view_shows_the_effective_configuration_and_the_current_frame(state, node, policy):
    nodes = [node("old", frame="s:frame:initial"), node("new", "old", frame="f2")]
    effective = policy.model_copy(update={"max_turns": 9})
    frames = (state.agent_frames[0], state.with_policy(effective).agent_frames[1])
    view = SessionReadView(replace(state, agent_frames=frames, session_graph=SessionGraph(nodes, leaf_node_id="new")))
    assert (view.session_id, view.frame_id, view.turn_index) == ("s", "f2", 4)
    assert view.policy == effective
    assert view.state.policy == policy
    assert [message.text for message in view.messages] == ["new"]
    assert view.protocol_turn_options.is_empty
    assert len(view.agent_frames) == 2


def test_a_view_gives_a_plugin_its_own_records_along_the_active_path(state, node):
    nodes = [
        replace(node("1", kind="record"), payload_json='{"n": 1}'),
        replace(node("2", "1", kind="record"), payload_json='{"n": 2}', label="other"),
        replace(node("3", "2", kind="record"), payload_json='{"n": 3}'),
        replace(node("off", "1", kind="record"), payload_json='{"n": 4}'),
    ]
    view = SessionReadView(replace(state, session_graph=SessionGraph(nodes, leaf_node_id="3")))
    assert view.records("plugin") == ({"n": 1}, {"n": 3})
    assert view.records("unknown") == ()


def test_a_snapshot_has_the_messages_of_the_current_frame_and_the_leaf(state, node):
    graph = SessionGraph([node("old"), node("new", "old", frame="f2")], leaf_node_id="new")
    snapshot = SessionSnapshot.of(replace(state, session_graph=graph, checkpoint_ref="ref"))
    assert [message.text for message in snapshot.messages] == ["new"]
    assert (snapshot.leaf_node_id, snapshot.turn_index, snapshot.checkpoint_ref) == ("new", 4, "ref")
    assert SessionSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


def test_an_effects_replay_key_tells_session_scope_kind_and_effect():
    scope = EffectScope(session_id="s", scope_id="t")
    keys = {EffectEnvelope(scope=scope, kind=kind, effect_id="1").replay_key for kind in EffectKind}
    assert "s:t:model_call:1" in keys
    assert len(keys) == len(EffectKind)


@pytest.mark.parametrize(("session_id", "scope_id"), [("", "t"), ("s", ""), (" ", "t"), ("s", "\t")])
def test_a_blank_effect_scope_is_refused(session_id, scope_id):
    with pytest.raises(ValueError, match="needs a session id and a scope id"):
        EffectScope(session_id=session_id, scope_id=scope_id)
