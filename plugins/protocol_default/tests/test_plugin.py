"""The default protocol in a host."""

from __future__ import annotations

import asyncio

import pytest

from lash_host import InvalidPluginOptions, ProtocolTurnOptions, TurnInput
from lash_host.testing import ScriptedProvider, scripted_host, text


def test_options_reach_the_prompt_and_a_turn_may_override_them() -> None:
    async def main() -> None:
        provider = ScriptedProvider(replies=[text("a"), text("b")])
        async with scripted_host(provider=provider) as host:
            options = {"protocol_default": {"instructions": "Speak French.", "tool_choice": "none"}}
            async with host.session("s", plugin_options=options) as session:
                await session.turn("hi")
                override = ProtocolTurnOptions(payload={"tool_choice": "auto"})
                items = ({"kind": "text", "text": "again"},)
                await session.turn(TurnInput(items=items, protocol_turn_options=override))
        assert [request.tool_choice for request in provider.requests] == ["none", "auto"]
        assert all("Speak French." in request.system for request in provider.requests)

    asyncio.run(main())


def test_options_of_a_turn_that_are_wrong_are_invalid_input() -> None:
    async def main() -> None:
        async with scripted_host() as host, host.session("s") as session:
            wrong = ProtocolTurnOptions(payload={"tool_choice": "sometimes"})
            items = ({"kind": "text", "text": "hi"},)
            result = await session.turn(TurnInput(items=items, protocol_turn_options=wrong))
        assert (result.stop_reason, result.issues[-1].code) == ("invalid_input", "invalid_turn_options")
        assert result.issues[-1].plugin_id == "protocol_default"

    asyncio.run(main())


def test_options_of_a_session_that_are_wrong_fail_its_opening() -> None:
    async def main() -> None:
        async with scripted_host() as host:
            with pytest.raises(InvalidPluginOptions, match="instruction"):
                await host.session("s", plugin_options={"protocol_default": {"instruction": "typo"}})

    asyncio.run(main())
