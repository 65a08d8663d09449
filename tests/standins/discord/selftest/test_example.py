"""The example of the package's docstring is a test that passes, and one that notices."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.standins import discord as standin
from tests.standins.discord import World


def example(**changes: tuple[str, str]) -> Callable[[World, aiohttp.TCPConnector], Awaitable[None]]:
    """Return the docstring's test function, with some of its text replaced."""
    assert standin.__doc__ is not None
    code = re.search(r"A whole test:\n\n(.*?)\n\S", standin.__doc__, re.DOTALL)
    assert code is not None
    text = textwrap.dedent(code[1])
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    names: dict[str, Any] = {"aiohttp": aiohttp}
    exec(text, names)
    test: Callable[[World, aiohttp.TCPConnector], Awaitable[None]] = names["test_stats"]
    return test


async def test_the_example_passes(world: World, connector: aiohttp.TCPConnector) -> None:
    await example()(world, connector)
    assert [call.status for call in world.calls if call.template.endswith("callback")] == [200]


async def test_the_example_fails_with_another_answer(world: World, connector: aiohttp.TCPConnector) -> None:
    with pytest.raises(AssertionError) as raised:
        await example(answer=('f"Nothing is known of {name}."', 'f"Something is known of {name}."'))(world, connector)
    assert type(raised.value) is AssertionError
    (answer,) = [call for call in world.calls if call.template == "/webhooks/{webhook_id}/{webhook_token}"]
    assert isinstance(answer.body, dict)
    assert answer.body["content"] == "Something is known of Foo."
