"""The plugin: its options, and the protocol it brings to each session."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lash_host import (
    DriverInput,
    InvalidPluginOptions,
    PluginSessionContext,
    ProtocolMaterialization,
    ProtocolRuntimeContext,
    ProtocolTurnOptions,
    SessionPlugin,
    TurnDriver,
    TurnProtocol,
    hookimpl,
)
from lash_host_protocol_default.driver import NativeToolDriver

__all__ = ["DEFAULT_INSTRUCTIONS", "DefaultProtocol", "ProtocolOptions", "lash_create_session_plugin"]

DEFAULT_INSTRUCTIONS = (
    "You are an agent that works with tools. Use them when they help, look at their results before you go on, and "
    "answer when you are done. When a tool fails, read its message and try another way."
)


class ProtocolOptions(BaseModel):
    """Options of the default protocol, of a session or of a single turn.

    Attributes:
        instructions: The first part of the system prompt.
        tool_choice: Whether the model may, must not or (in its first call) must use tools.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    instructions: str = DEFAULT_INSTRUCTIONS
    tool_choice: Literal["auto", "none", "required"] = "auto"


class DefaultProtocol(TurnProtocol):
    """Native tool calls in a loop.

    Args:
        plugin_id: The plugin that brings it.
        options: What holds where neither the session nor the turn says otherwise: the plugin's own options.
    """

    def __init__(self, plugin_id: str, *, options: ProtocolOptions | None = None) -> None:
        self._plugin_id = plugin_id
        self._options = ProtocolOptions() if options is None else options

    def materialize(self, context: ProtocolRuntimeContext, materialization: ProtocolMaterialization) -> None:
        """Record the options that were given for this opening; without any, what is recorded stays."""
        given = materialization.plugin_options.get(self._plugin_id)
        if given:
            options = ProtocolTurnOptions(payload=given)
            self.validate_turn_options(options)
            context.set_protocol_turn_options_all_frames(options)

    def validate_turn_options(self, options: ProtocolTurnOptions) -> None:
        """Refuse options it does not know.

        Raises:
            InvalidPluginOptions: Names what is wrong.
        """
        try:
            ProtocolOptions.model_validate(options.payload)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidPluginOptions(self._plugin_id, f"{where}: {first['msg']}") from exc

    def build_driver(self, driver_input: DriverInput) -> TurnDriver:
        """Make the driver of a turn."""
        options = self._options.model_copy(
            update=ProtocolOptions.model_validate(driver_input.options.payload).model_dump(exclude_unset=True)
        )
        return NativeToolDriver(instructions=options.instructions, tool_choice=options.tool_choice)


class DefaultProtocolPlugin(SessionPlugin[None]):
    """Brings the protocol to one session."""

    options_type = ProtocolOptions

    @hookimpl
    def lash_protocol(self) -> TurnProtocol:
        """Give the protocol."""
        return DefaultProtocol(self.context.plugin_id, options=ProtocolOptions.model_validate(self.options))


@hookimpl
def lash_create_session_plugin(context: PluginSessionContext) -> object:
    """Make the plugin's part of a session."""
    return DefaultProtocolPlugin(context)
