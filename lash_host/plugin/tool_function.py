"""Python functions as tools: runs them with a model's arguments, and turns what comes of it into a tool output."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from lash_host.contracts.tool import ToolCallContext
from lash_host.domain.tool import (
    FailureClass,
    ToolContract,
    ToolFailure,
    ToolManifest,
    ToolOutput,
    ToolRetry,
)
from lash_host.domain.value import JsonObject
from lash_host.errors import ToolFailedError
from lash_host.plugin.tool_signature import ToolSignature, describe_validation_error

__all__ = ["FunctionTool", "FunctionToolProvider"]


class FunctionTool:
    """One function, ready to be called as a tool.

    Attributes:
        manifest: What it says of itself.
        signature: How it is called.
    """

    __slots__ = ("_function", "manifest", "signature")

    def __init__(self, function: Any, *, manifest: ToolManifest, signature: ToolSignature) -> None:
        self._function = function
        self.manifest, self.signature = manifest, signature

    async def run(self, arguments: JsonObject, context: ToolCallContext) -> ToolOutput:
        """Call the function. Whatever it raises, but a cancellation, becomes a failure.

        A synchronous function runs on a thread of its own, so that it may block.
        """
        try:
            args, kwargs = self.signature.bind(arguments, context)
        except ValidationError as exc:
            return ToolOutput.failure(
                describe_validation_error(exc), code="invalid_tool_args", failure_class=FailureClass.INVALID_REQUEST
            )
        try:
            if self.signature.is_async:
                value = await self._function(*args, **kwargs)
            else:
                value = await asyncio.to_thread(self._function, *args, **kwargs)
                if inspect.isawaitable(value):
                    value = await value
        except ToolFailedError as exc:
            retry = ToolRetry(disposition="safe" if exc.retryable else "never", after_ms=exc.retry_after_ms)
            return ToolOutput(outcome=ToolFailure(code=exc.code, message=exc.message, retry=retry))
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - any failure of a tool is feedback to the model
            return ToolOutput.failure(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__)
        return _output(value)


class FunctionToolProvider:
    """Functions as a source of tools.

    Args:
        tools: The tools. Names and ids must be unique.

    Raises:
        ValueError: Two tools have one name or one id.
    """

    def __init__(self, tools: Sequence[FunctionTool]) -> None:
        self._tools = {tool.manifest.tool_id: tool for tool in tools}
        names = [tool.manifest.name for tool in tools]
        for taken in (names, [tool.manifest.tool_id for tool in tools]):
            twice = next((word for word in taken if taken.count(word) > 1), None)
            if twice is not None:
                raise ValueError(f"two tools are called {twice!r}")

    def manifests(self) -> Sequence[ToolManifest]:
        """List the tools, in the order they were given."""
        return tuple(tool.manifest for tool in self._tools.values())

    def contract(self, tool_id: str) -> ToolContract:
        """Give a tool's schemas.

        Raises:
            KeyError: There is no such tool.
        """
        return self._tools[tool_id].signature.contract

    async def execute(self, tool_id: str, arguments: JsonObject, context: ToolCallContext) -> ToolOutput:
        """Run a tool.

        Raises:
            KeyError: There is no such tool.
        """
        return await self._tools[tool_id].run(arguments, context)


def _output(value: object) -> ToolOutput:
    if isinstance(value, ToolOutput):
        return value
    try:
        return ToolOutput.success(
            value if type(value) is str else from_json(to_json(value, by_alias=True, inf_nan_mode="strings"))
        )
    except (PydanticSerializationError, ValidationError, ValueError, RecursionError) as exc:
        return ToolOutput.failure(
            f"the tool's result, of type {type(value).__name__}, is not JSON: {' '.join(str(exc).split())}",
            code="invalid_tool_result",
            failure_class=FailureClass.INTERNAL,
        )
