"""How hooks are called: one after another, chained, first answer, told, all at once, or the only one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from lash_host.domain.directive import Owned
from lash_host.errors import LashError, PluginHookError
from lash_host.plugin.answers import WrongAnswer
from lash_host.plugin.findings import describe_exception
from lash_host.plugin.registry import Implementation

__all__ = ["Dispatcher", "OnFailure"]

T = TypeVar("T")

OnFailure = Callable[[PluginHookError], None]
"""Is told of a failure that does not end anything, and logs it."""


class Dispatcher:
    """Calls the implementations of hooks, checks what they answer, and times them.

    Every failure becomes a `PluginHookError` that names the plugin and the hook. A cancellation passes untouched.

    Args:
        implementations: By hook, in the order of calling.
        timer: Gives seconds that never go back.
        on_failure: Is told of failures that are not raised.
    """

    __slots__ = ("_implementations", "_on_failure", "_timer")

    def __init__(
        self,
        implementations: Mapping[str, tuple[Implementation, ...]],
        *,
        timer: Callable[[], float],
        on_failure: OnFailure,
    ) -> None:
        self._implementations = implementations
        self._timer = timer
        self._on_failure = on_failure

    def implementations(self, hook: str) -> tuple[Implementation, ...]:
        """Give the implementations of a hook, in the order they are called in."""
        return self._implementations.get(hook, ())

    def without(self, plugin_ids: Collection[str]) -> Dispatcher:
        """Give a dispatcher that does not call these plugins."""
        kept = {
            hook: tuple(found for found in implementations if found.plugin_id not in plugin_ids)
            for hook, implementations in self._implementations.items()
        }
        return Dispatcher(kept, timer=self._timer, on_failure=self._on_failure)

    def call(self, implementation: Implementation, *arguments: Any, passes: tuple[type[LashError], ...] = ()) -> Any:
        """Call one implementation of a synchronous hook.

        Args:
            implementation: Which one.
            arguments: The hook's arguments.
            passes: Errors that are raised as they are.

        Raises:
            PluginHookError: It raised, or answered something the hook does not allow.
        """
        started = self._timer()
        try:
            return implementation.check(implementation.call(*arguments))
        except passes:
            implementation.counter.errors += 1
            raise
        except (Exception, SystemExit) as exc:
            raise _failure(implementation, exc) from exc
        finally:
            implementation.counter.record(self._timer() - started)

    async def call_async(self, implementation: Implementation, *arguments: Any) -> Any:
        """Call one implementation of an asynchronous hook; it may be a plain function.

        Raises:
            PluginHookError: It raised, answered something the hook does not allow, or cancelled itself.
        """
        started = self._timer()
        try:
            answer = implementation.call(*arguments)
            if inspect.isawaitable(answer):
                answer = await answer
            return implementation.check(answer)
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise _failure(implementation, exc) from exc
        except (Exception, SystemExit) as exc:
            raise _failure(implementation, exc) from exc
        finally:
            implementation.counter.record(self._timer() - started)

    def collect(self, hook: str, *arguments: Any) -> list[tuple[str, Any]]:
        """Call all, one after another, and gather what each gives, with its plugin id. The first failure ends it.

        Raises:
            PluginHookError: One failed.
        """
        return [(found.plugin_id, self.call(found, *arguments)) for found in self.implementations(hook)]

    async def collect_async(self, hook: str, *arguments: Any) -> list[tuple[str, Any]]:
        """Do as `collect` for an asynchronous hook."""
        return [(found.plugin_id, await self.call_async(found, *arguments)) for found in self.implementations(hook)]

    def chain(self, hook: str, value: T, *arguments: Any) -> T:
        """Call all, one after another; each gets as its last argument what the one before gave.

        Raises:
            PluginHookError: One failed.
        """
        for found in self.implementations(hook):
            value = self.call(found, *arguments, value)
        return value

    async def chain_async(self, hook: str, value: T, *arguments: Any, skip_failing: bool = False) -> T:
        """Do as `chain` for an asynchronous hook.

        Args:
            hook: Its name.
            value: What the first one gets.
            arguments: What they all get before it.
            skip_failing: Go on with a failing one's input instead of raising.
        """
        for found in self.implementations(hook):
            try:
                value = await self.call_async(found, *arguments, value)
            except PluginHookError as exc:
                if not skip_failing:
                    raise
                self._on_failure(exc)
        return value

    async def first(self, hook: str, *arguments: Any, is_empty: Callable[[Any], bool]) -> Owned[Any] | None:
        """Call one after another until one gives something; None where nobody does.

        Raises:
            PluginHookError: One failed before anybody gave something.
        """
        for found in self.implementations(hook):
            answer = await self.call_async(found, *arguments)
            if answer is not None and not is_empty(answer):
                return Owned(found.plugin_id, answer)
        return None

    async def notify(self, hook: str, *arguments: Any, skip_failing: bool = False) -> None:
        """Tell all, one after another.

        Args:
            hook: Its name.
            arguments: What they are told.
            skip_failing: Report failures and go on, instead of raising the first.

        Raises:
            PluginHookError: One failed.
        """
        for found in self.implementations(hook):
            try:
                await self.call_async(found, *arguments)
            except PluginHookError as exc:
                if not skip_failing:
                    raise
                self._on_failure(exc)

    async def concurrent(self, hook: str, *arguments: Any) -> None:
        """Tell all at once and wait until the last is done. Failures are reported, never raised."""
        found = self.implementations(hook)
        if found:
            async with asyncio.TaskGroup() as tasks:
                for implementation in found:
                    tasks.create_task(self._tell(implementation, *arguments))

    def single(self, hook: str) -> Implementation | None:
        """Give the only implementation of a singleton hook; None where there is none."""
        found = self.implementations(hook)
        return found[0] if found else None

    async def _tell(self, implementation: Implementation, *arguments: Any) -> None:
        try:
            await self.call_async(implementation, *arguments)
        except PluginHookError as exc:
            self._on_failure(exc)


def _failure(implementation: Implementation, exc: BaseException) -> PluginHookError:
    implementation.counter.errors += 1
    problem = str(exc) if isinstance(exc, WrongAnswer) else describe_exception(exc)
    return PluginHookError(plugin_id=implementation.plugin_id, hook=implementation.hook, problem=problem)
