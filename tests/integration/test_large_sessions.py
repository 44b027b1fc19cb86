"""What a turn costs does not depend on how long its session is."""

from __future__ import annotations

import pytest

from lash_host import EnqueueMessages, Message, PluginMessage, Role, SessionPlugin, Settings, TextPart, hookimpl, tool
from lash_host.domain import graph as graphs
from lash_host.testing import ScriptedProvider, scripted_host, text, tool_call

LONG = 2_000


def history() -> list[Message]:
    roles = (Role.USER, Role.ASSISTANT)
    return [
        Message(message_id=f"m{number}", role=roles[number % 2], parts=(TextPart(text=f"message {number}"),))
        for number in range(LONG)
    ]


class Chatty(SessionPlugin[None]):
    @tool
    async def look(self) -> str:
        """Look."""
        return "seen"

    @hookimpl
    async def lash_after_tool_call(self, context):
        return [EnqueueMessages(messages=(PluginMessage.text("note"),))]


@pytest.fixture
def work(monkeypatch) -> dict[str, int]:
    """Count what is done to whole graphs, and to single nodes."""
    done = {"walks": 0, "copies": 0, "nodes": 0, "decoded": 0}
    walk, log, take, decode = graphs.SessionGraph._walk, graphs._Log, graphs._FrameLog.take, Message.model_validate_json

    def counted(name, method):
        def call(*args, **kwargs):
            done[name] += 1
            return method(*args, **kwargs)

        return call

    monkeypatch.setattr(graphs.SessionGraph, "_walk", counted("walks", walk))
    monkeypatch.setattr(graphs, "_Log", counted("copies", log))
    monkeypatch.setattr(graphs._FrameLog, "take", counted("nodes", take))
    monkeypatch.setattr(Message, "model_validate_json", counted("decoded", decode))
    return done


async def test_a_turn_looks_at_what_it_adds_and_not_at_what_is_there(work, plugin_of, assert_sound) -> None:
    replies = [text("a"), text("b"), tool_call("look", {}), text("c"), text("d")]
    provider = ScriptedProvider(replies=replies)
    settings = Settings(model="scripted/test", compaction={"auto_share": 0})
    async with scripted_host(provider=provider, settings=settings, plugins=[plugin_of(Chatty)]) as host:
        async with host.session("s") as session:
            await session.turn("first")
            await session.append_session_nodes(history())
            await session.turn("second")
            assert len(provider.requests[-1].messages) == LONG + 3
            work.update(dict.fromkeys(work, 0))
            commits = []
            commit = host.store.commit
            host.store.commit = lambda request: commits.append(request) or commit(request)
            await session.turn("third")
            await session.turn("fourth")
            assert [len(request.graph.nodes) for request in commits] == [5, 2]
            assert work == {"walks": 0, "copies": 0, "nodes": 7, "decoded": 0}
            assert [m.text for m in session.read_view().messages[-7:]] == ["third", "", "", "note", "c", "fourth", "d"]
            await assert_sound(host, session)


async def test_a_session_is_reopened_at_the_cost_of_its_frame(work) -> None:
    async with scripted_host(text("a"), text("b"), text("c")) as host:
        async with host.session("s") as session:
            await session.turn("first")
            await session.append_session_nodes(history())
            await session.open_agent_frame("f2", initial_messages=history()[:3])
            await session.turn("second")
        async with host.session("s") as session:
            work.update(dict.fromkeys(work, 0))
            assert len(session.read_view().graph) == 5
            await session.turn("third")
            assert work["decoded"] == 5
            assert work["nodes"] <= 7
