"""Writes a request as the body of a chat completion."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, assert_never

from lash_host import (
    ImagePart,
    Message,
    ModelCallError,
    ModelRequest,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lash_host_provider_openai.answer import REPLAY_FIELD

__all__ = ["IMAGE_TYPES", "request_messages", "request_options"]

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
IMAGE_PLACEHOLDER = "[image]"

WireMessage = dict[str, Any]


def request_options(request: ModelRequest, *, max_tokens_field: str) -> dict[str, Any]:
    """Give the fields of the body besides model, messages and streaming. What is not asked for is left out."""
    options: dict[str, Any] = {}
    if request.tools:
        options["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    **({"description": tool.description} if tool.description else {}),
                    "parameters": tool.input_schema,
                },
            }
            for tool in request.tools
        ]
        options["tool_choice"] = request.tool_choice
    limits = [limit for limit in (request.output_tokens_limit, request.model.output_tokens_limit) if limit is not None]
    if request.output_tokens_limit is not None:
        options[max_tokens_field] = min(limits)
    if request.model.reasoning_effort is not None:
        options["reasoning_effort"] = request.model.reasoning_effort
    if request.output_schema is not None:
        schema = {"name": "answer", "schema": request.output_schema}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    return options


def request_messages(request: ModelRequest, *, replay_reasoning: bool) -> list[WireMessage]:
    """Give the conversation, the system prompt first.

    Raises:
        ModelCallError: An image is of a format that chat completions do not take, or its bytes are missing.
    """
    messages: list[WireMessage] = [{"role": "system", "content": request.system}] if request.system else []
    for message in request.messages:
        match message.role:
            case Role.USER | Role.EVENT:
                messages += _user(message, request.blobs)
            case Role.ASSISTANT:
                messages += _assistant(message, replay_reasoning=replay_reasoning)
            case Role.SYSTEM:
                messages += _said("system", _texts(message.parts))
            case _:
                assert_never(message.role)
    return messages


def _user(message: Message, blobs: Mapping[str, bytes]) -> Iterator[WireMessage]:
    """Tool results come first, one message each, for they must follow the calls at once; the rest comes after."""
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            yield {"role": "tool", "tool_call_id": part.call_id, "content": part.text}
    rest = [part for part in message.parts if isinstance(part, TextPart | ImagePart)]
    if any(isinstance(part, ImagePart) for part in rest):
        yield {"role": "user", "content": [_content_part(part, blobs) for part in rest]}
    else:
        yield from _said("user", _texts(rest))


def _assistant(message: Message, *, replay_reasoning: bool) -> Iterator[WireMessage]:
    calls = [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.tool_name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for call in message.tool_calls
    ]
    text = _texts(message.parts)
    if not text and not calls:
        return
    wire: WireMessage = {"role": "assistant", "content": text or None}
    if calls:
        wire["tool_calls"] = calls
    if replay_reasoning:
        wire.update(_replayed(message.parts))
    yield wire


def _replayed(parts: Iterable[Part]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in parts:
        name = part.replay.get(REPLAY_FIELD) if isinstance(part, ReasoningPart) and part.replay else None
        if isinstance(part, ReasoningPart) and isinstance(name, str):
            fields[name] = fields.get(name, "") + part.text
    return fields


def _said(role: str, text: str) -> Iterator[WireMessage]:
    if text:
        yield {"role": role, "content": text}


def _texts(parts: Sequence[Part]) -> str:
    """Join visible text. Only users can show images in this protocol; elsewhere a mark stands for one."""
    pieces: list[str] = []
    for part in parts:
        match part:
            case TextPart(text=text):
                pieces.append(text)
            case ImagePart():
                pieces.append(IMAGE_PLACEHOLDER)
            case ReasoningPart() | ToolCallPart() | ToolResultPart():
                pass
            case _:
                assert_never(part)
    return "".join(pieces)


def _content_part(part: TextPart | ImagePart, blobs: Mapping[str, bytes]) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if part.media_type not in IMAGE_TYPES:
        formats = ", ".join(sorted(IMAGE_TYPES))
        raise ModelCallError(f"images of type {part.media_type} cannot be sent; use {formats}", kind="unsupported")
    if part.blob_ref not in blobs:
        raise ModelCallError(f"the bytes of image {part.blob_ref} did not come with the request", kind="validation")
    data = base64.b64encode(blobs[part.blob_ref]).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{data}"}}
