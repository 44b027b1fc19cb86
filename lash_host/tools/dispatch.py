"""Running the tool calls of one model answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from lash_host.domain.message import ToolCallPart
from lash_host.tools.batch import BatchScene, ToolBatchContext, ToolBatchResult
from lash_host.tools.call import ToolCallRun
from lash_host.tools.catalog import ToolCatalog
from lash_host.tools.hooks import ToolHooks
from lash_host.tools.registry import ToolRegistry

__all__ = ["ToolBatchContext", "ToolBatchResult", "ToolDispatcher"]

_log = logging.getLogger(__name__)


class ToolDispatcher:
    """Runs batches of tool calls.

    Args:
        plugins: The session's plugins, whose hooks see every call.
        registry: The session's tools.
        grace_s: Real seconds that running calls have to end by themselves once the turn is cancelled.
        unwind_s: Real seconds that they then have to clean up. Who takes longer is not waited for any more.
    """

    def __init__(
        self, plugins: ToolHooks, registry: ToolRegistry, *, grace_s: float = 0.05, unwind_s: float = 1.0
    ) -> None:
        self._plugins = plugins
        self._registry = registry
        self._grace_s = grace_s
        self._unwind_s = unwind_s

    async def run_batch(
        self, calls: Sequence[ToolCallPart], *, catalog: ToolCatalog, context: ToolBatchContext
    ) -> ToolBatchResult:
        """Run the calls of one model answer, and give a result for every one of them, in their order.

        All parallel tools run first and together, then the serial ones one at a time in the order of the calls.
        Whatever tools and hooks do wrong is the result of their call. Once the turn is cancelled, running calls get a
        moment to end and are then cancelled; calls that have not begun are not run.

        A call id that comes twice is used once: the first call runs, later ones of that id fail with code
        ``duplicate_call_id``, because their tools would be handed the same idempotency key.

        Raises:
            asyncio.CancelledError: The task was cancelled; its calls are too.
            StoreError, RuntimeFault: The effect host could not do its part, such as journaling; its calls are
                cancelled.
        """
        scene = BatchScene(context=context, hooks=self._plugins, registry=self._registry, catalog=catalog)
        runs = _runs(calls, scene)
        await self._run_together([run for run in runs if not run.is_serial], context.cancelled)
        for run in runs:
            if run.is_serial:
                await self._run_together([run], context.cancelled)
        return ToolBatchResult(
            results=tuple(run.result for run in runs),
            records=tuple(run.record for run in runs),
            messages=tuple(message for run in runs for message in run.messages),
        )

    async def _run_together(self, runs: Sequence[ToolCallRun], cancelled: asyncio.Event) -> None:
        if runs and not cancelled.is_set():
            tasks = [asyncio.create_task(run.run()) for run in runs]
            try:
                await self._settle(tasks, cancelled)
            except BaseException:
                for run in runs:
                    run.abandon()
                raise
        for run in runs:
            run.cancel()

    async def _settle(self, tasks: Sequence[asyncio.Task[None]], cancelled: asyncio.Event) -> None:
        """Wait for the tasks, or until the turn is cancelled and they have ended or been given up."""
        stop = asyncio.create_task(cancelled.wait())
        pending = set(tasks)
        try:
            while pending and not cancelled.is_set():
                done, _ = await asyncio.wait((*pending, stop), return_when=asyncio.FIRST_COMPLETED)
                pending.difference_update(done)
                _raise_first(tasks)
            if pending:
                _, pending = await asyncio.wait(pending, timeout=self._grace_s)
        finally:
            stop.cancel()
            await self._cancel([task for task in tasks if not task.done()])
        _raise_first(tasks)

    async def _cancel(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        if not tasks:
            return
        for task in tasks:
            task.cancel()
            self._registry.stragglers.add(task)
            task.add_done_callback(self._end_straggler)
        _, pending = await asyncio.wait(tasks, timeout=self._unwind_s)
        if pending:
            _log.warning("%d tool calls did not end when they were cancelled; not waiting for them", len(pending))

    def _end_straggler(self, task: asyncio.Task[None]) -> None:
        self._registry.stragglers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a cancelled tool call ended with %s: %s", type(error).__name__, error)


def _runs(calls: Sequence[ToolCallPart], scene: BatchScene) -> list[ToolCallRun]:
    seen: set[str] = set()
    runs = []
    for index, part in enumerate(calls):
        runs.append(ToolCallRun(part, index=index, is_repeated=part.call_id in seen, scene=scene))
        if part.call_id:
            seen.add(part.call_id)
    return runs


def _raise_first(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Raise what a call raised. A call that cancelled its own task raised nothing."""
    errors = [error for task in tasks if task.done() and not task.cancelled() and (error := task.exception())]
    if errors:
        raise errors[0]
