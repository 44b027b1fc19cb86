"""Tool state: which tools a session has, which of them it may call, and which generation that is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lash_host.domain.tool import ToolManifest
from lash_host.domain.value import Value

__all__ = ["ToolState", "ToolStateEntry"]


class ToolStateEntry(Value):
    """One tool of a session.

    Attributes:
        manifest: What it says of itself.
        member: Whether the session may call it. Kept through everything, by tool id.
        orphaned: Nobody provides it now; it cannot be called until somebody does.
    """

    manifest: ToolManifest
    member: bool = True
    orphaned: bool = False

    @property
    def is_callable(self) -> bool:
        """Whether it is in the catalog."""
        return self.member and not self.orphaned


class ToolState(Value):
    """The tools of a session by tool id. The generation grows with every change and is what an edit must name."""

    schema_version: Literal[1] = 1
    generation: int = Field(ge=0)
    tools: dict[str, ToolStateEntry] = Field(default_factory=dict)

    @property
    def callable_manifests(self) -> tuple[ToolManifest, ...]:
        """The manifests of the catalog, by tool id."""
        return tuple(self.tools[tool_id].manifest for tool_id in sorted(self.tools) if self.tools[tool_id].is_callable)
