"""offline/agent: a deterministic stand-in for a language model, which calls the tools it is told to call.

It knows four things: to call tools that the last user message asks for (`offline_plan`), to answer from their results,
to quote what the user said before, and to list a conversation that it is asked to summarize. Everything else gets an
answer that says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from lash_host.domain.message import Message, Role, TextPart, ToolCallPart, ToolResultPart
from lash_host.domain.model import ModelRequest
from lash_host.providers.offline_plan import PlannedCall, plan_calls
from lash_host.providers.offline_quoting import quote_result, shortened

__all__ = ["agent_parts", "call_id", "last_user_text"]

DISCLAIMER = "(offline/agent is a deterministic stand-in, not a language model.)"

_EARLIER = re.compile(
    r"\bwhat (?:did|have|had) i (?:ask|say|said|tell|told|write|written|want)"
    r"|\b(?:my|the) (?:previous|last|earlier|first|prior) (?:question|message|prompt|request|input|thing i)"
    r"|\bwhat i (?:asked|said|told|wrote)\b",
    re.IGNORECASE,
)
_ONLY_LAST = re.compile(r"\b(?:previous|last|prior) (?:question|message|prompt|request|input|thing)\b", re.IGNORECASE)
_ONLY_FIRST = re.compile(r"\bfirst (?:question|message|prompt|request|input|thing)\b", re.IGNORECASE)
_SUMMARY_ASKED = re.compile(r"\bsummar", re.IGNORECASE)
_TRANSCRIPT_LINE = re.compile(r"(?:user|assistant|tools?): ", re.IGNORECASE)
_USER_LINE = re.compile(r"^user: (.*[^:\s])\s*$", re.IGNORECASE | re.MULTILINE)
"""What the user said, in a summary; a line that ends with a colon is the heading of an earlier summary."""
_QUOTED_MESSAGES = 20
_SUMMARY_LINES = 40


def agent_parts(request: ModelRequest) -> tuple[TextPart | ToolCallPart, ...]:
    """Give the answer: the next tool calls that were asked for and not made yet, else text."""
    asked_at = _last_user_index(request.messages)
    text = request.messages[asked_at].text if asked_at is not None else ""
    since = request.messages[asked_at + 1 :] if asked_at is not None else request.messages
    if not request.tools and _SUMMARY_ASKED.search(f"{request.system[:200]}\n{text}"):
        return (TextPart(text=_summary(request.messages, asked_at)),)
    calls = [] if request.tool_choice == "none" else _next_calls(request, text, since)
    if calls:
        return tuple(
            ToolCallPart(
                call_id=call_id(request, index),
                tool_name=call.tool_name,
                arguments=call.arguments,
                arguments_error=call.arguments_error,
            )
            for index, call in enumerate(calls)
        )
    before = request.messages[:asked_at] if asked_at is not None else ()
    answer = _answer(request, text, before=before, since=since)
    if not any(message.role is Role.ASSISTANT for message in before):
        answer = f"{answer}\n\n{DISCLAIMER}"
    return (TextPart(text=answer),)


def last_user_text(messages: Sequence[Message]) -> str:
    """Give what the user said last; empty where nothing was said."""
    index = _last_user_index(messages)
    return "" if index is None else messages[index].text


def _last_user_index(messages: Sequence[Message]) -> int | None:
    """Find the user's last words; what a plugin put in counts only where the user said nothing at all."""
    said = [index for index, message in enumerate(messages) if message.role is Role.USER and message.text.strip()]
    own = [index for index in said if messages[index].origin is None]
    return (own or said)[-1] if said else None


def _next_calls(request: ModelRequest, text: str, since: Sequence[Message]) -> list[PlannedCall]:
    made = [(call.tool_name, call.arguments) for message in since for call in message.tool_calls]
    for batch in plan_calls(text, request.tools):
        calls = [call for call in batch if (call.tool_name, call.arguments) not in made]
        if calls:
            return calls
    if request.tool_choice == "required" and request.tools and not made:
        return [PlannedCall(tool_name=request.tools[0].name, arguments={})]
    return []


