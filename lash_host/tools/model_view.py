"""What a model is shown of a tool call's result."""

from __future__ import annotations

from collections.abc import Sequence

from lash_host.domain.message import ImagePart, Part, ToolResultPart
from lash_host.domain.projection import default_model_text, fit_budget
from lash_host.errors import PluginHookError
from lash_host.hookspecs.tool_call import ToolProjectionContext
from lash_host.tools.hooks import ToolHooks

__all__ = ["model_parts"]


def model_parts(hooks: ToolHooks, context: ToolProjectionContext) -> tuple[Part, ...]:
    """Give the parts of a result that the model sees: exactly one tool result of this call, and perhaps images.

    They are what the session's projector makes of the output, or else its text within the budget. Several tool
    results become one; where the projector gives none, an empty one stands for it. A projector that fails, or gives
    other parts than it may, is answered for: the model sees what is wrong.
    """
    try:
        projected = hooks.project_tool_result(context)
    except PluginHookError as exc:
        return (_result(context, str(exc), is_error=True),)
    if projected is None:
        text, is_error = default_model_text(context.output)
        return (_result(context, fit_budget(text), is_error=is_error),)
    stray = next((part for part in projected if not _may_be_shown(part, context)), None)
    if stray is not None:
        problem = f"lash_project_tool_result gave a part of kind {stray.kind!r} that does not belong to this call"
        return (_result(context, problem, is_error=True),)
    return _with_one_result(context, projected)


def _result(context: ToolProjectionContext, text: str, *, is_error: bool) -> ToolResultPart:
    return ToolResultPart(call_id=context.call_id, tool_name=context.tool_name, text=text, is_error=is_error)


def _may_be_shown(part: Part, context: ToolProjectionContext) -> bool:
    return isinstance(part, ImagePart) or (isinstance(part, ToolResultPart) and part.call_id == context.call_id)


def _with_one_result(context: ToolProjectionContext, parts: Sequence[Part]) -> tuple[Part, ...]:
    """Join tool results: a second result of one call would make the conversation unusable."""
    results = [part for part in parts if isinstance(part, ToolResultPart)]
    images = [part for part in parts if isinstance(part, ImagePart)]
    if len(results) == 1:
        return tuple(parts)
    text = "\n".join(result.text for result in results) or ("(see the image)" if images else "(no output)")
    is_error = any(result.is_error for result in results) if results else not context.output.is_success
    return (_result(context, text, is_error=is_error), *images)
