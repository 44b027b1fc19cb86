"""The table of all hooks: where each is implemented, and how its implementations are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from lash_host.hookspecs import (
    catalog,
    compaction,
    config,
    host,
    operation,
    prompt,
    protocol,
    snapshot,
    stream,
    tool_call,
    turn,
)

__all__ = ["HOOKS", "Hook", "HookMode", "HookScope"]

HookMode = Literal["collect", "chain", "first", "notify", "concurrent", "singleton"]
HookScope = Literal["host", "session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook.

    Attributes:
        name: Its name, which is also the name of its implementations.
        scope: Whether host plugins or session plugins implement it.
        mode: How implementations are called: *collect*, one after another, first error stops; *chain*, each gets what
            the one before gave; *first*, the first non-empty answer wins; *notify*, told in order; *concurrent*, told
            at once and awaited together; *singleton*, at most one plugin may implement it.
        is_async: Whether implementations may be coroutine functions.
        spec: The declaration; its docstring is the contract.
    """

    name: str
    scope: HookScope
    mode: HookMode
    is_async: bool
    spec: Callable[..., Any]


def _hook(scope: HookScope, mode: HookMode, spec: Callable[..., Any]) -> Hook:
    return Hook(name=spec.__name__, scope=scope, mode=mode, is_async=inspect.iscoroutinefunction(spec), spec=spec)


_ALL: Final = (
    _hook("host", "collect", host.lash_create_session_plugin),
    _hook("host", "collect", host.lash_register_providers),
    _hook("host", "collect", host.lash_register_effect_hosts),
    _hook("host", "collect", host.lash_register_process_engines),
    _hook("host", "notify", host.lash_register_commands),
    _hook("host", "collect", host.lash_register_usage_views),
    _hook("host", "collect", host.lash_register_model_prices),
    _hook("host", "collect", host.lash_contribute_extensions),
    _hook("session", "collect", catalog.lash_export_tools),
    _hook("session", "collect", catalog.lash_filter_tool_catalog),
    _hook("session", "collect", snapshot.lash_capture_snapshot),
    _hook("session", "collect", snapshot.lash_snapshot_revision),
    _hook("session", "notify", snapshot.lash_restore_snapshot),
    _hook("session", "notify", turn.lash_session_ready),
    _hook("session", "singleton", protocol.lash_protocol),
    _hook("session", "chain", config.lash_mutate_session_config),
    _hook("session", "first", compaction.lash_compact_context),
    _hook("session", "chain", turn.lash_transform_turn_context),
    _hook("session", "collect", prompt.lash_contribute_prompt),
    _hook("session", "collect", turn.lash_before_turn),
    _hook("session", "collect", turn.lash_checkpoint),
    _hook("session", "collect", turn.lash_after_turn),
    _hook("session", "collect", tool_call.lash_before_tool_call),
    _hook("session", "collect", tool_call.lash_after_tool_call),
    _hook("session", "singleton", tool_call.lash_project_tool_result),
    _hook("session", "chain", stream.lash_transform_stream),
    _hook("session", "chain", stream.lash_transform_response),
    _hook("session", "notify", stream.lash_stream_finished),
    _hook("session", "concurrent", turn.lash_on_event),
    _hook("session", "collect", operation.lash_register_operations),
    _hook("session", "singleton", protocol.lash_code_executor),
)

HOOKS: Final[Mapping[str, Hook]] = MappingProxyType({hook.name: hook for hook in _ALL})
"""Every hook by name, in the order of the public table."""
