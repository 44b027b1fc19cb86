"""Whatever is done to a store: what was committed is the same before a fold, after it, after a crash and a restart."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import HookCallFact, PluginSeen
from lash_host.domain.graph import ReplaceGraph
from lash_host.domain.session import SessionMeta
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.testing.conformance import SampleSession, message_nodes
from lash_host.testing.conformance.samples import model_call

FEW = 12
EXAMPLES = int(os.environ.get("LASH_TEST_EXAMPLES", FEW))
"""How many histories are tried: the same few, unless more are wanted."""
IDS = ("alpha", "bêta \U0001f986")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OWN_DOING = {"missing_parent"}
"""What is wrong with a store because a test hid nodes that others follow."""
NAMES = st.sampled_from(["a", "b", "c'\"", "d\n"])


@dataclass
class Model:
    """What must be true of a session, told by nothing but what was done to it."""

    nodes: list[str] = field(default_factory=list)
    leaf: str | None = None
    revision: int = 0
    turns: int = 0
    inputs: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    batches: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    meta: SessionMeta | None = None


@dataclass
class World:
    """A store, and a model of each of its sessions."""

    path: Path
    clock: ManualClock
    store: SessionStore
    models: dict[str, Model] = field(default_factory=lambda: {name: Model() for name in IDS})
    made: int = 0

    def session(self, name: str) -> SampleSession:
        return SampleSession(self.store, name)

    def new_ids(self, count: int) -> list[str]:
        self.made += count
        return [f"n{number}" for number in range(self.made - count, self.made)]

    def close(self) -> None:
        self.store.close()

    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.path, clock=self.clock)


Operation = Callable[[World, str, st.DataObject], None]


def turn(world: World, name: str, data: st.DataObject) -> None:
    model, session = world.models[name], world.session(name)
    ids = world.new_ids(data.draw(st.integers(0, 3)))
    calls = tuple(model_call(f"c{number}", input_tokens=number) for number in range(data.draw(st.integers(0, 2))))
    text = data.draw(TEXTS)
    tool = ToolCallRecord(
        call_id="t", tool_id="t", tool_name=text, plugin_id=None, arguments={text: text}, attempts=1,
        output=ToolOutput.success(text), started_at_us=1, duration_ms=0.1,
    )  # fmt: skip
    hook = HookCallFact(plugin_id="p", hook="h", calls=1, total_ms=1 / 3, max_ms=1e-7, errors=0)
    plugins = tuple(PluginSeen(plugin_id=one, version="1") for one in sorted(data.draw(st.sets(NAMES))))
    commit = session.turn(
        f"turn {world.made} {model.revision}", *ids, after=model.leaf, model_calls=calls,
        tool_calls=(tool,) * data.draw(st.integers(0, 1)), hook_calls=(hook,), plugins=plugins, title=text or None,
    )  # fmt: skip
    world.store.commit(commit)
    model.nodes += ids
    model.leaf = ids[-1] if ids else model.leaf
    model.revision += 1
    model.turns += 1


def replace_graph(world: World, name: str, data: st.DataObject) -> None:
    model, ids = world.models[name], world.new_ids(data.draw(st.integers(0, 2)))
    leaf = ids[-1] if ids else None
    nodes = message_nodes(*ids, frame_id=world.session(name).frame.frame_id)
    world.session(name).commit(graph=ReplaceGraph(nodes=nodes, leaf_node_id=leaf))
    model.nodes, model.leaf = ids, leaf
    model.revision += 1


def say(world: World, name: str, data: st.DataObject) -> None:
    model, key = world.models[name], data.draw(st.none() | NAMES)
    if key in model.keys:
        return
    kept = world.session(name).say(data.draw(TEXTS.filter(bool)), source_key=key)
    model.inputs.append(kept.input_id)
    if key is not None:
        model.keys[key] = kept.input_id


def cancel_input(world: World, name: str, data: st.DataObject) -> None:
    model = world.models[name]
    if model.inputs:
        gone = data.draw(st.sampled_from(model.inputs))
        world.store.cancel_turn_input(name, gone)
        model.inputs.remove(gone)


def take_inputs(world: World, name: str, data: st.DataObject) -> None:
    model, session = world.models[name], world.session(name)
    claim = session.claim_inputs(limit=data.draw(st.integers(1, 3)))
    assert (claim is None) == (not model.inputs)
    if claim is None:
        return
    taken = [one.input_id for one in claim.inputs]
    assert taken == model.inputs[: len(taken)]
    if data.draw(st.booleans()):
        world.store.abandon_turn_input_claim(claim)
    else:
        session.settle(claim, after=model.leaf)
        model.inputs = model.inputs[len(taken) :]
        model.revision += 1


def wake(world: World, name: str, data: st.DataObject) -> None:
    model, number = world.models[name], data.draw(st.integers(1, 4))
    queued = world.session(name).wake(number)
    if queued.batch_id not in model.batches:
        model.batches.append(queued.batch_id)


def command(world: World, name: str, data: st.DataObject) -> None:
    model, key = world.models[name], data.draw(NAMES)
    queued = world.session(name).command(key)
    assert model.sources.setdefault(key, queued.batch_id) == queued.batch_id
    if queued.batch_id not in model.batches and queued.completed_at_us is None:
        model.batches.append(queued.batch_id)


def take_work(world: World, name: str, data: st.DataObject) -> None:
    model, session = world.models[name], world.session(name)
    claim = session.claim_work() or session.claim_command()
    assert (claim is None) == (not model.batches)
    if claim is None:
        return
    taken = [one.batch_id for one in claim.batches]
    if data.draw(st.booleans()):
        world.store.abandon_queued_work_claim(claim)
    else:
        session.settle(claim, after=model.leaf)
        model.batches = [one for one in model.batches if one not in taken]
        model.revision += 1


def cancel_batch(world: World, name: str, data: st.DataObject) -> None:
    model = world.models[name]
    if model.batches:
        gone = data.draw(st.sampled_from(model.batches))
        assert world.store.cancel_queued_work_batch(name, gone) is not None
        model.batches.remove(gone)
        model.sources = {key: batch for key, batch in model.sources.items() if batch != gone}


def attach(world: World, name: str, data: st.DataObject) -> None:
    body = data.draw(NAMES).encode()
    ref = world.store.put_attachment(name, body, media_type="text/plain", label=data.draw(TEXTS))
    match data.draw(st.integers(0, 2)):
        case 0:
            world.store.commit_attachments(name, [ref.attachment_id])
        case 1:
            world.store.forget_attachment(name, ref.attachment_id)
        case _:
            assert world.store.get_attachment(name, ref.attachment_id) == body


def describe(world: World, name: str, data: st.DataObject) -> None:
    meta = SessionMeta(session_id=name, name=data.draw(TEXTS), created_at_us=7)
    world.store.save_session_meta(meta)
    world.models[name].meta = meta


def hide(world: World, name: str, data: st.DataObject) -> None:
    model = world.models[name]
    hidden = [node for node in model.nodes if node != model.leaf and data.draw(st.booleans())]
    assert world.store.tombstone_nodes(name, hidden) == len(hidden)
    model.nodes = [node for node in model.nodes if node not in hidden]


def vacuum(world: World, name: str, data: st.DataObject) -> None:
    world.store.vacuum()
    model = world.models[name]
    for one in world.models.values():
        one.keys = {key: kept for key, kept in one.keys.items() if kept in one.inputs}
    assert world.session(name).pending() == model.inputs


def delete(world: World, name: str, data: st.DataObject) -> None:
    world.store.delete_session(name)
    world.models[name] = Model()


def fold(world: World, name: str, data: st.DataObject) -> None:
    world.store._engine.fold()


def forget(world: World, name: str, data: st.DataObject) -> None:
    world.store._engine._log._memory.forget_all(now_ms=world.clock.now_us() // 1000)


def reopen(world: World, name: str, data: st.DataObject) -> None:
    world.reopen()


def wait(world: World, name: str, data: st.DataObject) -> None:
    world.clock.advance(data.draw(st.sampled_from([0.001, 1, 100])))


OPERATIONS = st.sampled_from(
    [turn, turn, turn, replace_graph, say, say, cancel_input, take_inputs, wake, wake, command, command, take_work,
     take_work, cancel_batch, attach, describe, hide, vacuum, delete, fold, fold, forget, reopen, wait]
)  # fmt: skip


def holds(world: World, store: SessionStore) -> None:
    """Compare what a store says with what was done to it."""
    for name, model in world.models.items():
        session = SampleSession(store, name)
        info = store.session_info(name)
        assert (info is not None) == (model.revision > 0)
        if info is not None:
            assert (info.head_revision, info.turns) == (model.revision, model.turns)
            assert session.node_ids() == model.nodes
            assert session.load().graph.leaf_node_id == model.leaf
        assert session.pending() == model.inputs
        assert sorted(session.queued()) == sorted(model.batches)
        assert store.load_session_meta(name) == model.meta


def _play(world: World, steps: list[tuple[Operation, str]], data: st.DataObject) -> None:
    for operation, name in steps:
        operation(world, name, data)
        event(operation.__name__)


def _check(world: World, rows_in: Callable[..., Any], crash_copy: Callable[[Path], Path]) -> None:
    committed = rows_in(world.store)
    crashed = open_store(crash_copy(world.path), clock=world.clock)
    try:
        holds(world, crashed)
        assert rows_in(crashed, "lash_tables") == committed
    finally:
        crashed.close()
    holds(world, world.store)
    assert world.store._engine.fold()
    assert rows_in(world.store) == committed
    assert rows_in(world.store, "lash_tables") == committed
    assert world.store.query("SELECT count(*) FROM lash_rows.commit_log").fetchall() == [(0,)]
    world.reopen()
    assert rows_in(world.store) == committed
    holds(world, world.store)
    report = world.store.check()
    assert [one for one in report.problems if one.kind not in OWN_DOING] == []


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES == FEW)
@given(steps=st.lists(st.tuples(OPERATIONS, st.sampled_from(IDS)), max_size=30), data=st.data())
def test_committed_rows_are_the_same_however_they_are_kept(
    empty_store: Path,
    rows_in: Callable[..., Any],
    crash_copy: Callable[[Path], Path],
    steps: list[tuple[Operation, str]],
    data: st.DataObject,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.duckdb"
        shutil.copyfile(empty_store, path)
        clock = ManualClock()
        world = World(path, clock, open_store(path, clock=clock))
        try:
            _play(world, steps, data)
            _check(world, rows_in, crash_copy)
        finally:
            world.close()
