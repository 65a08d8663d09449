"""Announcements on their way to Discord: drawn, sent once, found again after a crash, and edited.

Before Discord is asked the database says so (`bot.community.posts`). A post that was being sent when the bot died, or
whose answer got lost, is looked for in the channel: the id of its button holds its nonce. What is not there is sent
again with the same nonce, of which Discord makes one message for some minutes.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import discord
import structlog
from discord import ui

from bot.cards.picture import CardError, CardOptions, Picture
from bot.cards.session import session_card
from bot.cards.texts import session_told
from bot.cogs.announcer_buttons import news_button
from bot.cogs.announcer_channels import REFUSED, UNREACHED, Where, note_trouble
from bot.cogs.announcer_texts import match_news, pointer_news
from bot.cogs.answers import Card
from bot.cogs.face import Face
from bot.cogs.panel import Tone, container
from bot.community.announcements import MATCH, Announcements, Change, Due, Subject, Verdict
from bot.community.guilds import Purpose
from bot.community.posts import Post
from bot.community.privacy import hidden_keys
from bot.stats.errors import NotFoundError
from bot.stats.hiding import ids_of_keys, without
from bot.stats.matches import match_answer
from bot.stats.sessions import session_answer

log = structlog.get_logger()

PATIENCE: Final = 60.0
"""Seconds for one request to Discord, with all the tries that discord.py makes of it."""

LOOKED_THROUGH: Final = 200
"""Messages of a channel among which a post is looked for."""

UNKNOWN_MESSAGE: Final = 10008
TOO_MANY_OLD_EDITS: Final = 30046
"""Discord's code where a message older than an hour was edited too often lately."""

FOUND: Final = "found after a crash"
"""Digest of a post whose message was found: what it shows is not known, so it is edited once."""


