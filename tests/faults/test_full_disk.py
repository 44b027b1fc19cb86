"""A disk that fills up: a clear error, everything readable meanwhile, and it goes on when there is room again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Ran = Callable[..., str]

PRELUDE = """
import logging, os, sys
from pathlib import Path
from crashing.disk import small_disk
from lash_host.domain.commit import content_ref
from lash_host.errors import StoreUnwritable
from lash_host.store import open_store
from lash_host.store.dialects import duckdb as dialect
from lash_host.store.logged import folding
from lash_host.testing.conformance import SampleSession
from lash_host.usage.views import builtin_views

logging.basicConfig()
folder = Path(sys.argv[1])
disk = small_disk(folder, size_bytes=24 << 20)
nodes, inputs = [], 0

def opened():
    store = open_store(folder / "store.duckdb")
    store.install_views(builtin_views())
    return store, SampleSession(store, "alpha")

def turn(size=30_000):
    name, body = f"n{len(nodes)}", os.urandom(size)
    after = nodes[-1] if nodes else None
    return name, session.turn(f"t-{name}", name, after=after, blobs={content_ref(body): body})

def commit(size=30_000):
    name, commit = turn(size)
    store.commit(commit)
    nodes.append(name)

def assert_readable():
    assert session.node_ids() == nodes
    assert [info.session_id for info in store.list_sessions()] == ["alpha"]
    assert store.session_info("alpha").head_revision == len(nodes)
    for name in nodes[:3]:
        assert store.load_node("alpha", name).node_id == name
    assert store.query("SELECT count(*) FROM usage.turns").fetchall() == [(len(nodes),)]
    assert store.query("SELECT count(*) FROM usage.messages WHERE on_active_path").fetchall() == [(len(nodes),)]
    assert len(session.pending()) == inputs
    assert store.info().sessions == 1
    assert not store.check().problems

def refuses(action):
    try:
        action()
    except StoreUnwritable as error:
        assert str(folder) in str(error), error
        return
    raise AssertionError("it was not refused")

def end():
    store.close()
    again, session = opened()
    assert session.node_ids() == nodes
    assert not again.check().problems
    again.close()
    print("done")
"""

IN_A_COMMIT = """
store, session = opened()
for _ in range(5):
    commit()
session.say("hello")
inputs = 1
for leave in (0, 4096, 20_000, 61_440, 0):
    disk.fill(leave)
    for _ in range(2):
        refuses(lambda: [commit() for _ in range(100)])
        assert_readable()
    disk.free()
    commit()
    assert_readable()
end()
"""

REPEATED = """
store, session = opened()
commit()
disk.fill(0)
name, refused = turn()
refuses(lambda: store.commit(refused))
assert_readable()
disk.free()
result = store.commit(refused)
nodes.append(name)
assert result.head_revision == 2
assert store.commit(refused) == result
assert_readable()
end()
"""

IN_A_FOLD = """
folding._ENTRIES, folding._IDLE_S = 10**9, 10**6
store, session = opened()
for _ in range(60):
    commit(size=200)
session.say("hello")
inputs = 1
disk.fill(0)
for _ in range(2):
    assert not store._engine.fold()
    assert_readable()
disk.free()
assert store._engine.fold()
assert store.query("SELECT count(*) FROM lash_rows.commit_log").fetchall() == [(0,)]
assert_readable()
commit()
assert_readable()
end()
"""

IN_A_CHECKPOINT = """
if sys.argv[2] == "regardless":
    dialect.DuckDBDialect.checkpoint_has_room = lambda self, url: True
store, session = opened()
for _ in range(100):
    commit()
store._engine.fold()
disk.fill(0)
for _ in range(2):
    store._engine.database.checkpoint()
    assert_readable()
    refuses(lambda: [commit() for _ in range(100)])
    assert_readable()
disk.free()
commit()
assert_readable()
store._engine.database.checkpoint()
commit()
assert_readable()
end()
"""

BESIDE_FOLDS_AND_CHECKPOINTS = """
folding._ENTRIES, folding._RETRY_S, dialect._CHECKPOINT_AFTER_BYTES = 4, 0.01, 1 << 20
if "--mounts" not in sys.argv:  # a limit on files does not look like a full disk
    dialect.DuckDBDialect.checkpoint_has_room = lambda self, url: False
store, session = opened()
commit()
for leave in (1_500_000, 2_500_000, 4_000_000, 1_200_000):
    disk.fill(leave)
    try:
        while True:
            name, refused = turn(100_000)
            store.commit(refused)
            nodes.append(name)
    except StoreUnwritable:
        if store.session_info("alpha").head_revision > len(nodes):
            nodes.append(name)
    for _ in range(5):
        assert_readable()
    disk.free()
    assert store.commit(refused).head_revision >= len(nodes)
    if nodes[-1] != name:
        nodes.append(name)
    commit()
    assert_readable()
end()
"""

AT_CLOSE = """
folding._ENTRIES, folding._IDLE_S = 10**9, 10**6
store, session = opened()
for _ in range(60):
    commit(size=200)
disk.fill(0)
store.close()
store, session = opened()
assert_readable()
refuses(commit)
assert_readable()
disk.free()
commit()
assert_readable()
end()
"""


@pytest.mark.parametrize(
    "source",
    [IN_A_COMMIT, REPEATED, IN_A_FOLD, BESIDE_FOLDS_AND_CHECKPOINTS, AT_CLOSE],
    ids=["in a commit", "repeated", "in a fold", "beside folds and checkpoints", "at close"],
)
def test_a_full_disk(tmp_path: Path, ran_with_mounts: Ran, source: str) -> None:
    assert ran_with_mounts(PRELUDE + source, tmp_path / "disk").endswith("done\n")


@pytest.mark.parametrize("room", ["looked for", "regardless"])
def test_a_checkpoint_on_a_full_disk(tmp_path: Path, ran_with_mounts: Ran, room: str) -> None:
    assert ran_with_mounts(PRELUDE + IN_A_CHECKPOINT, tmp_path / "disk", room).endswith("done\n")
