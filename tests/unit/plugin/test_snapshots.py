"""Capturing and restoring the state of a session's plugins."""

from __future__ import annotations

import pytest

from lash_host.domain.plugin_state import PluginSnapshot, PluginSnapshotEntry, PluginStamp, revision_fingerprint
from lash_host.errors import PluginSnapshotError
from lash_host.markers import hookimpl


class Part:
    """A hand-written plugin that counts its revision itself; it fails where it is told to."""

    def __init__(self, state=None, *, failing=()):
        self.state, self.failing = state, set(failing)
        self.blobs: dict[str, bytes] = {}
        self.revision = 0
        self.restored: list = []

    @hookimpl
    def lash_capture_snapshot(self, writer):
        if "capture" in self.failing:
            raise ValueError("no capture")
        if self.state is not None:
            writer.write_state(self.state)
        for name, data in self.blobs.items():
            writer.write_blob(name, data)

    @hookimpl
    def lash_snapshot_revision(self):
        if "revision" in self.failing:
            raise ValueError("no revision")
        return self.revision

    @hookimpl
    def lash_restore_snapshot(self, meta, reader):
        if "restore" in self.failing and meta.state == "poison":
            raise ValueError("no restore")
        self.restored.append(meta)
        self.state = meta.state
        found = reader.read_blob("data")
        self.blobs = {} if found is None else {"data": found}


class Stateless:
    @hookimpl
    def lash_export_tools(self):
        return []


def entry(state=None, *, version="0.9", revision=4, **blobs) -> PluginSnapshotEntry:
    return PluginSnapshotEntry(plugin_version=version, revision=revision, state=state, blobs=blobs)


def test_state_and_blobs_survive_a_round_trip_through_json(make_session):
    part = Part({"lines": ["a", 1, None]})
    part.blobs = {"data": bytes(range(256))}
    captured = make_session({"a": part}).capture_snapshot(None)
    stored = PluginSnapshot.model_validate_json(captured.model_dump_json())
    assert stored == captured
    fresh = Part()
    session = make_session({"a": fresh})
    session.restore_snapshot(stored)
    assert (fresh.state, fresh.blobs) == (part.state, part.blobs)
    assert session.capture_snapshot(None).plugins["a"].state == part.state


def test_what_is_captured_is_a_copy(make_session):
    part = Part({"lines": ["a"]})
    session = make_session({"a": part})
    captured = session.capture_snapshot(None)
    part.state["lines"].append("b")
    assert captured.plugins["a"].state == {"lines": ["a"]}
    session.restore_snapshot(captured)
    part.state["lines"].append("c")
    assert captured.plugins["a"].state == {"lines": ["a"]}


def test_the_last_state_written_counts(make_session):
    class Twice:
        @hookimpl
        def lash_capture_snapshot(self, writer):
            writer.write_state(1)
            writer.write_state(2)
            writer.write_blob("x", b"1")
            writer.write_blob("x", bytearray(b"2"))

    (captured,) = make_session({"a": Twice()}).capture_snapshot(None).plugins.values()
    assert (captured.state, captured.blobs) == (2, {"x": b"2"})


def test_one_failure_fails_the_whole_capture(make_session):
    session = make_session({"a": Part(1), "b": Part(2, failing=["capture"])})
    with pytest.raises(PluginSnapshotError) as caught:
        session.capture_snapshot(None)
    assert str(caught.value) == "plugin 'b': capture of its state failed: ValueError: no capture"
    assert (caught.value.plugin_id, caught.value.action) == ("b", "capture")


@pytest.mark.parametrize("state", [{1, 2}, object(), {1: "a"}, b"bytes"])
def test_a_state_that_is_not_json_fails(make_session, state):
    with pytest.raises(PluginSnapshotError, match="not JSON"):
        make_session({"a": Part(state)}).capture_snapshot(None)


