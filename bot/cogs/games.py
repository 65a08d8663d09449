"""What all questions about games share: what may be seen here, pictures, and answers with buttons.

A command reads the question, asks a service inside `asking`, leaves out who does not want to be shown, and `present`s
the answer: a picture with its facts, or the facts alone where none can be drawn.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.cards.picture import CardOptions
from bot.cards.texts import Language
from bot.cards.words import words_for
from bot.cogs.autocomplete import Entry, search, visible_servers
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.text import escape
from bot.community.privacy import hidden_keys
from bot.community.scope import GuildScope, scope_of
from bot.config import ConfigError
from bot.locales import Texts
from bot.stats.errors import AmbiguousError, QuestionError
from bot.stats.hiding import ids_of_keys, without
from bot.stats.leaderboards import Scope
from bot.stats.matches import PlayerInfo
from bot.stats.periods import Period, parse_period
from bot.stats.players import PlayerHit
from bot.stats.server_status import ServerStatuses, StatusAddress

log = structlog.get_logger()

T = TypeVar("T")

CHOICES_TOLD: Final = 10
"""Players that are named where a name fits several."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question was asked, and what that means for its answer.

    Attributes:
        scope: the game servers that may be seen here.
        server: names of those that this question is about.
        zone: in which days and seasons are meant.
        hidden: ids of players who do not want to be shown.
        say: the language.
        options: how pictures are drawn.
    """

    scope: GuildScope
    server: tuple[str, ...]
    zone: ZoneInfo
    hidden: frozenset[int]
    say: Language
    options: CardOptions

    @property
    def t(self) -> Texts:
        """The texts."""
        return self.say.t

    def shown(self, found: T) -> T:
        """Return an answer without those who do not want to be shown."""
        return without(found, self.hidden, self.t("games.hidden"))


class Games(Cog):
    """What outlives one answer: what game servers said a moment ago.

    Attributes:
        statuses: who is online.
    """

    def __init__(self, bot: Face) -> None:
        super().__init__(bot)
        self.statuses = ServerStatuses({})

    async def cog_load(self) -> None:
        """Take note of where the game servers answer."""
        try:
            servers = self.bot.app.settings.servers()
        except ConfigError as error:
            log.warning("who is online cannot be asked", reason=str(error))
            return
        self.statuses = ServerStatuses({s.name: StatusAddress(s.host, s.game_port) for s in servers})


def games_of(bot: Face) -> Games:
    """Return the one `Games` of a running bot."""
    found = bot.get_cog("Games")
    if not isinstance(found, Games):
        raise TypeError("bot.cogs.games is not loaded")
    return found


# ---------------------------------------------------------------------- the question


@asynccontextmanager
async def asking(interaction: Question, server: str | None = None) -> AsyncIterator[tuple[Place, AsyncConnection]]:
    """Open the database for a question, with what may be seen where it was asked.

    Args:
        interaction: the command, or the press of a button.
        server: name of a game server, where the person gave one.

    Raises:
        CommunityError: no game server may be seen here, or not this one.
    """
    bot = interaction.client
    settings = await bot.guild_book.get(interaction.guild_id or 0)
    t = await bot.texts_for(interaction, private=False)
    words = words_for(t.language)
    scope = scope_of(settings)
    names = scope.only(server)
    zone = settings.time_zone or scope.servers[0].time_zone
    async with bot.database.read() as connection:
        hidden = await ids_of_keys(connection, await hidden_keys(connection))
        options = CardOptions(words=words, zone=settings.time_zone, as_of=int(bot.clock()))
        yield Place(scope, names, ZoneInfo(zone), hidden, Language(t, words), options), connection


def period_of(text: str | None, place: Place, now: float) -> Period:
    """Return the period that a person means, named in his language.

    Raises:
        UserError: it is none.
    """
    try:
        found = parse_period(text or "", place.zone, now)
    except QuestionError as error:
        raise UserError("games.no_period", period=escape(text or "", 40)) from error
    if days := re.fullmatch(r"last (?:(\d+) days|day)", found.label):
        label = place.t("games.last_days", count=int(days[1] or 1))
        return Period(label, found.since, found.until)
    if season := re.fullmatch(r"season (.+)", found.label):
        return Period(place.t("games.season", season=season[1]), found.since, found.until)
    return found


def scope_for(place: Place, period: Period | None = None, map_name: str | None = None) -> Scope:
    """Return which rounds a question is about."""
    return Scope(server=place.server, map_name=map_name) if period is None else Scope(period, place.server, map_name)


@contextmanager
def meant(key: str, **values: object) -> Any:
    """Tell the person in his language where a service finds nothing that fits what he wrote."""
    try:
        yield
    except AmbiguousError:
        raise
    except QuestionError as error:
        raise UserError(key, **values) from error


async def player_of(interaction: Question, place: Place, connection: AsyncConnection, text: str) -> PlayerInfo:
    """Return the player that a text means, among those who may be seen here.

    Raises:
        UserError: nobody fits, or several do; the message names what comes near.
    """
    index = interaction.client.index.players
    near = search(index, text, await visible_servers(interaction))
    suggested = _or([item.label for item in near[:3]], place.t)
    try:
        with meant("games.no_player", name=escape(text), near=suggested):
            found = await place.scope.player(connection, text)
    except AmbiguousError as error:
        hits = [hit for hit in error.choices if isinstance(hit, PlayerHit) and hit.player.id not in place.hidden]
        if len(hits) == 1:
            return hits[0].player
        names = "\n".join(f"- {escape(hit.player.name)} (`{hit.player.guid}`)" for hit in hits[:CHOICES_TOLD])
        if not hits:
            raise UserError("games.no_player", name=escape(text), near="") from error
        raise UserError("games.several_players", name=escape(text), count=len(hits), names=names) from error
    if found.id in place.hidden:
        # To others he is not there at all; what he hides for himself he need not look up.
        raise UserError("games.no_player", name=escape(text), near="")
    return found


def near_maps(entries: Iterable[Entry], text: str, visible: frozenset[int], t: Texts) -> str:
    """Return what comes near a map's name, as the end of a message."""
    return _or([item.label for item in search(entries, text, visible)[:3]], t)


def _or(labels: Sequence[str], t: Texts) -> str:
    return t("games.near", names=", ".join(f"**{escape(label, 80)}**" for label in labels)) if labels else ""


async def setup(bot: Face) -> None:
    """Load what the questions about games share."""
    await bot.add_cog(Games(bot))
