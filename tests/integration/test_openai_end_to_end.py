"""The main job over a real socket: `provider_openai` against a local server that speaks chat completions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lash_host
from lash_host import InputImage, InputText, MissingCredential, Settings
from lash_host.testing import ManualClock
from lash_host.testing.openai_server import ChatReply, ErrorReply, FakeOpenAIServer, FakeToolCall

PNG = bytes.fromhex("89504e470d0a1a0a") + b"picture"
PLUGINS = ["protocol_default", "provider_openai", "tools_files"]


async def test_a_session_uses_tools_and_goes_on_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text("# Two commands: make it, test it\n")
    monkeypatch.chdir(tmp_path)
    settings = Settings(model="openai/gpt-5.2")
    store = tmp_path / "s.duckdb"
    call = FakeToolCall(name="read_file", arguments=json.dumps({"path": "README.md"}))
    replies = [ChatReply(tool_calls=[call]), ChatReply(text=["make it", ", ", "test it"]), ChatReply(text="You asked.")]
    with FakeOpenAIServer(*replies) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        async with lash_host.open(store, settings=settings, plugins=PLUGINS) as host:
            async with host.session("demo") as session:
                prose = []
                async for activity in session.stream("What are the two commands?"):
                    if activity.kind == "assistant_prose_delta":
                        prose.append(activity.text)
                assert activity.result.text == "make it, test it" == "".join(prose)
                assert activity.result.tool_calls[0].output.is_success
        async with lash_host.open(store, settings=settings, plugins=PLUGINS) as host:
            async with host.session("demo") as session:
                assert (await session.turn("What did I ask?")).text == "You asked."
                spent = session.usage_report().usage
            rows = host.usage.sql("select provider_id, model, sum(total_tokens) from usage.model_calls group by all")
            assert rows.fetchall() == [("openai", "gpt-5.2", spent.total_tokens)]
        asked = server.requests[-1].body["messages"]
        assert [m["role"] for m in asked] == ["system", "user", "assistant", "tool", "assistant", "user"]
        assert "Two commands" in asked[3]["content"]


async def test_images_are_stored_once_and_sent_again_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(model="openai/gpt-5.2")
    with FakeOpenAIServer(ChatReply(text="a picture"), ChatReply(text="still that")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        for turn_input in ([InputText(text="look"), InputImage(data=PNG, media_type="image/png")], "and now?"):
            async with lash_host.open(tmp_path / "s.duckdb", settings=settings, plugins=PLUGINS) as host:
                await (await host.session("pictures")).turn(turn_input)
        urls = [
            part["image_url"]["url"]
            for request in server.requests
            for message in request.body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image_url"
        ]
        assert len(urls) == 2
        assert urls[0] == urls[1]


async def test_rate_limits_wait_as_long_as_the_server_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(auto_advance=True)
    limited = ErrorReply(status=429, body={"error": {"message": "slow down"}}, headers={"Retry-After": "7"})
    with FakeOpenAIServer(limited, ChatReply(text="there")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        settings = Settings(model="openai/gpt-5.2")
        async with lash_host.open("duckdb:///:memory:", settings=settings, plugins=PLUGINS, clock=clock) as host:
            async with host.session("s") as session:
                assert (await session.turn("hi")).text == "there"
    assert 7.0 in clock.slept


async def test_a_missing_key_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(model="openai/gpt-5.2")
    async with lash_host.open("duckdb:///:memory:", settings=settings, plugins=PLUGINS) as host:
        async with host.session("s") as session:
            with pytest.raises(MissingCredential, match="OPENAI_API_KEY"):
                await session.turn("hi")