def test_a_blob_that_is_not_bytes_fails(make_session):
    part = Part(1)
    part.blobs = {"data": "text"}
    with pytest.raises(PluginSnapshotError, match="blob 'data' is a str, not bytes"):
        make_session({"a": part}).capture_snapshot(None)


def test_the_state_of_plugins_that_are_not_here_is_kept(make_session):
    previous = PluginSnapshot(plugins={"gone": entry("kept"), "a": entry("old")})
    captured = make_session({"a": Part("new"), "plain": Stateless()}).capture_snapshot(previous)
    assert {name: found.state for name, found in captured.plugins.items()} == {"gone": "kept", "a": "new"}
    assert captured.plugins["gone"] == previous.plugins["gone"]
    assert captured.plugins["a"].plugin_version == "1.0"


def test_every_plugin_is_called_when_state_comes_back(make_session):
    known, new = Part("x"), Part("y")
    new.revision = 7
    session = make_session({"known": known, "new": new, "plain": Stateless()})
    session.restore_snapshot(PluginSnapshot(plugins={"known": entry("stored"), "gone": entry("other")}))
    (meta,) = known.restored
    assert (meta.plugin_id, meta.plugin_version, meta.revision, meta.state) == ("known", "0.9", 4, "stored")
    (meta,) = new.restored
    assert (meta.plugin_id, meta.plugin_version, meta.revision, meta.state) == ("new", "1.0", 7, None)


def test_a_failed_restore_leaves_everything_as_it_was(make_session):
    first, second, third = Part("one"), Part("two", failing=["restore"]), Part("three")
    first.blobs = {"data": b"1"}
    session = make_session({"a": first, "b": second, "c": third})
    poison = PluginSnapshot(plugins={name: entry("poison") for name in ("a", "b", "c")})
    with pytest.raises(PluginSnapshotError, match="plugin 'b': restore of its state failed: ValueError: no restore"):
        session.restore_snapshot(poison)
    assert [part.state for part in (first, second, third)] == ["one", "two", "three"]
    assert first.blobs == {"data": b"1"}


def test_a_plugin_that_cannot_be_backed_up_does_not_keep_a_session_closed(make_host, host_plugin, protocol):
    from lash_host.plugin.host import SessionRequest

    part, broken = Part("x", failing=["capture"]), Part("y", failing=["restore"])
    plugins = [host_plugin("a", lambda _context: part), host_plugin("b", lambda _context: broken)]
    host = make_host(*plugins, protocol)
    session = host.build_session(SessionRequest(session_id="s"))
    session.restore_snapshot(PluginSnapshot(plugins={"a": entry("stored")}))
    assert part.state == "stored"
    assert [(found.plugin_id, found.hook) for found in host.findings] == [("a", "lash_capture_snapshot")]
    with pytest.raises(PluginSnapshotError):
        session.restore_snapshot(PluginSnapshot(plugins={"b": entry("poison")}))
    assert (part.state, broken.state) == (None, None)


def test_stamps_say_who_and_which_revision(make_session):
    part = Part()
    part.revision = 3
    session = make_session({"a": part, "plain": Stateless()})
    assert session.revision_stamps() == session.stamps
    assert session.stamps[:2] == (
        PluginStamp(plugin_id="a", plugin_version="1.0", revision=3),
        PluginStamp(plugin_id="plain", plugin_version="1.0", revision=0),
    )
    before = session.revision_fingerprint()
    assert before == revision_fingerprint(session.stamps)
    part.revision = 4
    assert session.revision_fingerprint() != before


@pytest.mark.parametrize("wrong", ["revision", True, "3"])
def test_a_revision_that_cannot_be_told_counts_as_a_change(make_session, wrong, caplog):
    part = Part(1, failing=["revision"] if wrong == "revision" else ())
    part.revision = wrong
    session = make_session({"a": part})
    assert session.revision_fingerprint() != session.revision_fingerprint()
    assert session.capture_snapshot(None).plugins["a"].state == 1
    assert "failed in lash_snapshot_revision" in caplog.text
