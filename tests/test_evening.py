"""One evening, told from its first round to the repair after it, with every part real but Discord itself.

discord.py as it is, against the stand-in; the bot as `run` starts it; a game server over SFTP; a bucket over S3.
"""

from __future__ import annotations

from pathlib import Path

from tests.cogs.copies import told
from tests.cogs.gaming import private
from tests.standins.discord import DiscordServer, Permission, World
from tests.standins.discord.fixtures import discord_server, world
from tests.standins.evening import DESTINATION, SERVER, an_evening
from tests.standins.objectstores import Answer

__all__ = ["discord_server", "world"]


async def test_an_evening(tmp_path: Path, discord_server: DiscordServer, world: World) -> None:
    async with an_evening(tmp_path, discord_server, world) as evening:
        boss = world.user("boss", permissions=Permission.MANAGE_GUILD)
        await evening.set_up()
        archive = evening.app.pollers[SERVER].archive.folder

        # Last week's rounds came in with the start. They are history: nothing is said of them.
        assert len(list(archive.glob("*-round-?.txt"))) > 4
        assert evening.posted() == []

        # The first round of the evening ends, and is told; the second one makes it a map, by an edit.
        (first,) = await evening.plays()
        await evening.until(lambda: len(evening.posted()) == 1, "a round is told")
        (message,) = evening.posted()
        assert first.truth.map_name.replace("_", "\\_") in message.text
        assert "Round 1" in message.text
        await evening.plays()
        await evening.until(lambda: "2nd attack" in message.text, "the map is told")
        assert len(evening.posted()) == 1

        # The evening goes on. Each map gets its message, each file its copy in the bucket.
        played = await evening.plays(4)
        await evening.until(lambda: len(evening.posted()) == 3, "two more maps are told")
        copier = evening.app.mirrors.copiers[DESTINATION]
        await copier.cycle(asked=True)
        (stored,) = await evening.app.mirrors.status()
        assert stored.stored == stored.expected
        assert stored.stored.files > 10

        # A member asks on the phone.
        anna = world.user("anna")
        last = await anna.slash("last")
        assert "3 maps, 6 rounds" in last.text
        assert last.files[0].data.startswith(b"\x89PNG")
        best = max(played[-1].truth.players.values(), key=lambda player: player.kills)
        await evening.until(lambda: bool(evening.bot.index.players), "names are known")
        (choice, *_) = await anna.autocomplete("player", player=best.name)
        player = await anna.slash("player", player=choice.value)
        assert player.files[0].description
        board = await anna.slash("leaderboard", metric="dpm")
        assert board.files
        scores = await private(await message.click("Scoreboard", by=anna))
        assert scores.ephemeral

        # The bucket goes down. The admins hear of it once, and take it on; the evening is not held up.
        evening.bucket.on(lambda _: True, Answer(503))
        await evening.plays(2)
        await evening.until(lambda: len(evening.posted()) == 4, "a map is told although the bucket is down")
        for _ in range(4):
            await copier.cycle(asked=True)
            evening.pass_time(minutes=10)
            await evening.look()
        (alert,) = evening.posted(evening.alerts)
        assert DESTINATION.replace("_", "\\_") in alert.text
        taken = await alert.click("I look after it", by=boss)
        assert boss.mention in taken.text
        status = await boss.slash("sync status")
        assert DESTINATION.replace("_", "\\_") in status.text

        # It comes back. What waited is sent, and they hear that it is over.
        evening.bucket.heal()
        await copier.cycle(asked=True)
        evening.pass_time(minutes=1)
        await evening.look()
        evening.pass_time(hours=1)  # meanwhile the evening ends
        await evening.look(2)
        await evening.until(lambda: "All well again" in alert.text, "the alert is over")
        (stored,) = await evening.app.mirrors.status()
        assert stored.stored == stored.expected

        # Nobody plays on: the evening is summed up once, with its picture.
        evening.pass_time(minutes=30)
        await evening.announce()
        assert len(evening.posted()) == 5
        summary = evening.posted()[-1]
        assert "4 maps, 8 rounds" in summary.text
        assert summary.files[0].description
        assert best.name.split()[0][:3] in summary.files[0].description

        # The disk loses two files of the archive. An admin looks, sees which, and brings them back.
        lost = sorted(archive.glob("*-round-1.txt"))[:2]
        for path in lost:
            path.unlink()
        found = await told(await boss.slash("sync diagnose"))
        assert lost[0].name in "".join(file.data.decode() for file in found.files) + found.text
        asked = await told(await boss.slash("sync restore"))
        await asked.click(asked.buttons[0].label or "")
        await evening.until(lambda: all(path.exists() for path in lost), "they are back")

        # All that was said was said once, and nobody was called.
        assert len(evening.posted()) == 5
        assert [text.text.splitlines()[0] for text in evening.posted(evening.alerts)][-1] == "### All well again"
