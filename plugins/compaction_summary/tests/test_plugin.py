"""Compaction in a host; the host's own tests have more."""

from __future__ import annotations

import asyncio

import pytest

from lash_host import InvalidPluginOptions
from lash_host.testing import ScriptedProvider, scripted_host, text

PLUGINS = ["compaction_summary"]


def test_a_long_part_is_summarized_in_pieces_that_build_on_each_other() -> None:
    async def main() -> None:
        replies = [text("a " * 2000), text("b " * 2000), text("c"), text("part one"), *[text("more parts")] * 9]
        provider = ScriptedProvider(replies=replies, context_window_tokens=3000)
        async with scripted_host(provider=provider, plugins=PLUGINS) as host, host.session("s") as session:
            for number in range(3):
                await session.turn(f"question {number}")
            options = {"keep_user_messages": 1}
            async with host.session("s", plugin_options={"compaction_summary": options}) as compacted:
                assert await compacted.compact_context()
                said = [message.text for message in compacted.read_view().messages]
        summarizing = [r.messages[0].text for r in provider.requests[3:]]
        assert len(summarizing) >= 2
        assert "part one" in summarizing[1]
        assert said[1:] == ["question 2", "c"]

    asyncio.run(main())


def test_wrong_options_fail_the_opening() -> None:
    async def main() -> None:
        async with scripted_host(plugins=PLUGINS) as host:
            with pytest.raises(InvalidPluginOptions, match="keep_user_messages"):
                await host.session("s", plugin_options={"compaction_summary": {"keep_user_messages": 0}})

    asyncio.run(main())
