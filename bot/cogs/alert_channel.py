"""Alerts in Discord: what is wrong, in the channel that a guild chose for it, with buttons to take it on or hush it.

When to tell, remind and say that it is over is for `bot.health.alerts`; each guild with a channel is one of those it
tells. A guild hears of the game servers that it sees, and of all the rest where it sees every game server that there
is, or belongs to the bot's operator.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import discord
import structlog
from discord import ui
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from bot.cards.health_work import incident_block
from bot.cogs.access import Level
from bot.cogs.alert_buttons import AlertButton, alert_buttons
from bot.cogs.alerts import sees_key
from bot.cogs.announcer_channels import REFUSED, UNREACHED, Where, find_channel, note_trouble
from bot.cogs.face import Cog, Face
from bot.cogs.panel import Tone, container
from bot.cogs.sync_scope import Sight
from bot.cogs.text import when
from bot.community.guilds import Purpose
from bot.config import ConfigError
from bot.db.engine import DatabaseError
from bot.db.schema import audit, servers
from bot.health.alerts import AlertWatch
from bot.health.incidents import Incident, MessageKind
from bot.health.notifiers import Notice, NotifyError
from bot.locales import Texts
from bot.log import Scrubber

log = structlog.get_logger()

SHOWN: Final = 8
"""Incidents that a message names; of more, only how many."""

LOOKED_THROUGH: Final = 50
"""Messages of the channel among which one that may have been sent already is looked for."""

BETWEEN_LOOKS: Final = 30.0
"""Seconds between two looks at which guilds have a channel for alerts."""

_SAID: Final = {
    MessageKind.REMINDER: "alert.several_still",
    MessageKind.RECOVERED: "alert.several_over",
}


class ChannelNotifier:
    """Tells one guild, in its own language.

    Args:
        bot: in Discord.
        guild_id: which guild.
    """

    def __init__(self, bot: Face, guild_id: int) -> None:
        self.bot = bot
        self.guild_id = guild_id
        self.name = f"discord:{guild_id}"

    async def send(self, notice: Notice) -> str | None:
        """Post; return where the message is. What the guild may not see is not told, and needs no message.

        Raises:
            NotifyError: it did not get there.
        """
        where = await self._where()
        seen = await self._seen(where, notice.incidents)
        if not seen and notice.kind is not MessageKind.TEST:
            return None
        mark = _mark(notice.key, self.guild_id)
        view = await self._view(where, notice.kind, seen, mark)
        try:
            async with asyncio.timeout(60):
                message = await self._find(where, mark)
                if message is None:
                    message = await where.channel.send(view=view, nonce=f"alert{mark}")
        except UNREACHED as error:
            raise NotifyError(f"Discord does not answer ({type(error).__name__})", transient=True) from error
        except discord.HTTPException as error:
            await self._refused(where, error)
            raise NotifyError(str(error), transient=True) from error
        await self.bot.guild_book.channel_works(self.guild_id, Purpose.ALERTS)
        return f"{where.id}/{message.id}"

    async def edit(self, reference: str, incidents: Sequence[Incident]) -> None:
        """Bring a message up to date. One that somebody deleted stays deleted.

        Raises:
            NotifyError: Discord does not answer.
        """
        channel_id, _, message_id = reference.partition("/")
        if not (channel_id.isdigit() and message_id.isdigit()):
            return
        where = await self._where()
        seen = await self._seen(where, incidents)
        if not seen:
            return
        over = all(incident.closed_at is not None for incident in seen)
        view = await self._view(where, MessageKind.RECOVERED if over else MessageKind.OPENED, seen, None)
        place = self.bot.get_partial_messageable(int(channel_id), guild_id=self.guild_id)
        try:
            async with asyncio.timeout(60):
                await place.get_partial_message(int(message_id)).edit(view=view)
        except UNREACHED as error:
            raise NotifyError(f"Discord does not answer ({type(error).__name__})", transient=True) from error
        except (discord.NotFound, discord.Forbidden):
            return  # it is gone, or in a channel that is not ours any more
        except discord.HTTPException as error:
            raise NotifyError(str(error), transient=True) from error

    async def _where(self) -> Where:
        settings = await self.bot.guild_book.get(self.guild_id)
        where = await find_channel(self.bot, settings, Purpose.ALERTS)
        if where is None:
            raise NotifyError("the channel for alerts takes no messages", transient=True)
        return where

    async def _seen(self, where: Where, incidents: Iterable[Incident]) -> list[Incident]:
        sight = await _sight(self.bot, where)
        return [incident for incident in incidents if sees_key(sight, incident.key)]

    async def _find(self, where: Where, mark: int) -> discord.Message | None:
        """Look for a message that was sent when the bot died, before its receipt was written down."""
        with contextlib.suppress(discord.Forbidden):
            async for message in where.channel.history(limit=LOOKED_THROUGH):
                if message.author == self.bot.user and any(part.id == mark for part in message.components):
                    found: discord.Message = message
                    return found
        return None

    async def _refused(self, where: Where, error: discord.HTTPException) -> None:
        if isinstance(error, (discord.Forbidden, discord.NotFound)):
            await note_trouble(self.bot, where.guild, where.settings, Purpose.ALERTS, REFUSED)

    async def _view(
        self, where: Where, kind: MessageKind, incidents: Sequence[Incident], mark: int | None
    ) -> ui.LayoutView:
        t = where.say.t
        blocks: list[str | ui.Item[Any]] = [incident_block(item, t, self.bot.mention) for item in incidents[:SHOWN]]
        if len(incidents) > SHOWN:
            command = self.bot.mention("alerts list")
            blocks.append(t("alert.more", count=len(incidents) - SHOWN, command=command))
        blocks += await self._taken_on(incidents, t)
        still = [item for item in incidents if item.closed_at is None]
        if still:
            blocks.append(alert_buttons(still[:SHOWN], t))
        red = any(item.colour == "red" for item in still)
        tone = Tone.BAD if red else Tone.CARE if still else Tone.GOOD
        box = container(title_told(kind, incidents, t), *blocks, tone=tone)
        if mark is not None:
            box.id = mark
        view: ui.LayoutView = ui.LayoutView(timeout=None)
        view.add_item(box)
        view.stop()  # its buttons are answered by their ids
        return view

    async def _taken_on(self, incidents: Sequence[Incident], t: Texts) -> list[str]:
        """Return who said that he looks after something, the last one of each."""
        since = {item.key: item.opened_at or item.began_at for item in incidents}
        query = select(audit).where(audit.c.action == "alerts.take_on", audit.c.target.in_(since)).order_by(audit.c.id)
        async with self.bot.database.read() as connection:
            rows = [row for row in await connection.execute(query) if row.at >= since[row.target]]
        people = {row.actor.removeprefix("discord:"): row.at for row in rows}
        return [t("alert.acknowledged", user=f"<@{user}>", since=when(at, "R")) for user, at in people.items()]


async def _sight(bot: Face, where: Where) -> Sight:
    """Return what may be told in a guild's channel: by what the guild may see, and all of it at the operator's."""
    async with bot.database.read() as connection:
        known = set((await connection.scalars(select(servers.c.id))).all())
    granted = {server.id for server in where.settings.servers}
    whole = where.guild.owner_id in bot.operators or (bool(granted) and known <= granted)
    return Sight(Level.ADMIN, where.settings.shown, whole, Scrubber(bot.app.settings.secrets()))


def title_told(kind: MessageKind, incidents: Sequence[Incident], t: Texts) -> str:
    """Return a message's heading."""
    if kind is MessageKind.TEST or not incidents:
        return t("alert.test")
    return t(_SAID.get(kind, "alert.several"), count=len(incidents))


