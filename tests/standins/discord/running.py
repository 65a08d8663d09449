"""Running a bot for as long as a test needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import discord

from tests.standins.discord.world import World

__all__ = ["running"]

Client = TypeVar("Client", bound=discord.Client)


@asynccontextmanager
async def running(client: Client, world: World, *, within: float = 10.0) -> AsyncIterator[Client]:
    """Start a bot, wait until it is ready, and close it in the end.

    Args:
        client: made with `connector=`, and best with `guild_ready_timeout=0.05`, which is 2 s otherwise.
        world: whose token it logs in with.
        within: seconds until it has to be ready.

    Raises:
        Exception: whatever ended the bot, at the start or while it ran.
    """
    run = asyncio.create_task(client.start(world.token))
    try:
        # A client can be asked to wait only once it has logged in.
        connected = asyncio.create_task(world.run_async(world.wait_until(lambda: world.gateway.connected, within)))
        await asyncio.wait({run, connected}, return_when=asyncio.FIRST_COMPLETED)
        connected.cancel()
        if not run.done():
            ready = asyncio.create_task(client.wait_until_ready())
            await asyncio.wait({run, ready}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
        if run.done():
            await run
        assert client.is_ready(), f"the bot was not ready within {within} s"
        yield client
        if run.done():
            await run
        await world.settle_open_interactions()
    finally:
        if not client.is_closed():
            await client.close()
        await asyncio.gather(run, return_exceptions=True)
