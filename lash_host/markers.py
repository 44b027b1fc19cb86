"""The two pluggy markers of the project: one declares a hook, one implements it."""

from __future__ import annotations

from typing import Final

import pluggy

__all__ = ["PROJECT_NAME", "hookimpl", "hookspec"]

PROJECT_NAME: Final = "lash_host"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
"""Declares a hook. Only `lash_host.hookspecs` uses it."""

hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
"""Marks a function or method as the implementation of the hook it is named after."""
