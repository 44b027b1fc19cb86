"""A session's resident state, the checkpoint that is stored of it, and the view that others get."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Literal

from pydantic import Field

from lash_host.domain.catalog import ToolState
from lash_host.domain.frame import AgentFrame
from lash_host.domain.graph import SessionGraph
from lash_host.domain.message import Message
from lash_host.domain.plugin_state import PluginSnapshot
from lash_host.domain.policy import PluginOptions, ProtocolTurnOptions, SessionPolicy
from lash_host.domain.usage import TokenLedgerEntry, TokenUsage
from lash_host.domain.value import JsonObject, Value

__all__ = [
    "CheckpointManifest",
    "Residency",
    "RuntimeSessionState",
    "SessionInfo",
    "SessionMeta",
    "SessionReadView",
    "SessionSnapshot",
]


class Residency(StrEnum):
    """How much of a session's graph is kept in memory.

    `ACTIVE_PATH` keeps the active path back to where the current frame began, so that opening costs what the context
    window holds and not what the session has lived. `KEEP_ALL` keeps every node.
    """

    ACTIVE_PATH = "active_path"
    KEEP_ALL = "keep_all"


class CheckpointManifest(Value):
    """What is stored of a session besides its graph. Bodies lie in blobs named by their SHA-256 (hex).

    Its own SHA-256 is the session's `checkpoint_ref`: two equal checkpoints share one.
    """

    schema_version: Literal[1] = 1
    turn_index: int = 0
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: TokenUsage | None = None
    protocol_turn_options: ProtocolTurnOptions = ProtocolTurnOptions()
    tool_state_ref: str | None = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot_revision: int | None = None
    execution_state_ref: str | None = None


class SessionInfo(Value):
    """What a store knows of a session without loading it. Times are UTC microseconds."""

    session_id: str
    parent_session_id: str | None = None
    root_session_id: str
    title: str | None = None
    created_at_us: int
    last_turn_at_us: int | None = None
    head_revision: int | None = None
    model: str | None = None
    provider_id: str | None = None
    turns: int = 0


class SessionMeta(Value):
    """What is said about a session before and besides its turns. It is there before anything was committed.

    Attributes:
        name: What people call it.
        created_at_us: UTC microseconds.
        model: The model it was made for, ``provider/model``.
        cwd: The folder it was made in.
        parent_session_id: The session it is a child of; None for a root.
        caused_by: What in the parent led to it, in its author's words.
    """

    schema_version: Literal[1] = 1
    session_id: str = Field(min_length=1)
    name: str | None = None
    created_at_us: int
    model: str | None = None
    cwd: str | None = None
    parent_session_id: str | None = None
    caused_by: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSessionState:
    """The working copy of a session. A value: changing it means making another.

    Attributes:
        token_usage: Usage of the last turn, for context accounting; billing is the ledger.
        last_prompt_usage: Usage of the last model call of the last turn.
        tool_state: Body of the stored tool state; None when only the ref is known.
        plugin_snapshot: Body of the stored plugin snapshot; None when only the ref is known.
        plugin_snapshot_revision: Fingerprint of the plugins when the stored snapshot was captured.
        head_revision: The store's revision this state was read at; None when it never was committed.
        graph_replace_required: The next commit must replace the whole graph.
    """

    session_id: str
    policy: SessionPolicy
    agent_frames: tuple[AgentFrame, ...]
    current_agent_frame_id: str
    session_graph: SessionGraph = field(default_factory=SessionGraph)
    turn_index: int = 0
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: TokenUsage | None = None
    protocol_turn_options: ProtocolTurnOptions = ProtocolTurnOptions()
    tool_state_ref: str | None = None
    tool_state_generation: int | None = None
    tool_state: ToolState | None = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot_revision: int | None = None
    plugin_snapshot: PluginSnapshot | None = None
    execution_state_ref: str | None = None
    token_ledger: tuple[TokenLedgerEntry, ...] = ()
    checkpoint_ref: str | None = None
    head_revision: int | None = None
    graph_replace_required: bool = False

    @property
    def current_frame(self) -> AgentFrame:
        """The active frame."""
        return next(frame for frame in self.agent_frames if frame.frame_id == self.current_agent_frame_id)

    @property
    def effective_policy(self) -> SessionPolicy:
        """The policy of the current frame: what a turn runs with."""
        return self.current_frame.assignment.policy

    @property
    def effective_protocol_turn_options(self) -> ProtocolTurnOptions:
        """The protocol options of the current frame."""
        return self.current_frame.protocol_turn_options

    def with_policy(self, policy: SessionPolicy) -> RuntimeSessionState:
        """Record a policy on the session and on its current frame, so that a refresh cannot undo it."""
        frame = self.current_frame
        assignment = frame.assignment.model_copy(update={"policy": policy})
        return replace(
            self, policy=policy, agent_frames=self._with_frame(frame.model_copy(update={"assignment": assignment}))
        )

    def with_plugin_options(self, options: PluginOptions) -> RuntimeSessionState:
        """Record plugin options on the current frame."""
        frame = self.current_frame
        assignment = frame.assignment.model_copy(update={"plugin_options": options})
        return replace(self, agent_frames=self._with_frame(frame.model_copy(update={"assignment": assignment})))

    def with_protocol_options(self, options: ProtocolTurnOptions, *, all_frames: bool) -> RuntimeSessionState:
        """Record protocol options on the session, and on its current frame or on every one."""
        if all_frames:
            frames = tuple(f.model_copy(update={"protocol_turn_options": options}) for f in self.agent_frames)
        else:
            frames = self._with_frame(self.current_frame.model_copy(update={"protocol_turn_options": options}))
        return replace(self, protocol_turn_options=options, agent_frames=frames)

    def _with_frame(self, changed: AgentFrame) -> tuple[AgentFrame, ...]:
        return tuple(changed if frame.frame_id == changed.frame_id else frame for frame in self.agent_frames)


class SessionSnapshot(Value):
    """A session for inspection: what it is and how far it got, without the bodies of its snapshots."""

    session_id: str
    policy: SessionPolicy
    agent_frames: tuple[AgentFrame, ...]
    current_agent_frame_id: str
    messages: tuple[Message, ...]
    leaf_node_id: str | None
    turn_index: int
    token_usage: TokenUsage
    last_prompt_usage: TokenUsage | None
    protocol_turn_options: ProtocolTurnOptions
    tool_state_ref: str | None
    tool_state_generation: int | None
    plugin_snapshot_ref: str | None
    plugin_snapshot_revision: int | None
    execution_state_ref: str | None
    checkpoint_ref: str | None

    @classmethod
    def of(cls, state: RuntimeSessionState) -> SessionSnapshot:
        """Take the snapshot of a state."""
        names = set(cls.model_fields) - {"messages", "leaf_node_id"}
        return cls.model_construct(
            **{name: getattr(state, name) for name in names},
            messages=tuple(state.session_graph.frame_messages(state.current_agent_frame_id)),
            leaf_node_id=state.session_graph.leaf_node_id,
        )


@dataclass(frozen=True)
class SessionReadView:
    """What plugins and applications see of a session: immutable, and cheap to make.

    `policy` and `protocol_turn_options` are the effective ones, those of the current frame.
    """

    state: RuntimeSessionState

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.state.session_id

    @property
    def policy(self) -> SessionPolicy:
        """The effective policy."""
        return self.state.effective_policy

    @property
    def protocol_turn_options(self) -> ProtocolTurnOptions:
        """The effective protocol options."""
        return self.state.effective_protocol_turn_options

    @property
    def frame_id(self) -> str:
        """The current frame's id."""
        return self.state.current_agent_frame_id

    @property
    def agent_frames(self) -> tuple[AgentFrame, ...]:
        """All frames, oldest first."""
        return self.state.agent_frames

    @property
    def graph(self) -> SessionGraph:
        """The resident graph."""
        return self.state.session_graph

    @property
    def turn_index(self) -> int:
        """How many turns were committed."""
        return self.state.turn_index

    @property
    def last_prompt_usage(self) -> TokenUsage | None:
        """Usage of the last model call of the last turn."""
        return self.state.last_prompt_usage

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the current frame, oldest first."""
        return tuple(self.graph.frame_messages(self.frame_id))

    def records(self, plugin_id: str) -> tuple[JsonObject, ...]:
        """Give the records that a plugin appended to the active path, oldest first."""
        return tuple(
            json.loads(node.payload_json)
            for node in self.graph.active_path
            if node.kind == "record" and node.label == plugin_id
        )