class HoldError(Exception):
    """Nothing more can be posted in this guild for now."""


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts in one channel."""

    bot: Face
    news: Announcements
    where: Where

    # ------------------------------------------------------------------ new messages

    async def post(self, due: Due) -> bool:
        """Do with a post what is to be done; return whether a message came of it.

        Raises:
            HoldError: Discord does not answer, or lets nothing through; the post waits.
        """
        posts, post = self.news.posts, due.post
        if due.verdict is Verdict.LATER:
            await posts.put_off(post.id, due.at)
            return False
        if due.verdict is Verdict.DROP or due.subject is None:
            await posts.dropped(post.id, due.reason)
            return False
        async with self._troubles(post):
            if post.state == "sending" and (message := await self._find(post)) is not None:
                await posts.sent(post.id, message.id, FOUND)
                return True
            card = await self._card(post, due.subject)
            if card is None:
                await posts.dropped(post.id, "its rounds are gone")
                return False
            await posts.sending(post.id, self.where.id)
            async with asyncio.timeout(PATIENCE):
                message = await self.where.channel.send(**card.as_new(), nonce=post.nonce)
            await posts.sent(post.id, message.id, due.subject.digest)
            await self.bot.guild_book.channel_works(self.where.guild.id, Purpose.ANNOUNCEMENTS)
            return True
        return False

    async def _find(self, post: Post) -> discord.Message | None:
        """Look for a post that may be there already."""
        place = self.bot.get_partial_messageable(post.channel_id, guild_id=self.where.guild.id)
        try:
            async with asyncio.timeout(PATIENCE):
                async for message in place.history(limit=LOOKED_THROUGH):
                    if message.created_at.timestamp() < post.created_at - 60:
                        return None
                    if message.author == self.bot.user and is_of(message, post.nonce):
                        return message
        except (discord.NotFound, discord.Forbidden):
            return None  # the channel is gone, or not to be read: the nonce has to do
        return None

    @asynccontextmanager
    async def _troubles(self, post: Post) -> AsyncIterator[None]:
        """Write down what became of a post that did not get through."""
        posts = self.news.posts
        try:
            yield
        except UNREACHED as error:
            await posts.waits(post, f"Discord does not answer: {error or type(error).__name__}", doubtful=True)
            raise HoldError from error
        except (discord.Forbidden, discord.NotFound) as error:
            await posts.waits(post, str(error), doubtful=False)
            await self._refused()
            raise HoldError from error
        except discord.HTTPException as error:
            if error.status == 429:
                await posts.waits(post, str(error), doubtful=False)
                raise HoldError from error
            # Something of ours that Discord does not take: tried again a few times, since it may be repaired.
            log.error("Discord refuses an announcement", post=post.id, kind=post.kind, key=post.key, reason=str(error))
            await posts.failed(post.id, str(error))

    async def _refused(self) -> None:
        where = self.where
        await note_trouble(self.bot, where.guild, where.settings, Purpose.ANNOUNCEMENTS, REFUSED)

    # ------------------------------------------------------------------ edits

    async def edit(self, change: Change) -> bool:
        """Edit a message; return whether it shows what it should now.

        Raises:
            HoldError: Discord does not answer, or lets nothing through.
        """
        post = change.post
        if post.message_id is None:
            return False
        card = await self._pointer(change) if change.instead else await self._card(post, change.subject)
        if card is None:
            return False
        place = self.bot.get_partial_messageable(post.channel_id, guild_id=self.where.guild.id)
        try:
            async with asyncio.timeout(PATIENCE):
                await place.get_partial_message(post.message_id).edit(**card.as_edit())
        except UNREACHED as error:
            raise HoldError from error
        except discord.NotFound as error:
            # A channel that is gone takes its messages with it.
            await self.news.posts.gone(post.id)
            return error.code != UNKNOWN_MESSAGE
        except discord.HTTPException as error:
            log.warning("an announcement cannot be edited", post=post.id, reason=str(error))
            return False
        await self.news.posts.edited(post.id, change.digest)
        return True

    async def _pointer(self, change: Change) -> Card:
        """Return what stands in place of a message whose subject another one shows."""
        shows = change.instead
        link = "" if shows is None else self._link(shows)
        say = self.where.say
        said = pointer_news(say.t(f"news.merged_{change.subject.kind}"), link, say)
        view: ui.LayoutView = ui.LayoutView(timeout=None)
        view.add_item(container(said.title, *said.blocks))
        view.stop()
        return Card(view=view)

    def _link(self, post: Post) -> str:
        return f"https://discord.com/channels/{post.guild_id}/{post.channel_id}/{post.message_id}"

    # ------------------------------------------------------------------ what is shown

    async def _card(self, post: Post, subject: Subject) -> Card | None:
        """Return the message; None where its rounds are gone."""
        try:
            return await (self._match(post, subject) if subject.kind == MATCH else self._session(post, subject))
        except NotFoundError:
            return None

    async def _match(self, post: Post, subject: Subject) -> Card:
        say = self.where.say
        async with self.bot.database.read() as connection:
            hidden = await ids_of_keys(connection, await hidden_keys(connection))
            found = await match_answer(connection, "", match_id=subject.id)
        said = match_news(without(found, hidden, say.t("games.hidden")), say)
        tone = Tone.GOOD if found.match.result is not None else Tone.PLAIN
        return _message(said.title, said.blocks, None, news_button(post, say.t("news.scoreboard")), tone)

    async def _session(self, post: Post, subject: Subject) -> Card:
        say = self.where.say
        async with self.bot.database.read() as connection:
            hidden = await ids_of_keys(connection, await hidden_keys(connection))
            found = without(await session_answer(connection, subject.id), hidden, say.t("games.hidden"))
        options = CardOptions(words=say.words, zone=self.where.settings.time_zone)
        told, picture = session_told(found, say), None
        try:
            picture = await self.bot.studio.draw(session_card(found, options), options)
            if len(picture.data) > self.where.guild.filesize_limit:
                picture = None
        except CardError as error:
            log.warning("the picture of an announcement was not drawn", reason=str(error))
        blocks = told.full if picture is None else told.brief
        return _message(told.title, blocks, picture, news_button(post, say.t("news.players")), Tone.GOOD)


def _message(title: str, blocks: tuple[str, ...], picture: Picture | None, button: ui.Item[Any], tone: Tone) -> Card:
    parts: list[str | ui.Item[Any]] = []
    files = []
    if picture is not None:
        media = discord.MediaGalleryItem(f"attachment://{picture.file_name}", description=picture.alt_text)
        parts.append(ui.MediaGallery(media))
        files = [discord.File(io.BytesIO(picture.data), picture.file_name, description=picture.alt_text)]
    view: ui.LayoutView = ui.LayoutView(timeout=None)
    row: ui.ActionRow[Any] = ui.ActionRow(button)
    view.add_item(container(title, *parts, *blocks, row, tone=tone))
    view.stop()  # its button is answered by its id: discord.py need not remember every message
    return Card(view=view, files=files)


def is_of(message: discord.Message, mark: str) -> bool:
    """Tell whether a mark stands in one of a message's buttons."""
    return mark in json.dumps([component.to_dict() for component in message.components])
