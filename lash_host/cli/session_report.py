"""A session as `lash sessions show` tells it: as one document, and as text for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lash_host.cli.render import ago, moment_text, tokens_line
from lash_host.cli.terminal import Terminal, one_line, printable
from lash_host.contracts.store import PersistedSession
from lash_host.domain.frame import AgentFrame
from lash_host.domain.graph import SessionNode
from lash_host.domain.message import Part
from lash_host.domain.session import SessionInfo
from lash_host.domain.usage import SessionUsageReport

__all__ = ["describe_session", "print_session"]

_MOST_RESULT_LINES = 12


def describe_session(info: SessionInfo, persisted: PersistedSession, *, everything: bool) -> dict[str, Any]:
    """Give a session as a document.

    Args:
        info: What the store knows of it.
        persisted: The session as it was loaded.
        everything: Whether to list all messages that were loaded, instead of those of the current frame's active path.
    """
    path = {node.node_id for node in persisted.graph.active_path}
    nodes = [*(persisted.graph.nodes if everything else persisted.graph.active_path)]
    shown = [
        node
        for node in nodes
        if node.kind == "message" and (everything or node.frame_id == persisted.current_agent_frame_id)
    ]
    usage = SessionUsageReport.from_entries(persisted.token_ledger)
    return {
        "session_id": info.session_id,
        "parent_session_id": info.parent_session_id,
        "root_session_id": info.root_session_id,
        "title": info.title,
        "created_at": moment_text(info.created_at_us),
        "last_turn_at": moment_text(info.last_turn_at_us),
        "provider_id": persisted.policy.provider_id,
        "model": persisted.policy.model.model_id,
        "turns": info.turns,
        "head_revision": persisted.head_revision,
        "current_frame_id": persisted.current_agent_frame_id,
        "frames": [_frame(frame) for frame in persisted.agent_frames],
        "usage": usage.usage.model_dump(),
        "usage_by_source_model": [
            {"source": row.source, "model": row.model, **row.usage.model_dump(), "total_tokens": row.usage.total_tokens}
            for row in usage.by_source_model
        ],
        "messages": [_message(node, on_active_path=node.node_id in path) for node in shown],
    }


def print_session(terminal: Terminal, document: dict[str, Any], *, now: datetime) -> None:
    """Write a session's document as text."""
    created = datetime.fromisoformat(document["created_at"])
    last = document["last_turn_at"]
    last_turn = ago(None if last is None else datetime.fromisoformat(last), now=now)
    facts = {
        "session": document["session_id"],
        "parent": document["parent_session_id"],
        "title": document["title"],
        "model": f"{document['provider_id']}/{document['model']}",
        "created": ago(created, now=now),
        "last turn": last_turn,
        "turns": str(document["turns"]),
        "used": tokens_line(document["usage"]),
    }
    for name, value in facts.items():
        if value:
            terminal.write(f"{terminal.styled_out(name.ljust(11), 'dim')}{one_line(value)}\n")
    if len(document["frames"]) > 1:
        terminal.write(terminal.styled_out("\nframes\n", "bold"))
        for frame in document["frames"]:
            terminal.write(f"  {frame['frame_id']} ({frame['reason']}, {frame['status']})\n")
    for message in document["messages"]:
        _print_message(terminal, message)


def _print_message(terminal: Terminal, message: dict[str, Any]) -> None:
    origin = message["origin"]
    by = f" ({origin['kind']}{' by ' + origin['plugin_id'] if origin['plugin_id'] else ''})" if origin else ""
    aside = "" if message["on_active_path"] else " (off the active path)"
    results = all(part["kind"] == "tool_result" for part in message["parts"]) and bool(message["parts"])
    role = "tools" if results else message["role"]
    terminal.write(terminal.styled_out(f"\n{role}{by}{aside}\n", "bold"))
    for part in message["parts"]:
        for line in _part_lines(terminal, part):
            terminal.write(f"  {line}".rstrip() + "\n")


def _part_lines(terminal: Terminal, part: dict[str, Any]) -> list[str]:
    call = terminal.mark("call") if terminal.out_is_unicode else "->"
    match part["kind"]:
        case "text":
            return printable(part["text"]).splitlines()
        case "reasoning":
            return [f"({one_line(part['text'], limit=200)})"]
        case "tool_call":
            arguments = ", ".join(f"{key}={value!r}" for key, value in part["arguments"].items())
            return [f"{call} {part['tool_name']}({one_line(arguments, limit=200)})"]
        case "tool_result":
            lines = printable(part["text"]).splitlines()
            left_out = len(lines) - _MOST_RESULT_LINES
            more = [f"({left_out} more lines)"] if left_out > 0 else []
            status = " failed:" if part["is_error"] else ":"
            return [f"{part['tool_name']}{status}", *lines[:_MOST_RESULT_LINES], *more]
        case _:
            return [f"[{part['kind']}]"]


def _frame(frame: AgentFrame) -> dict[str, Any]:
    return {
        "frame_id": frame.frame_id,
        "previous_frame_id": frame.previous_frame_id,
        "status": frame.status,
        "reason": frame.reason,
        "created_at": moment_text(frame.created_at_us),
        "model": str(frame.assignment.policy.model),
    }


def _message(node: SessionNode, *, on_active_path: bool) -> dict[str, Any]:
    message = node.message
    return {
        "node_id": node.node_id,
        "frame_id": node.frame_id,
        "role": message.role.value,
        "created_at": moment_text(node.created_at_us),
        "text": message.text,
        "on_active_path": on_active_path,
        "origin": None if message.origin is None else message.origin.model_dump(),
        "parts": [_part(part) for part in message.parts],
    }


def _part(part: Part) -> dict[str, Any]:
    return part.model_dump(mode="json", exclude={"replay"})
