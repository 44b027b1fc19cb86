"""Keeping a tool's misbehaviour within its call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from pydantic import ValidationError

from lash_host.domain.tool import FailureClass, ToolFailure, ToolOutput, ToolRetry
from lash_host.errors import ToolFailedError

__all__ = ["checked_output", "contained", "runtime_failure"]


def runtime_failure(message: str, *, code: str, failure_class: FailureClass) -> ToolOutput:
    """Make a failure that the host, not the tool, has found."""
    return ToolOutput.failure(message, code=code, failure_class=failure_class, source="runtime")


async def contained(run: Callable[[], Awaitable[ToolOutput]]) -> ToolOutput:
    """Run a tool; whatever it raises becomes a failure, with code ``tool_error`` unless it is a `ToolFailedError`.

    A tool that exits the interpreter is contained too, and so is one that raises `asyncio.CancelledError` although
    nobody cancelled it.

    Raises:
        asyncio.CancelledError: The task is being cancelled.
    """
    try:
        output = await run()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return ToolOutput.failure("the tool cancelled itself")
    except ToolFailedError as exc:
        retry = ToolRetry(disposition="safe" if exc.retryable else "never", after_ms=exc.retry_after_ms)
        return ToolOutput(outcome=ToolFailure(code=exc.code, message=exc.message, retry=retry))
    except (Exception, SystemExit) as exc:  # noqa: BLE001  a tool is a plugin: its failure is feedback to the model
        said = str(exc).strip()
        return ToolOutput.failure(f"{type(exc).__name__}: {said}" if said else type(exc).__name__)
    return checked_output(output)


def checked_output(output: object) -> ToolOutput:
    """Give a tool's output as it will be read back from a journal, or a failure with code ``invalid_tool_result``.

    The copy shares nothing with what the tool may go on changing.
    """
    if not isinstance(output, ToolOutput):
        return _invalid(f"the tool gave a {type(output).__name__}, not a ToolOutput")
    try:
        text = json.dumps(output.model_dump(warnings=False), allow_nan=False, ensure_ascii=False)
        return ToolOutput.model_validate_json(text.encode())
    except (TypeError, ValueError, RecursionError) as exc:
        problem = "its shape is wrong" if isinstance(exc, ValidationError) else str(exc)
        return _invalid(f"the tool's result is not JSON: {problem}")


def _invalid(problem: str) -> ToolOutput:
    return runtime_failure(problem, code="invalid_tool_result", failure_class=FailureClass.EXECUTION)
