"""The tools of a session: what plugins bring, and what the session made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lash_host.contracts.tool import ToolCallContext, ToolProvider
from lash_host.domain.catalog import (
    ToolState,
    apply_tool_state,
    ids_by_name,
    initial_tool_state,
    refresh_tool_state,
    restore_tool_state,
    set_membership,
)
from lash_host.domain.directive import Owned
from lash_host.domain.tool import ToolContract, ToolManifest, ToolOutput
from lash_host.domain.value import JsonObject
from lash_host.errors import ToolStateError
from lash_host.tools.source import ToolSource

__all__ = ["ToolRegistry"]


class ToolRegistry:
    """One session's tools. Edits are atomic: one that fails leaves everything as it was.

    Attributes:
        source: The live tools. Replaced by a refresh, never edited: whoever holds one sees what there was.
        stragglers: Calls that did not end when they were cancelled, held so that they can come to their end.

    Args:
        providers: What plugins export, with the plugins' ids.

    Raises:
        PluginHookError: A provider could not list its tools.
        ToolStateError: Two tools have one id or one name.
    """

    def __init__(self, providers: Sequence[Owned[ToolProvider]]) -> None:
        self.source = ToolSource(providers)
        self.stragglers: set[asyncio.Task[None]] = set()
        self._state = initial_tool_state(self.source.manifests)

    @property
    def state(self) -> ToolState:
        """The state as it is: replaced by every edit, never changed itself."""
        return self._state

    @property
    def generation(self) -> int:
        """The generation; 1 for a fresh session."""
        return self._state.generation

    def export_state(self) -> ToolState:
        """Give a copy of the state to edit, and to apply or restore."""
        return self._state.model_copy(deep=True)

    def apply_state(self, edited: ToolState) -> int:
        """Take over an edited export and give the new generation.

        Raises:
            GenerationMismatch: The state changed since the export.
            ToolStateError: The edit names a tool that nobody provides.
        """
        self._state = apply_tool_state(self._state, edited, self.source.manifests)
        return self._state.generation

    def restore_state(self, stored: ToolState) -> tuple[str, ...]:
        """Take over a stored state, and give the ids of tools in it that nobody provides now.

        Raises:
            ToolStateError: The stored state contradicts itself.
        """
        self._state = restore_tool_state(stored, self.source.manifests)
        return self._state.orphaned_ids

    def refresh(self, providers: Sequence[Owned[ToolProvider]]) -> bool:
        """Read what plugins export again, and say whether the state changed by it.

        Raises:
            PluginHookError: A provider could not list its tools.
            ToolStateError: Two tools have one id or one name.
        """
        source = ToolSource(providers)
        state = refresh_tool_state(self._state, source.manifests)
        changed = state is not self._state
        self.source, self._state = source, state
        return changed

    def set_membership(self, names: Sequence[str], *, present: bool) -> int:
        """Let the session call tools, or stop it, and give the generation after it. All names or none.

        Raises:
            ToolStateError: A name is unknown.
        """
        self._state = set_membership(self._state, names, present=present)
        return self._state.generation

    def manifest(self, name: str) -> ToolManifest | None:
        """Give the tool of a name, callable or not; None when the session has none."""
        tool_id = ids_by_name(self._state).get(name)
        return None if tool_id is None else self._state.tools[tool_id].manifest

    def owner(self, tool_id: str) -> str:
        """Give the id of the plugin that brings a tool.

        Raises:
            ToolStateError: Nobody brings it.
        """
        return self.source.owner(tool_id)

    def contract(self, tool_id: str) -> ToolContract:
        """Give a tool's schemas; its plugin is asked once.

        Raises:
            ToolStateError: Nobody brings it, or its provider failed.
        """
        return self.source.contract(tool_id)

    async def execute(self, tool_id: str, arguments: JsonObject, context: ToolCallContext) -> ToolOutput:
        """Run a tool that the session may call. Arguments are not checked here.

        Raises:
            ToolStateError: The session does not have it, may not call it, or nobody brings it.
            Anything else: The provider's own.
        """
        entry = self._state.tools.get(tool_id)
        if entry is None:
            raise ToolStateError(f"Unknown tool id: {tool_id}")
        if entry.orphaned:
            raise ToolStateError(
                f"Tool id `{tool_id}` was restored from a stored session, but no plugin that brings it is installed"
            )
        if not entry.member:
            raise ToolStateError(f"Tool id `{tool_id}` is unavailable")
        return await self.source.execute(tool_id, arguments, context)
