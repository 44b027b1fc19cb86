"""The two markers of the project: one declares a hook, one implements it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

import pluggy

__all__ = ["PRIORITY_ATTRIBUTE", "PROJECT_NAME", "hookimpl", "hookspec"]

PROJECT_NAME: Final = "lash_host"
PRIORITY_ATTRIBUTE: Final = "lash_host_priority"

F = TypeVar("F", bound=Callable[..., Any])

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
"""Declares a hook. Only `lash_host.hookspecs` uses it."""

_mark = pluggy.HookimplMarker(PROJECT_NAME)


@overload
def hookimpl(function: F) -> F: ...


@overload
def hookimpl(
    *, priority: int = 0, tryfirst: bool = False, trylast: bool = False, specname: str | None = None
) -> Callable[[F], F]: ...


def hookimpl(
    function: F | None = None,
    *,
    priority: int = 0,
    tryfirst: bool = False,
    trylast: bool = False,
    specname: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a function or method as the implementation of the hook it is named after.

    Implementations are called in plugin order (settings, then plugin id), never in pluggy's reverse order.

    Args:
        function: The implementation, when used without parentheses.
        priority: Among the implementations of one hook, higher comes first; equal ones keep plugin order.
        tryfirst: Come before all that don't say so, whatever their priority.
        trylast: Come after all that don't say so.
        specname: The hook, where the function is named otherwise.
    """

    def mark(target: F) -> F:
        setattr(target, PRIORITY_ATTRIBUTE, priority)
        return _mark(target, tryfirst=tryfirst, trylast=trylast, specname=specname)

    return mark if function is None else mark(function)
