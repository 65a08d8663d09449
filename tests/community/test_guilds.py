"""What Discord servers set up, kept in memory: never what held before a change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.community.conftest import HOME, Town


async def test_a_slow_read_does_not_bring_back_what_was_taken_away(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    read = town.database.read

    @asynccontextmanager
    async def slowly() -> AsyncIterator[AsyncConnection]:
        async with read() as connection:
            yield connection
            began.set()
            await go_on.wait()

    town.guilds.forget()
    monkeypatch.setattr(town.database, "read", slowly)
    late = asyncio.create_task(town.guilds.get(HOME))
    await began.wait()
    monkeypatch.setattr(town.database, "read", read)
    await town.guilds.revoke(HOME, town.main, actor="test")
    go_on.set()
    assert (await late).servers, "it was read before"
    assert (await town.guilds.get(HOME)).servers == ()