def _mark(key: str, guild_id: int) -> int:
    """Return the number that tells a message from all others: the same when it is sent again."""
    found = hashlib.sha256(f"{guild_id} {key}".encode()).digest()
    return int.from_bytes(found[:4]) % (2**31 - 1000) + 1000  # the small ones are for the message's other parts


class AlertChannels(Cog):
    """Has every guild with a channel for alerts be told."""

    def __init__(self, bot: Face) -> None:
        super().__init__(bot)
        self._serving: asyncio.Task[None] | None = None
        self.watch: AlertWatch | None = None

    async def cog_load(self) -> None:
        """Begin, as soon as Discord is there."""
        try:
            self.watch = self.bot.app.watch
        except ConfigError as error:
            log.warning("nobody in Discord is told when something is wrong", reason=str(error))
            return
        self._serving = asyncio.create_task(self._serve())

    async def cog_unload(self) -> None:
        """End; what is not told yet waits for the next start."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        self._tell_only(())

    async def refresh(self) -> None:
        """Look which guilds have a channel for alerts now."""
        chosen = [
            guild.id
            for guild in self.bot.guilds
            if Purpose.ALERTS in (await self.bot.guild_book.get(guild.id)).channels
        ]
        self._tell_only(chosen)

    def _tell_only(self, guild_ids: Iterable[int]) -> None:
        if self.watch is None:
            return
        wanted = {f"discord:{number}": number for number in guild_ids}
        for name in [name for name in self.watch.notifiers if name.startswith("discord:") and name not in wanted]:
            del self.watch.notifiers[name]
        for name, number in wanted.items():
            known = self.watch.notifiers.get(name)
            if not isinstance(known, ChannelNotifier) or known.bot is not self.bot:
                self.watch.add(ChannelNotifier(self.bot, number))

    async def _serve(self) -> None:
        await self.bot.wait_until_ready()
        while True:
            try:
                await self.refresh()
            except (DatabaseError, SQLAlchemyError) as error:
                log.warning("channels for alerts are not known just now", reason=str(error).splitlines()[0])
            await asyncio.sleep(BETWEEN_LOOKS)


async def setup(bot: Face) -> None:
    """Load it; the buttons of messages from before the start work, too."""
    bot.add_dynamic_items(AlertButton)
    await bot.add_cog(AlertChannels(bot))
