"""Clients to hold the stand-in against."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.standins.discord import Reply, World
from tests.standins.discord.fixtures import connector, discord_schema, discord_server, world
from tests.standins.discord.model import Json
from tests.standins.discord.selftest.raw import Raw, Wire, wire

__all__ = ["connector", "discord_schema", "discord_server", "world"]


@pytest.fixture
async def session(connector: aiohttp.TCPConnector) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session that reaches the stand-in only."""
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as made:
        yield made


@pytest.fixture
def raw(world: World, session: aiohttp.ClientSession) -> Raw:
    """The API."""
    return Raw(world, session)


@pytest.fixture
async def identified(world: World, session: aiohttp.ClientSession) -> AsyncIterator[Wire]:
    """A connection to the gateway with a session, and the first guild told."""
    async with wire(session) as connected:
        await connected.identify(world.token)
        await connected.event("GUILD_CREATE")
        yield connected


class Asked:
    """An interaction that waits for its answer.

    Attributes:
        data: of INTERACTION_CREATE.
        reply: what the user gets, once answered.
    """

    def __init__(self, data: Json, reply: asyncio.Task[Any]) -> None:
        self.data = data
        self._reply = reply

    async def reply(self) -> Reply:
        """Return what the user got."""
        reply: Reply = await self._reply
        return reply

    async def given_up(self) -> BaseException:
        """Return the error that the user ended with."""
        await asyncio.wait([self._reply])
        error = self._reply.exception()
        assert error is not None
        return error


Ask = Callable[[Awaitable[Any]], Awaitable[Asked]]


@pytest.fixture
async def ask(identified: Wire) -> AsyncIterator[Ask]:
    """Let a user do something, and return the interaction that comes of it."""
    tasks: list[asyncio.Future[Any]] = []

    async def act(doing: Awaitable[Any]) -> Asked:
        task = asyncio.ensure_future(doing)
        assert isinstance(task, asyncio.Task)
        tasks.append(task)
        event = asyncio.ensure_future(identified.event("INTERACTION_CREATE"))
        await asyncio.wait([task, event], return_when=asyncio.FIRST_COMPLETED)
        if not event.done():
            event.cancel()
            await task
        return Asked(await event, task)

    yield act
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
