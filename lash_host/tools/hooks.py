"""What the tools of a session need from its plugins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from lash_host.domain.directive import DirectiveFold
from lash_host.domain.message import Part
from lash_host.hookspecs.catalog import ToolCatalogContext
from lash_host.hookspecs.tool_call import AfterToolCallContext, BeforeToolCallContext, ToolProjectionContext

__all__ = ["ToolHooks"]


class ToolHooks(Protocol):
    """The hooks around tools, as a plugin session calls them.

    Every method raises `PluginHookError` when a plugin fails or answers what its hook does not allow.
    """

    @property
    def session_id(self) -> str:
        """The session."""
        ...

    def revision_fingerprint(self) -> int:
        """Give a number that changes when the state of any plugin does."""
        ...

    def filter_tool_catalog(self, context: ToolCatalogContext, /) -> Collection[str]:
        """Give the names that plugins take out of the catalog."""
        ...

    async def before_tool_call(self, context: BeforeToolCallContext, /) -> DirectiveFold:
        """Ask plugins about a call before it is made."""
        ...

    async def after_tool_call(self, context: AfterToolCallContext, /) -> DirectiveFold:
        """Ask plugins about the result of one attempt."""
        ...

    def project_tool_result(self, context: ToolProjectionContext, /) -> Sequence[Part] | None:
        """Ask what the model shall see of a result; None leaves it to the host."""
        ...
