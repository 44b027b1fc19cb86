"""What a protocol plugin provides: how a session talks with its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import PluginOptions, ProtocolTurnOptions
from lash_host.domain.protocol import TurnDriver
from lash_host.domain.session import SessionReadView
from lash_host.domain.tool import ToolManifest
from lash_host.domain.usage import TokenUsage

__all__ = [
    "BeforeModelCall",
    "DriverInput",
    "ProtocolMaterialization",
    "ProtocolRuntimeContext",
    "SwitchAgentFrame",
    "TurnProtocol",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolMaterialization:
    """How a session came to be opened.

    Attributes:
        plugin_options: Options by plugin id that reached this opening.
        is_root_session: Whether the session has no parent.
    """

    plugin_options: PluginOptions
    is_root_session: bool


class ProtocolRuntimeContext(Protocol):
    """What a protocol may change of a session while it is opened."""

    @property
    def session_id(self) -> str:
        """The session."""
        ...

    @property
    def protocol_turn_options(self) -> ProtocolTurnOptions:
        """The options recorded on the session."""
        ...

    def set_protocol_turn_options(self, options: ProtocolTurnOptions) -> None:
        """Record options on the session and its current frame."""
        ...

    def set_protocol_turn_options_all_frames(self, options: ProtocolTurnOptions) -> None:
        """Record options on the session and every frame."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverInput:
    """What a turn's driver is built from."""

    state: SessionReadView
    model: ModelSpec
    tools: tuple[ToolManifest, ...]
    options: ProtocolTurnOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeModelCall:
    """What a protocol sees before a model call."""

    state: SessionReadView
    iteration: int
    latest_prompt_usage: TokenUsage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchAgentFrame:
    """End this turn and go on in another frame with a task. Ids and tasks must not be blank."""

    frame_id: str
    task: str


class TurnProtocol:
    """A protocol. Subclass it and override what differs; only `build_driver` must be.

    One object serves one session. A session has exactly one protocol.
    """

    async def initialize_session(self, session_id: str) -> None:
        """Called when a session is opened, before tools and plugin state are restored."""

    async def restore_session(self, state: SessionReadView) -> None:
        """Called last when a session is opened, and again after a committed switch to another frame."""

    def materialize(self, context: ProtocolRuntimeContext, materialization: ProtocolMaterialization) -> None:
        """Apply options at every opening, fresh or resumed; what was applied last is recorded with the session.

        Raises:
            Anything: the opening fails.
        """

    def validate_turn_options(self, options: ProtocolTurnOptions) -> None:
        """Refuse options of a turn by raising; the turn then ends as invalid input."""

    def build_driver(self, driver_input: DriverInput) -> TurnDriver:
        """Make the driver of one turn. Must be pure: a turn driven again gets an equal one."""
        raise TypeError(f"{type(self).__name__} must define build_driver")

    async def before_model_call(self, call: BeforeModelCall) -> SwitchAgentFrame | None:
        """Look before each model call; may end the turn by switching frames."""
        return None
