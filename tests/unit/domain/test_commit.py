"""Whether a commit lands, and what makes a repeated one recognizable."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lash_host.domain.commit import (
    CheckpointDraft,
    CommitAccepted,
    CommitReplayed,
    CommitResult,
    CommitStamp,
    HeadConflict,
    HeadRow,
    LeaseExpired,
    ModelCallFact,
    RuntimeCommit,
    StampConflict,
    StoredStamp,
    TurnFact,
    content_ref,
    decide_commit,
    turn_commit_hash,
)
from lash_host.domain.frame import AgentFrameAssignment, initial_frame
from lash_host.domain.graph import AppendNodes, UnchangedGraph
from lash_host.domain.lease import LeaseRow
from lash_host.domain.policy import ProtocolTurnOptions
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.domain.usage import TokenUsage

RESULT = CommitResult(
    head_revision=3,
    checkpoint_ref="c",
    tool_state_ref=None,
    plugin_snapshot_ref=None,
    plugin_snapshot_revision=None,
    execution_state_ref=None,
)
USAGE = TokenUsage(input_tokens=10, output_tokens=2)


@pytest.fixture
def commit(policy, fence, node) -> RuntimeCommit:
    frame = initial_frame("s", assignment=AgentFrameAssignment(policy=policy), created_at_us=1)
    return RuntimeCommit(
        session_id="s",
        expected_head_revision=3,
        fence=fence,
        release_lease=True,
        policy=policy,
        agent_frames=(frame,),
        current_agent_frame_id=frame.frame_id,
        graph=AppendNodes(nodes=(node("a"), node("b", "a")), leaf_node_id="b"),
        checkpoint=CheckpointDraft(
            turn_index=1, token_usage=USAGE, last_prompt_usage=USAGE, protocol_turn_options=ProtocolTurnOptions()
        ),
        turn=TurnFact(
            turn_id="t", turn_index=1, frame_id="f", started_at_us=1, duration_ms=2.0, outcome="x", iterations=1
        ),
        model_calls=(
            ModelCallFact(
                call_id="m1", turn_id="t", frame_id="f", source="turn", provider_id="p", model="m", started_at_us=1,
                duration_ms=5.0, terminal_reason="stop", usage=USAGE,
            ),
        ),
        tool_calls=(
            ToolCallRecord(
                call_id="c1", tool_id="i", tool_name="n", plugin_id="p", arguments={"message_id": 1},
                output=ToolOutput.success("done"), attempts=1, started_at_us=1, duration_ms=1.0,
            ),
        ),
        stamp=CommitStamp(turn_id="t", commit_hash="hash"),
    )  # fmt: skip


@pytest.fixture
def head(held) -> HeadRow:
    return HeadRow(session_id="s", head_revision=3, lease=held)


def test_a_commit_with_the_fence_at_the_head_lands_as_the_next_revision(head, commit):
    assert decide_commit(head, None, commit, now_ms=500) == CommitAccepted(4)


def test_a_head_that_is_not_checked_is_no_conflict(head, commit):
    assert decide_commit(head, None, replace(commit, expected_head_revision=None), now_ms=500) == CommitAccepted(4)


def test_a_first_commit_expects_revision_zero(held, commit):
    head = HeadRow(session_id="s", head_revision=0, lease=held)
    assert decide_commit(head, None, replace(commit, expected_head_revision=0), now_ms=500) == CommitAccepted(1)


def test_a_replay_needs_neither_lease_nor_head(commit):
    head = HeadRow(session_id="s", head_revision=9, lease=LeaseRow(fencing_token=8))
    stored = StoredStamp(commit_hash="hash", result=RESULT)
    assert decide_commit(head, stored, replace(commit, fence=None), now_ms=5_000) == CommitReplayed(RESULT)


def test_other_content_under_a_committed_turn_conflicts_before_the_lease_is_looked_at(commit):
    head = HeadRow(session_id="s", head_revision=9, lease=LeaseRow())
    stored = StoredStamp(commit_hash="other", result=RESULT)
    assert decide_commit(head, stored, replace(commit, fence=None), now_ms=5_000) == StampConflict("t")


def test_the_given_hash_is_compared_and_never_computed(head, commit):
    stored = StoredStamp(commit_hash="hash", result=RESULT)
    changed = replace(commit, model_calls=())
    assert decide_commit(head, stored, changed, now_ms=500) == CommitReplayed(RESULT)


def test_a_commit_without_a_stamp_is_no_replay(head, commit):
    stored = StoredStamp(commit_hash="hash", result=RESULT)
    assert decide_commit(head, stored, replace(commit, stamp=None), now_ms=500) == CommitAccepted(4)


def test_the_lease_is_looked_at_before_the_head(head, commit):
    behind = replace(commit, expected_head_revision=2)
    assert decide_commit(head, None, behind, now_ms=1_000) == LeaseExpired()
    assert decide_commit(head, None, behind, now_ms=999) == HeadConflict(expected=2, actual=3)


def test_a_commit_needs_the_fence_of_its_own_session(head, commit, fence):
    other = fence.model_copy(update={"session_id": "s2"})
    for changed in (replace(commit, fence=None), replace(commit, fence=other)):
        assert decide_commit(head, None, changed, now_ms=500) == LeaseExpired()


def test_the_hash_ignores_ids_of_nodes_times_head_and_lease(commit, node):
    renamed = (node("x", message_id="a"), node("y", "x", message_id="b"))
    renamed = tuple(
        replace(new, payload_json=old.payload_json.replace(f'"message_id":"{old.node_id}"', '"message_id":"z"'))
        for new, old in zip(renamed, commit.graph.nodes, strict=True)
    )
    again = replace(
        commit,
        expected_head_revision=None,
        fence=None,
        release_lease=False,
        stamp=None,
        graph=AppendNodes(nodes=renamed, leaf_node_id="y"),
        turn=commit.turn.model_copy(update={"started_at_us": 99, "duration_ms": 99.0}),
        model_calls=tuple(call.model_copy(update={"call_id": "m2", "duration_ms": 9.0}) for call in commit.model_calls),
        tool_calls=tuple(
            call.model_copy(update={"started_at_us": 9, "duration_ms": 9.0}) for call in commit.tool_calls
        ),
    )
    assert turn_commit_hash(again) == turn_commit_hash(commit)
    assert len(turn_commit_hash(commit)) == 64


def _with_usage(commit, usage):
    return replace(commit, model_calls=(commit.model_calls[0].model_copy(update={"usage": usage}),))


@pytest.mark.parametrize(
    "change",
    [
        lambda commit, node: replace(commit, session_id="s2"),
        lambda commit, node: replace(commit, current_agent_frame_id="other"),
        lambda commit, node: replace(commit, graph=UnchangedGraph(leaf_node_id="b")),
        lambda commit, node: replace(commit, graph=AppendNodes(nodes=(node("a"), node("c", "a")), leaf_node_id="c")),
        lambda commit, node: replace(commit, policy=commit.policy.model_copy(update={"max_turns": 3})),
        lambda commit, node: replace(commit, turn=commit.turn.model_copy(update={"outcome": "stopped"})),
        lambda commit, node: replace(commit, turn=None),
        lambda commit, node: replace(commit, tool_calls=()),
        lambda commit, node: replace(commit, blobs={"ref": b"x"}),
        lambda commit, node: _with_usage(commit, USAGE + TokenUsage(output_tokens=1)),
        lambda commit, node: _with_usage(commit, USAGE + TokenUsage(reasoning_output_tokens=1)),
    ],
)
def test_the_hash_changes_with_what_was_said_called_and_spent(commit, node, change):
    assert turn_commit_hash(change(commit, node)) != turn_commit_hash(commit)


def test_an_argument_that_is_called_like_an_id_counts(commit):
    other = commit.tool_calls[0].model_copy(update={"arguments": {"message_id": 2}})
    assert turn_commit_hash(replace(commit, tool_calls=(other,))) != turn_commit_hash(commit)


def test_content_is_named_by_its_sha_256():
    assert content_ref(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
