"""What a session is configured with: model, limits, prompt, and options of its plugins and its protocol."""

from __future__ import annotations

from pydantic import Field

from lash_host.domain.model import ModelSpec
from lash_host.domain.prompt import PromptLayer
from lash_host.domain.value import JsonObject, Value

__all__ = ["PluginOptions", "ProtocolTurnOptions", "SessionPolicy", "ToolAccess"]

PluginOptions = dict[str, JsonObject]
"""Options by plugin id. The host hands each plugin its own and never looks inside."""


class ProtocolTurnOptions(Value):
    """Options that the session's protocol reads at every turn. The payload is the protocol's own."""

    schema_version: int = Field(default=1, ge=1, le=1)
    payload: JsonObject = Field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return not self.payload

    def merged_with_override(self, override: ProtocolTurnOptions | None) -> ProtocolTurnOptions:
        """Lay a turn's own options over these, key by key at the top level."""
        if override is None or override.is_empty:
            return self
        return ProtocolTurnOptions(payload={**self.payload, **override.payload})


class SessionPolicy(Value):
    """The configuration of a session.

    Attributes:
        model: The model its turns call.
        max_turns: The most model calls one turn may make; None leaves it unbounded.
        autonomous: Whether nobody is there to be asked.
        prompt: The session's own prompt layer.
    """

    model: ModelSpec
    max_turns: int | None = Field(default=None, ge=1)
    autonomous: bool = False
    prompt: PromptLayer = PromptLayer()

    @property
    def provider_id(self) -> str:
        """The provider of the session's model."""
        return self.model.provider_id


class ToolAccess(Value):
    """Which tools a session may see. `only` replaces the catalog where given; `hidden` names are removed from it."""

    only: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
