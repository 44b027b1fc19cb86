"""What a check says of heads, blobs, attachments and records."""

from __future__ import annotations

import pytest

from lash_host.domain.commit import content_ref
from lash_host.domain.turn import InputText, TurnInput
from lash_host.domain.turn_input import NextTurn, PendingTurnInputDraft


def test_a_blob_that_is_gone(store, damage):
    damage("DELETE FROM lash_tables.blobs WHERE size_bytes = 5")
    (problem,) = store.check().problems
    assert (problem.kind, problem.session_id) == ("missing_blob", "alpha")
    assert problem.detail == f"blob {content_ref(b'tools')}, named by its checkpoint, is not stored"


def test_a_blob_that_was_changed(store, damage, url):
    other = "'\\x6f74686572'::bytea" if url.startswith("postgresql") else "'other'::BLOB"
    damage(f"UPDATE lash_tables.blobs SET body = {other} WHERE size_bytes = 5")
    (problem,) = store.check().problems
    assert (problem.kind, problem.detail) == (
        "blob_hash", f"blob {content_ref(b'tools')} hashes to {content_ref(b'other')}",
    )  # fmt: skip


def test_a_size_that_is_wrong(store, damage):
    damage("UPDATE lash_tables.blobs SET size_bytes = 6 WHERE size_bytes = 5")
    (problem,) = store.check().problems
    assert problem.detail.endswith("holds 5 bytes, and its row says 6")


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ("checkpoint_ref = 'x'", "checkpoint_ref", "and its name is x"),
        ("checkpoint = '{{}}'", "unreadable_record", "checkpoint"),
        ("checkpoint = 'x'", "unreadable_record", "stored checkpoint is not JSON"),
        ("frames = '[{{}}]'", "unreadable_record", "agent frame"),
        ("policy = '[]'", "unreadable_record", "stored policy cannot be read"),
        ("meta = '{{}}'", "unreadable_record", "metadata"),
        ("current_frame_id = 'x'", "active_frames", "the current frame is 'x', active: 'alpha:frame:initial'"),
        ("frames = replace(frames, '\"active\"', '\"superseded\"')", "active_frames", "active: none"),
        ("ledger = 'x'", "unreadable_record", "stored ledger is not JSON"),
        ("ledger = '[[1]]'", "unreadable_record", "stored ledger cannot be read"),
        ("ledger = '[]'", "ledger", "not what its model calls add up to"),
    ],
)
def test_a_head_that_is_wrong(store, damage, change, kind, said):
    damage(f"UPDATE lash_tables.sessions SET {change} WHERE session_id = 'alpha'")
    found = store.check().problems
    assert [(one.kind, one.session_id) for one in found] == [(kind, "alpha")]
    assert said in found[0].detail


@pytest.mark.parametrize("payload", ["x", "{{}}", '{{"message_id":"f"', ""])
def test_a_message_that_cannot_be_read(store, damage, kinds, payload):
    damage(f"UPDATE lash_tables.nodes SET payload = '{payload}' WHERE session_key = {{alpha}} AND node_id = 'f'")
    assert kinds(store.check()) == {"unreadable_record": 1, "commit_content": 1}


def test_waiting_input_that_cannot_be_read(store, damage):
    text = TurnInput(items=(InputText(text="hello"),))
    store.enqueue_turn_input(PendingTurnInputDraft(session_id="beta", ingress=NextTurn(), input=text))
    damage("UPDATE lash_tables.turn_inputs SET ingress = '{{}}'")
    (problem,) = store.check().problems
    assert (problem.kind, problem.session_id) == ("unreadable_record", "beta")
    assert problem.detail.startswith("turn input ")


def test_attachments_whose_bytes_are_gone_or_changed(store, damage):
    kept = [store.put_attachment("alpha", body, media_type="text/plain").attachment_id for body in (b"one", b"two")]
    only_intended = store.record_attachment_intent("alpha", "0" * 64, media_type="text/plain", size_bytes=3)
    store.commit_attachments("alpha", kept)
    assert store.check().problems == ()
    stored = store._engine.attachment_bytes
    stored.delete(kept[0], not_after_us=2**62)
    (problem,) = store.check().problems
    assert (problem.kind, problem.session_id) == ("missing_attachment", "alpha")
    assert problem.detail == f"the 3 bytes of attachment {kept[0]} are not stored"
    stored.put(only_intended.attachment_id, b"bad", now_us=1)
    assert [one.kind for one in store.check().problems] == ["attachment_hash", "missing_attachment"]
