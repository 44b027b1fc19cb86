"""A store of plain dictionaries, for operations that are written against `Work`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from lash_host.domain.commit import CheckpointDraft, RuntimeCommit
from lash_host.domain.frame import AgentFrameAssignment, initial_frame
from lash_host.domain.graph import UnchangedGraph
from lash_host.domain.lease import LeaseFence, LeaseOwner, SessionLease
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import ProtocolTurnOptions, SessionPolicy
from lash_host.domain.turn import InputText, TurnInput
from lash_host.domain.usage import TokenUsage
from lash_host.errors import StoreError
from lash_host.store.head import Head
from lash_host.store.work import Row, StateTable, Work

START_US = 1_767_225_600_000_000
OWNER = LeaseOwner(owner_id="host", incarnation_id="1")


class FakeStore:
    """Heads and rows of all sessions; runs operations one after another, each whole or not at all."""

    def __init__(self) -> None:
        self.now_us = START_US
        self.heads: dict[str, Head] = {}
        self.rows: dict[str, dict[tuple[Any, ...], Row]] = {}
        self.dead: set[str] = set()
        self.tokens = count(1)
        self.written: list[tuple[str, str]] = []
        self.announced = 0

    def run(self, operation: Callable[[Work], Any]) -> Any:
        """Run one; `written` then tells what it changed, as verb and table."""
        kept = (dict(self.heads), copy.deepcopy(self.rows), self.announced)
        self.written = []
        try:
            return operation(FakeWork(self))
        except StoreError:
            self.heads, self.rows, self.announced = kept
            self.written = []
            raise

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.now_us += ms * 1000

    def lease(self, session_id: str = "s", *, ttl_ms: int = 60_000) -> LeaseFence:
        """Have `OWNER` hold a session's lease, under a new fence."""
        head = self.run(lambda work: work.ensure_head(session_id))
        fencing_token = head.row["fencing_token"] + 1
        proof = f"lease-{fencing_token}"
        fence = LeaseFence(session_id=session_id, owner=OWNER, lease_token=proof, fencing_token=fencing_token)
        now_ms = self.now_us // 1000
        lease = SessionLease(fence=fence, claimed_at_ms=now_ms, expires_at_ms=now_ms + ttl_ms)
        self.heads[session_id] = head.with_lease(lease)
        return fence

    def table(self, state: StateTable, session_id: str = "s") -> list[Row]:
        """Give a session's rows, settled ones too, in order."""
        key = self.heads[session_id].session_key
        rows = [row for row in self.rows.get(state.table.name, {}).values() if row["session_key"] == key]
        return sorted(rows, key=lambda row: row[state.order])


class FakeWork(Work):
    """One operation on a `FakeStore`."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    @property
    def now_us(self) -> int:
        return self._store.now_us

    def new_token(self) -> str:
        return f"token-{next(self._store.tokens)}"

    def owner_is_dead(self, owner: LeaseOwner) -> bool:
        return owner.owner_id in self._store.dead

    def head(self, session_id: str) -> Head | None:
        return self._store.heads.get(session_id)

    def ensure_head(self, session_id: str) -> Head:
        if session_id not in self._store.heads:
            key = len(self._store.heads) + 1
            self.put_head(Head.fresh(session_id, session_key=key, now_us=self.now_us))
        return self._store.heads[session_id]

    def put_head(self, head: Head) -> None:
        self._store.heads[head.session_id] = head
        self._store.written.append(("put", "sessions"))

    def hold(self, head: Head) -> None:
        self.put_head(head)

    def live(self, state: StateTable, head: Head) -> list[Row]:
        return [row for row in self._store.table(state, head.session_id) if not state.is_settled(row)]

    def find(self, state: StateTable, head: Head, column: str, value: str) -> Row | None:
        return next((row for row in self._store.table(state, head.session_id) if row[column] == value), None)

    def following(self, state: StateTable, head: Head, *, order_from: int) -> list[Row]:
        return [row for row in self._store.table(state, head.session_id) if row[state.order] >= order_from]

    def put(self, state: StateTable, row: Row) -> None:
        assert list(row) == list(state.table.columns.keys())
        self._store.rows.setdefault(state.table.name, {})[(row["session_key"], *state.key_of(row))] = row
        self._store.written.append(("put", state.table.name))

    def remove(self, state: StateTable, row: Row) -> None:
        del self._store.rows[state.table.name][(row["session_key"], *state.key_of(row))]
        self._store.written.append(("remove", state.table.name))

    def announce_work(self) -> None:
        self._store.announced += 1

    def append(self, table, rows):
        raise NotImplementedError

    def stored_turn(self, head, turn_id):
        raise NotImplementedError

    def known_nodes(self, head, delta):
        raise NotImplementedError

    def missing_blobs(self, refs):
        raise NotImplementedError

    def add_blobs(self, rows):
        raise NotImplementedError


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def owner() -> LeaseOwner:
    return OWNER


@pytest.fixture
def say() -> Callable[[str], TurnInput]:
    return lambda text: TurnInput(items=(InputText(text=text),))


@pytest.fixture
def commit() -> Callable[..., RuntimeCommit]:
    """Make a commit that changes nothing but what it is told to."""

    def make(session_id: str = "s", **changes: Any) -> RuntimeCommit:
        policy = SessionPolicy(model=ModelSpec(provider_id="offline", model_id="echo"))
        frame = initial_frame(session_id, assignment=AgentFrameAssignment(policy=policy), created_at_us=START_US)
        return RuntimeCommit(
            session_id=session_id,
            expected_head_revision=None,
            fence=None,
            release_lease=False,
            policy=policy,
            agent_frames=(frame,),
            current_agent_frame_id=frame.frame_id,
            graph=UnchangedGraph(leaf_node_id=None),
            checkpoint=CheckpointDraft(
                turn_index=0,
                token_usage=TokenUsage(),
                last_prompt_usage=None,
                protocol_turn_options=ProtocolTurnOptions(),
            ),
            **changes,
        )

    return make
