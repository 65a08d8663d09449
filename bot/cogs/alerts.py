"""/alerts: what people were told of, whether telling works, and what they do not want to hear."""

from __future__ import annotations

from typing import Final

from discord import app_commands

from bot.cards.health_work import escape_key, incident_block, mute_line
from bot.cogs.access import Defer, Level, needs
from bot.cogs.answers import answer
from bot.cogs.asker import actor
from bot.cogs.autocomplete import Entry, completes, search
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.paging import Paginator, of_pages, paged
from bot.cogs.panel import Tone, panel
from bot.cogs.sync_scope import Sight, sight_of
from bot.cogs.text import escape, lines, plain, when
from bot.health import audit
from bot.health.incidents import Incident, list_incidents, list_mutes, mute, unmute

MOST_INCIDENTS: Final = 60
EACH_PAGE: Final = 4

LONGEST_KEY: Final = 100

HOUR: Final = 3600
SPANS: Final = {"1 hour": HOUR, "6 hours": 6 * HOUR, "1 day": 24 * HOUR, "1 week": 7 * 24 * HOUR}
"""How long a mute may last, in seconds; else until it is lifted."""


def sees_key(sight: Sight, key: str) -> bool:
    """Tell whether an incident may be told here: one of a game server to those who see it, others to the whole house.

    A pattern may fit anything, so only the whole house may use one.
    """
    place, _, rest = key.partition(":")
    server = rest.rpartition(":")[0]
    if place == "server" and server and not set("*?[") & set(key):
        return sight.sees(server)
    return sight.whole


async def seen_incidents(bot: Face, sight: Sight) -> list[Incident]:
    """Return the incidents that may be told, the open ones first."""
    found = await list_incidents(bot.database, limit=MOST_INCIDENTS)
    return [item for item in found if sees_key(sight, item.key)]


@completes
async def complete_incident(interaction: Question, current: str) -> list[Entry]:
    """Offer the keys of incidents; others may be typed."""
    sight = await sight_of(interaction)
    keys = dict.fromkeys(item.key for item in await seen_incidents(interaction.client, sight))
    return _entries(keys, current)


@completes
async def complete_mute(interaction: Question, current: str) -> list[Entry]:
    """Offer what is muted."""
    sight = await sight_of(interaction)
    found = await list_mutes(interaction.client.database, interaction.client.clock())
    return _entries(dict.fromkeys(item.pattern for item in found if sees_key(sight, item.pattern)), current)


def _entries(keys: dict[str, None], current: str) -> list[Entry]:
    short = [key for key in keys if len(key) <= LONGEST_KEY]
    return search([Entry(key, plain(key, 100), (key.casefold(),), frozenset()) for key in short], current, None)


class Alerts(Cog):
    """What people are told when something is wrong."""

    group = app_commands.Group(name="alerts", description="What you are told when something is wrong.")

    @group.command(name="list")
    @needs(Level.ADMIN, private=True)
    async def list_alerts(self, interaction: Question) -> None:
        """What is wrong and was wrong, the open ones first, and what is muted."""
        sight = await sight_of(interaction)
        t = await self.bot.texts_for(interaction, private=True)
        found = await seen_incidents(self.bot, sight)
        muted = await list_mutes(self.bot.database, self.bot.clock())
        blocks = [sight.clean(incident_block(item, t, self.bot.mention)) for item in found]
        blocks = blocks or [t("health.no_incidents")]
        blocks += [mute_line(item, t) for item in muted if sees_key(sight, item.pattern)]
        wrong = any(item.closed_at is None for item in found)
        pages = paged(blocks, EACH_PAGE)
        title = t("health.alerts_title")
        tone = Tone.CARE if wrong else Tone.GOOD
        await Paginator(interaction, t, title, of_pages(pages), len(pages), level=Level.ADMIN, tone=tone).send()

    @group.command(name="test")
    @needs(Level.ADMIN, private=True, defer=Defer.AT_ONCE)
    async def test(self, interaction: Question) -> None:
        """Send a test message everywhere alerts go, and see what became of each."""
        sight = await sight_of(interaction)
        sight.require_whole()
        t = await self.bot.texts_for(interaction, private=True)
        results = await self.bot.app.watch.test()
        async with self.bot.database.write() as connection:
            await audit.record(
                connection, at=self.bot.clock(), actor=actor(interaction), action="alerts.test", targets=["all"]
            )
        rows = []
        for item in results:
            told = t("health.test_sent") if item.error is None else lines(sight.clean(item.error), 300)
            rows.append(f"{'🟢' if item.error is None else '🔴'} **{escape(item.notifier)}**: {told}")
        if not {item.notifier for item in results} - {"log"}:
            rows.append(t("health.only_log"))
        good = all(item.error is None for item in results)
        title = t("health.test_title")
        await answer(interaction, panel(title, "\n".join(rows), tone=Tone.GOOD if good else Tone.BAD))

    @group.command(name="mute")
    @app_commands.describe(
        key="Which one, or a pattern with *.", duration="For how long; until it is lifted if left out."
    )
    @app_commands.choices(duration=[app_commands.Choice(name=name, value=seconds) for name, seconds in SPANS.items()])
    @app_commands.autocomplete(key=complete_incident)
    @needs(Level.ADMIN, private=True)
    async def mute(
        self,
        interaction: Question,
        key: app_commands.Range[str, 1, LONGEST_KEY],
        duration: int | None = None,
    ) -> None:
        """Be told nothing of something, now or when it comes; it stays on every screen."""
        await self._require(interaction, key)
        now = self.bot.clock()
        until = None if duration is None else int(now) + duration
        await mute(self.bot.database, key, until_at=until, actor=actor(interaction), now=now)
        t = await self.bot.texts_for(interaction, private=True)
        told = t("health.until_lifted") if until is None else t("health.until", when=when(until, "R"))
        text = t("health.muted", key=f"`{escape_key(key)}`", until=told, command=self.bot.mention("alerts unmute"))
        await answer(interaction, panel(t("health.alerts_title"), text, tone=Tone.GOOD))

    @group.command(name="unmute")
    @app_commands.describe(key="What is muted.")
    @app_commands.autocomplete(key=complete_mute)
    @needs(Level.ADMIN, private=True)
    async def unmute(self, interaction: Question, key: app_commands.Range[str, 1, LONGEST_KEY]) -> None:
        """Be told of something again; what is still wrong is told then."""
        await self._require(interaction, key)
        lifted = await unmute(self.bot.database, key, actor=actor(interaction), now=self.bot.clock())
        t = await self.bot.texts_for(interaction, private=True)
        text = t("health.unmuted" if lifted else "health.not_muted", key=f"`{escape_key(key)}`")
        await answer(interaction, panel(t("health.alerts_title"), text, tone=Tone.GOOD if lifted else Tone.CARE))

    async def _require(self, interaction: Question, key: str) -> None:
        """Let a person mute what is his game servers' alone.

        Raises:
            UserError: it concerns others, too.
        """
        if not sees_key(await sight_of(interaction), key):
            raise UserError("health.needs_whole")


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Alerts(bot))
