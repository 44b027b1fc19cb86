"""Plugin snapshots: their fingerprint, and plugins that are away."""

from __future__ import annotations

import pytest

from lash_host.domain.plugin_state import (
    PluginSnapshot,
    PluginSnapshotEntry,
    PluginStamp,
    keep_absent_plugins,
    revision_fingerprint,
)


def stamp(plugin_id="a", version="1", revision=0) -> PluginStamp:
    return PluginStamp(plugin_id=plugin_id, plugin_version=version, revision=revision)


BASE = [stamp("a", revision=1), stamp("b", revision=2)]


@pytest.mark.parametrize(
    "changed",
    [
        [stamp("a", revision=2), stamp("b", revision=2)],
        [stamp("a", version="2", revision=1), stamp("b", revision=2)],
        [stamp("c", revision=1), stamp("b", revision=2)],
        [*reversed(BASE)],
        BASE[:1],
        [*BASE, stamp("c")],
        [stamp("a", revision=2), stamp("b", revision=1)],
        [stamp("a1", version="", revision=1), stamp("b", revision=2)],
        [],
    ],
)
def test_the_fingerprint_changes_with_everything_it_stands_for(changed):
    assert revision_fingerprint(changed) != revision_fingerprint(BASE)


def test_the_fingerprint_is_always_the_same_number_of_63_bits():
    assert revision_fingerprint(BASE) == revision_fingerprint(iter(BASE)) == 2_495_072_528_712_141_450
    many = {revision_fingerprint([stamp(revision=number)]) for number in range(2_000)}
    assert len(many) == 2_000
    assert all(0 <= number < 2**63 for number in many)


@pytest.mark.parametrize("revision", [-1, 2**63, 2**64 - 1, 2**80])
def test_any_revision_a_plugin_may_give_has_a_fingerprint(revision):
    assert 0 <= revision_fingerprint([stamp(revision=revision)]) < 2**63


def test_plugins_that_are_away_keep_what_was_stored():
    old = PluginSnapshot(
        plugins={"a": PluginSnapshotEntry(plugin_version="1", state=1), "gone": PluginSnapshotEntry(plugin_version="1")}
    )
    fresh = PluginSnapshotEntry(plugin_version="2", state=2)
    kept = keep_absent_plugins({"a": fresh, "new": fresh}, old)
    assert kept.plugins == {"a": fresh, "new": fresh, "gone": old.plugins["gone"]}
    assert keep_absent_plugins({"a": fresh}, None).plugins == {"a": fresh}
    assert [*old.plugins] == ["a", "gone"]


def test_blobs_come_back_from_json():
    entry = PluginSnapshotEntry(plugin_version="1", state={"x": [1]}, blobs={"b": b"YWJj"})
    snapshot = PluginSnapshot(plugins={"p": entry})
    assert PluginSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    assert snapshot.plugins["p"].blobs["b"] == b"abc"
