"""What tests of plugins, stores and applications need; installed with the package, imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lash_host.testing.clock import ManualClock
    from lash_host.testing.harness import host_plugin, scripted_host
    from lash_host.testing.openai_server import FakeOpenAIServer
    from lash_host.testing.scripted_provider import (
        SCRIPTED_USAGE,
        ScriptedProvider,
        ScriptUsedUp,
        text,
        tool_call,
        tool_calls,
    )

__all__ = [
    "SCRIPTED_USAGE",
    "FakeOpenAIServer",
    "ManualClock",
    "ScriptUsedUp",
    "ScriptedProvider",
    "host_plugin",
    "scripted_host",
    "text",
    "tool_call",
    "tool_calls",
]

_MODULES = {
    "FakeOpenAIServer": "openai_server",
    "host_plugin": "harness",
    "scripted_host": "harness",
    "ManualClock": "clock",
    "SCRIPTED_USAGE": "scripted_provider",
    "ScriptUsedUp": "scripted_provider",
    "ScriptedProvider": "scripted_provider",
    "text": "scripted_provider",
    "tool_call": "scripted_provider",
    "tool_calls": "scripted_provider",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
