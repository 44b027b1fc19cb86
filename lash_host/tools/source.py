"""The tools that a set of providers brings, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lash_host.contracts.tool import ToolCallContext, ToolProvider
from lash_host.domain.directive import Owned
from lash_host.domain.tool import ToolContract, ToolManifest, ToolOutput
from lash_host.domain.value import JsonObject
from lash_host.errors import PluginHookError, ToolStateError
from lash_host.tools.validation import ArgumentsValidator

__all__ = ["ToolSource"]


@dataclass(frozen=True, slots=True)
class _Tool:
    plugin_id: str
    provider: ToolProvider
    manifest: ToolManifest


class ToolSource:
    """The live tools of a session. What was read does not change; contracts are asked for when needed, and kept.

    Args:
        providers: The providers with their plugins.

    Raises:
        PluginHookError: A provider could not list its tools.
        ToolStateError: Two tools have one id or one name; both plugins are named.
    """

    def __init__(self, providers: Sequence[Owned[ToolProvider]]) -> None:
        self._tools = _read(providers)
        self._contracts: dict[str, ToolContract] = {}
        self._validators: dict[str, ArgumentsValidator] = {}
        self.manifests: Mapping[str, ToolManifest] = MappingProxyType(
            {tool_id: tool.manifest for tool_id, tool in self._tools.items()}
        )

    def owner(self, tool_id: str) -> str:
        """Give the plugin that brings a tool.

        Raises:
            ToolStateError: There is no such tool.
        """
        return self._tool(tool_id).plugin_id

    def contract(self, tool_id: str) -> ToolContract:
        """Give a tool's schemas. Its provider is asked once.

        Raises:
            ToolStateError: There is no such tool, or its provider failed.
        """
        contract = self._contracts.get(tool_id)
        if contract is None:
            contract = self._contracts[tool_id] = _contract(self._tool(tool_id))
        return contract

    def problem(self, tool_id: str, arguments: JsonObject) -> str | None:
        """Say what is wrong with arguments for a tool, or None. Its schema is compiled once.

        Raises:
            ToolStateError: There is no such tool, or its contract cannot be had or used.
        """
        validator = self._validators.get(tool_id)
        if validator is None:
            validator = self._validators[tool_id] = ArgumentsValidator(self.contract(tool_id).input_schema)
        return validator.problem(arguments)

    async def execute(self, tool_id: str, arguments: JsonObject, context: ToolCallContext) -> ToolOutput:
        """Run a tool.

        Raises:
            ToolStateError: There is no such tool.
            Anything else: The provider's own.
        """
        return await self._tool(tool_id).provider.execute(tool_id, arguments, context)

    def _tool(self, tool_id: str) -> _Tool:
        tool = self._tools.get(tool_id)
        if tool is None:
            raise ToolStateError(f"Unknown tool id: {tool_id}")
        return tool


def _read(providers: Sequence[Owned[ToolProvider]]) -> dict[str, _Tool]:
    tools: dict[str, _Tool] = {}
    by_name: dict[str, _Tool] = {}
    for owned in providers:
        for manifest in _manifests(owned):
            tool = _Tool(owned.plugin_id, owned.value, manifest)
            if (other := tools.get(manifest.tool_id)) is not None:
                raise _duplicate("id", manifest.tool_id, other.plugin_id, tool.plugin_id)
            if (other := by_name.get(manifest.name)) is not None:
                raise _duplicate("name", manifest.name, other.plugin_id, tool.plugin_id)
            tools[manifest.tool_id] = by_name[manifest.name] = tool
    return tools


def _manifests(owned: Owned[ToolProvider]) -> Sequence[ToolManifest]:
    try:
        manifests = tuple(owned.value.manifests())
    except Exception as exc:
        raise _export_error(owned, f"manifests() raised {type(exc).__name__}: {exc}") from exc
    for manifest in manifests:
        if not isinstance(manifest, ToolManifest):
            raise _export_error(owned, f"manifests() gave a {type(manifest).__name__}, not a ToolManifest")
    return manifests


def _export_error(owned: Owned[ToolProvider], problem: str) -> PluginHookError:
    return PluginHookError(plugin_id=owned.plugin_id, hook="lash_export_tools", problem=problem)


def _duplicate(what: str, value: str, one: str, other: str) -> ToolStateError:
    if one == other:
        return ToolStateError(f"tool {what} {value!r} is brought twice by {one!r}")
    return ToolStateError(f"tool {what} {value!r} is brought by both {one!r} and {other!r}")


def _contract(tool: _Tool) -> ToolContract:
    manifest = tool.manifest
    try:
        contract = tool.provider.contract(manifest.tool_id)
    except Exception as exc:
        problem = f"{type(exc).__name__}: {exc}"
        raise ToolStateError(
            f"plugin {tool.plugin_id!r} gave no contract of tool {manifest.name!r}: {problem}"
        ) from exc
    if not isinstance(contract, ToolContract):
        kind = type(contract).__name__
        raise ToolStateError(f"plugin {tool.plugin_id!r} gave a {kind} as contract of tool {manifest.name!r}")
    return contract
