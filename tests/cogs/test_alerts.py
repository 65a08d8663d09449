"""/alerts: what is wrong is listed with what to do, telling is tried, and what nobody wants to hear is muted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.db.schema import processed_files
from bot.health.incidents import list_incidents, list_mutes
from tests.cogs.copies import House, a_house, told
from tests.standins.discord import DiscordServer, World


@pytest.fixture
async def house(
    tmp_path: Path, database_url: str, discord_server: DiscordServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """A game server with files that failed too often, which the watch has seen and told."""
    async with a_house(tmp_path, database_url, discord_server, world, monkeypatch) as made, made.live():
        await made.done("poll")
        await made.move_in()
        async with made.app.database.write() as connection:
            await connection.execute(update(processed_files).values(state="failed", next_try_at=None, reason="torn"))
        for _ in range(4):
            await made.app.watch.check()
        assert "server:main:parked" in {item.key for item in await list_incidents(made.app.database)}
        yield made


async def test_what_is_wrong_is_listed_with_what_to_do(house: House) -> None:
    reply = await house.admin.slash("alerts list")
    assert "**server main**: files failed too often and wait for a person" in reply.text
    assert "open since <t:" in reply.text
    assert "</sync failed:" in reply.text
    assert "`server:main:parked`" in reply.text


async def test_telling_is_tried(house: House) -> None:
    reply = await told(await house.admin.slash("alerts test"))
    assert "🟢 **log**: sent" in reply.text
    assert "Only the log is told" in reply.text
    assert await house.audited("alerts.test") == [(f"discord:{house.admin.id}", "all")]


async def test_what_nobody_wants_to_hear_is_muted_and_heard_again(house: House) -> None:
    (offered, *_) = await house.admin.autocomplete("alerts mute", key="server:main:p")
    assert offered.value == "server:main:parked"
    done = await house.admin.slash("alerts mute", key=offered.value, duration="6 hours")
    assert "`server:main:parked` is muted until <t:" in done.text
    now = house.world.clock.now()
    (mute,) = await list_mutes(house.app.database, now)
    assert mute.actor == f"discord:{house.admin.id}"
    assert mute.until_at is not None
    assert abs(mute.until_at - now - 6 * 3600) < 60
    assert "🔕 `server:main:parked`" in (await house.admin.slash("alerts list")).text
    (muted,) = await house.admin.autocomplete("alerts unmute", key="")
    assert muted.value == "server:main:parked"
    lifted = await house.admin.slash("alerts unmute", key=muted.value)
    assert "You hear of" in lifted.text
    assert "was not muted" in (await house.admin.slash("alerts unmute", key=muted.value)).text
    assert await list_mutes(house.app.database, now) == []
    me = f"discord:{house.admin.id}"
    assert await house.audited("alerts.mute") == [(me, "server:main:parked")]
    assert await house.audited("alerts.unmute") == [(me, "server:main:parked")]
