"""A store that real commits are made to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from lash_host.contracts.store import SessionStore
from lash_host.domain.commit import (
    CheckpointDraft,
    CommitStamp,
    HookCallFact,
    ModelCallFact,
    PluginSeen,
    RuntimeCommit,
    TurnFact,
)
from lash_host.domain.frame import AgentFrame, AgentFrameAssignment, decide_open_frame, initial_frame
from lash_host.domain.graph import AppendNodes, GraphDelta, SessionNode, message_node
from lash_host.domain.lease import LeaseOwner
from lash_host.domain.message import Message, Part, Role, TextPart
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import ProtocolTurnOptions, SessionPolicy
from lash_host.domain.tool import ToolCallRecord, ToolOutput
from lash_host.domain.usage import TokenUsage
from lash_host.store import open_store
from lash_host.testing.clock import ManualClock
from lash_host.usage.analytics import UsageAnalytics
from lash_host.usage.views import builtin_views

_OWNER = LeaseOwner(owner_id="tests", incarnation_id="one")
_POLICY = SessionPolicy(model=ModelSpec(provider_id="openai", model_id="gpt"))


@dataclass
class _Session:
    frames: tuple[AgentFrame, ...]
    leaf: str | None = None
    revision: int | None = None
    turns: int = 0
    calls: int = 0


@dataclass
class Book:
    """Commits turns as the runtime would, with the facts a test gives."""

    store: SessionStore
    clock: ManualClock
    sessions: dict[str, _Session] = field(default_factory=dict)

    def call(self, *, tokens: tuple[int, ...] = (10, 5, 3, 2, 1), cost_usd: float | None = 0.5, **facts: Any) -> dict:
        names = tuple(TokenUsage.model_fields)
        usage = TokenUsage(**dict(zip(names, tokens, strict=False)))
        return {"source": "turn", "model": "gpt", "usage": usage, "cost_usd": cost_usd, **facts}

    def tool(self, name: str = "search", *, output: ToolOutput | None = None, **facts: Any) -> dict:
        return {"tool_name": name, "output": output or ToolOutput.success("found"), "duration_ms": 4.0, **facts}

    def turn(
        self,
        session_id: str = "s",
        *,
        said: Sequence[str] = ("hello", "hi"),
        calls: Sequence[dict] = (),
        tools: Sequence[dict] = (),
        hooks: Sequence[HookCallFact] = (),
        plugins: Sequence[PluginSeen] = (),
        parent: str | None = None,
        title: str | None = None,
        **facts: Any,
    ) -> str:
        session = self._session(session_id)
        session.turns += 1
        turn_id = f"{session_id}:turn:{session.turns}"
        turn = {"outcome": "assistant_message", "duration_ms": 12.5, "iterations": len(calls), **facts}
        nodes = self.messages(session_id, said, prefix=turn_id)
        self.commit(
            session_id,
            AppendNodes(nodes=nodes, leaf_node_id=nodes[-1].node_id if nodes else session.leaf),
            turn=TurnFact(
                turn_id=turn_id,
                turn_index=session.turns,
                frame_id=session.frames[-1].frame_id,
                started_at_us=self.clock.now_us(),
                **turn,
            ),
            model_calls=tuple(self._model_call(session_id, {"turn_id": turn_id, **call}) for call in calls),
            tool_calls=tuple(self._tool_call(session_id, tool) for tool in tools),
            hook_calls=tuple(hooks),
            plugins=tuple(plugins),
            parent_session_id=parent,
            title=title,
            stamp=CommitStamp(turn_id=turn_id, commit_hash="hash"),
        )
        return turn_id

    def commit(self, session_id: str, graph: GraphDelta, **parts: Any) -> None:
        session = self._session(session_id)
        lease = self.store.claim_lease(session_id, _OWNER, ttl_ms=30_000).lease
        result = self.store.commit(
            RuntimeCommit(
                session_id=session_id,
                expected_head_revision=session.revision,
                fence=lease.fence,
                release_lease=True,
                policy=_POLICY,
                agent_frames=session.frames,
                current_agent_frame_id=session.frames[-1].frame_id,
                graph=graph,
                checkpoint=CheckpointDraft(
                    turn_index=session.turns,
                    token_usage=TokenUsage(),
                    last_prompt_usage=None,
                    protocol_turn_options=ProtocolTurnOptions(),
                ),
                **parts,
            )
        )
        session.revision, session.leaf = result.head_revision, graph.leaf_node_id

    def messages(
        self, session_id: str, said: Sequence[str | Sequence[Part]], *, prefix: str, parent: str | None = None
    ) -> tuple[SessionNode, ...]:
        session = self._session(session_id)
        parent = session.leaf if parent is None else parent
        nodes: list[SessionNode] = []
        for number, text in enumerate(said):
            parts = (TextPart(text=text),) if isinstance(text, str) else tuple(text)
            role = Role.USER if number % 2 == 0 else Role.ASSISTANT
            node_id = f"{prefix}:{number}"
            node = message_node(
                Message(message_id=node_id, role=role, parts=parts),
                node_id=node_id,
                parent_node_id=parent,
                frame_id=session.frames[-1].frame_id,
                created_at_us=self.clock.now_us(),
            )
            nodes.append(node)
            parent = node_id
        return tuple(nodes)

    def open_frame(self, session_id: str, frame_id: str, *, reason: str) -> None:
        session = self._session(session_id)
        opened = decide_open_frame(
            session.frames,
            session.frames[-1].frame_id,
            frame_id=frame_id,
            reason=reason,
            created_at_us=self.clock.now_us(),
        )
        session.frames = opened.frames

    def _session(self, session_id: str) -> _Session:
        if session_id not in self.sessions:
            assignment = AgentFrameAssignment(policy=_POLICY)
            frame = initial_frame(session_id, assignment=assignment, created_at_us=self.clock.now_us())
            self.sessions[session_id] = _Session(frames=(frame,))
        return self.sessions[session_id]

    def _model_call(self, session_id: str, facts: dict) -> ModelCallFact:
        session = self._session(session_id)
        session.calls += 1
        defaults = {
            "call_id": f"call-{session.calls}",
            "frame_id": session.frames[-1].frame_id,
            "provider_id": "openai",
            "started_at_us": self.clock.now_us(),
            "duration_ms": 100.0,
            "terminal_reason": "stop",
        }
        return ModelCallFact(**{**defaults, **facts})

    def _tool_call(self, session_id: str, facts: dict) -> ToolCallRecord:
        session = self._session(session_id)
        session.calls += 1
        defaults = {
            "call_id": f"call-{session.calls}",
            "tool_id": facts["tool_name"],
            "plugin_id": "tools_web",
            "arguments": {},
            "attempts": 1,
            "started_at_us": self.clock.now_us(),
        }
        return ToolCallRecord(**{**defaults, **facts})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["duckdb", "postgresql"])
def store(clock: ManualClock, request: pytest.FixtureRequest) -> Iterator[SessionStore]:
    url = "duckdb:///:memory:" if request.param == "duckdb" else request.getfixturevalue("postgres_url")
    store = open_store(url, clock=clock)
    store.install_views(builtin_views())
    yield store
    store.close()


@pytest.fixture
def book(store: SessionStore, clock: ManualClock) -> Book:
    return Book(store, clock)


@pytest.fixture
def usage(store: SessionStore, clock: ManualClock) -> UsageAnalytics:
    return UsageAnalytics(store, clock=clock)


Query = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def query(store: SessionStore) -> Query:
    def query(sql: str, *params: Any) -> list[dict[str, Any]]:
        result = store.query(sql, params)
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]

    return query
