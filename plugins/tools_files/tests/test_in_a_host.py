from __future__ import annotations

import asyncio

import pytest

import lash_host

pytest.importorskip("lash_host_protocol_default", reason="a session needs a protocol")


@pytest.fixture
def ask(folder, tmp_path, monkeypatch):
    """Run turns in one session of a host, and give their tool calls and texts."""
    monkeypatch.chdir(tmp_path)

    async def run(turns, options):
        async with (
            lash_host.open("duckdb:///:memory:") as host,
            host.session("s", model="offline/agent", plugin_options={"tools_files": options}) as session,
        ):
            return [await session.turn(turn) for turn in turns]

    def ask(*turns, **options):
        return asyncio.run(run(turns, {"root": str(folder), **options}))

    return ask


def test_a_model_works_on_files(ask, folder, make):
    make("README.md", "Hello from the readme.\n")
    listed, read, written = ask(
        "list the files", "read README.md", 'use the write_file tool {"path": "a/b.txt", "content": "new"}'
    )
    assert "README.md (23 bytes)" in listed.text
    assert "Hello from the readme." in read.text
    assert [call.tool_name for call in written.tool_calls] == ["write_file"]
    assert (folder / "a" / "b.txt").read_text() == "new"


def test_what_fails_is_feedback_and_not_the_end_of_a_turn(ask, outside):
    (result,) = ask('use the read_file tool {"path": "../outside/secret.txt"}')
    assert result.is_success
    assert result.tool_calls[0].output.outcome.code == "outside_root"
    assert "SECRET" not in result.text


def test_a_long_answer_reaches_the_model_with_its_marker(ask, make):
    make("long.txt", "".join(f"line {number}\n" for number in range(1000)))
    (result,) = ask("read long.txt")
    value = result.tool_calls[0].output.outcome.value
    assert value.endswith("left out: read on with offset=399]")


def test_options_that_cannot_be_used_keep_the_session_from_opening(ask):
    with pytest.raises(lash_host.InvalidPluginOptions, match="did you mean 'root'"):
        ask("list the files", rot="x")