def call_id(request: ModelRequest, index: int) -> str:
    """Name a call: the same when the request is sent again, and different from every other call of the session."""
    scope = request.scope
    name = f"{scope.session_id}\0{scope.idempotency_key}\0{len(request.messages)}\0{index}"
    return f"call_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _answer(request: ModelRequest, text: str, *, before: Sequence[Message], since: Sequence[Message]) -> str:
    sections: list[str] = []
    if _EARLIER.search(text):
        sections.append(_earlier(text, before))
    arguments = {call.call_id: call.arguments for message in since for call in message.tool_calls}
    results = [part for message in since for part in message.parts if isinstance(part, ToolResultPart)]
    sections += [_about_result(part, arguments.get(part.call_id, {}), text) for part in results]
    return "\n\n".join(sections) or _no_tool_asked(request, text)


def _about_result(part: ToolResultPart, arguments: object, question: str) -> str:
    shown = json.dumps(arguments, ensure_ascii=False, sort_keys=True) if arguments else ""
    call = f"{part.tool_name}({shortened(shown, 120)})"
    if part.is_error:
        return f"{call} failed: {part.text}"
    return f"{call} gave{quote_result(part.text, question)}"


def _no_tool_asked(request: ModelRequest, text: str) -> str:
    said = f"You said: “{shortened(text, 200)}”. " if text.strip() else ""
    if not request.tools:
        return f"{said}This session has no tools, and without one I can do nothing with that."
    names = ", ".join(tool.name for tool in request.tools)
    return (
        f"{said}I can only call tools, and this asks for none that I recognize. "
        f"I could use: {names}. Say for example “use the {request.tools[0].name} tool”, with what it needs."
    )


def _earlier(text: str, before: Sequence[Message]) -> str:
    asked = _user_texts(before)
    if not asked:
        return "You asked nothing before this, as far as this conversation shows."
    if _ONLY_FIRST.search(text):
        return f"Your first message was: “{shortened(asked[0], 500)}”"
    if _ONLY_LAST.search(text) or len(asked) == 1:
        return f"Before this you asked: “{shortened(asked[-1], 500)}”"
    recent = asked[-_QUOTED_MESSAGES:]
    lines = [f"{number}. “{shortened(one, 200)}”" for number, one in enumerate(recent, len(asked) - len(recent) + 1)]
    return "Before this you asked:\n" + "\n".join(lines)


def _user_texts(messages: Sequence[Message]) -> list[str]:
    """Give what the user said, oldest first, and what a summary made here says that the user said."""
    texts: list[str] = []
    for message in messages:
        if message.role is Role.USER and message.origin is None and message.text.strip():
            texts.append(message.text)
        elif message.origin is not None and message.origin.kind in {"compaction", "plugin"}:
            texts += _USER_LINE.findall(message.text)
    return texts


def _summary(messages: Sequence[Message], asked_at: int | None) -> str:
    """List who said what, a line each.

    Where the order to summarize is all there is, its own lines are listed: those of a transcript ("user: ...") if it
    holds one.
    """
    names = {Role.USER: "User", Role.ASSISTANT: "Assistant"}
    order = asked_at if asked_at is not None and _SUMMARY_ASKED.search(messages[asked_at].text) else None
    told = [message for index, message in enumerate(messages) if index != order and message.role in names]
    lines = [f"{names[message.role]}: {shortened(message.text, 200)}" for message in told if message.text.strip()]
    if not lines and order is not None:
        own = [shortened(line, 200) for line in messages[order].text.splitlines() if line.strip()]
        lines = [line for line in own if _TRANSCRIPT_LINE.match(line)] or own
    left_out = len(lines) - _SUMMARY_LINES
    note = [f"({left_out} earlier lines left out)"] if left_out > 0 else []
    return "\n".join([*note, *lines[-_SUMMARY_LINES:]]) or "There was nothing to summarize."
